"""The series themselves, and their text: plain numbers, counted in the loop and read by a thread.

prometheus-client takes a lock and a Python call for each number, and its text of 2,000 series keeps
the interpreter busy for half a second. Here a series whose numbers have not changed keeps its text,
and the thread gives way between two portions. `collect` is for prometheus-client's own renderer,
which a test compares the text with, byte by byte.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from time import sleep
from typing import Final

from msgspec import Struct
from prometheus_client import Metric as PrometheusMetric
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from gateway.telemetry.catalogue import Kind, Metric

PORTION: Final = 64
"""Series between two moments at which the loop may have the interpreter: less than a millisecond."""
LARGE: Final = 1_000_000
Values = tuple[str, ...]
Labels = dict[str, str]


class Counter:
    """Only its owner's thread counts. What is read last is written last: a text may be of the
    numbers just before, and is then made anew."""

    __slots__ = ("_exemplar", "_head", "_labels", "_name", "_texts", "value")

    def __init__(self, metric: Metric, values: Values) -> None:
        self.value = 0.0
        self._name = metric.name
        self._labels = dict(zip(metric.labels, values, strict=True))
        self._head = f"{metric.name}{_braces(self._labels)} "
        self._exemplar: Exemplar | None = None
        self._texts: dict[bool, tuple[float, Exemplar | None, str]] = {}

    def inc(self, amount: float = 1, exemplar: Exemplar | None = None) -> None:
        if exemplar is not None:
            self._exemplar = exemplar
        self.value += amount

    def text(self, *, with_exemplars: bool) -> str:
        value, exemplar = self.value, self._exemplar
        kept = self._texts.get(with_exemplars)
        if kept is not None and kept[0] == value and kept[1] is exemplar:
            return kept[2]
        shown = _exemplar(exemplar) if with_exemplars else ""
        text = f"{self._head}{_number(value)}{shown}\n"
        self._texts[with_exemplars] = value, exemplar, text
        return text

    def samples(self) -> Iterator[Sample]:
        yield Sample(self._name, self._labels, self.value, None, self._exemplar)


class Gauge(Counter):
    __slots__ = ()

    def set(self, value: float) -> None:
        self.value = float(value)


class Histogram:
    __slots__ = (
        "_exemplars",
        "_heads",
        "_labels",
        "_name",
        "_texts",
        "bounds",
        "changes",
        "counts",
        "sum",
    )

    def __init__(self, metric: Metric, values: Values) -> None:
        self.bounds = metric.buckets
        self.counts = [0] * (len(metric.buckets) + 1)
        self.sum = 0.0
        self.changes = 0
        self._exemplars: list[Exemplar | None] = [None] * len(self.counts)
        self._name = metric.name
        self._labels = dict(zip(metric.labels, values, strict=True))
        self._heads: list[str] | None = None
        self._texts: dict[bool, tuple[int, str]] = {}

    def observe(self, amount: float, exemplar: Exemplar | None = None) -> None:
        place = bisect_left(self.bounds, amount)
        self.counts[place] += 1
        self.sum += amount
        if exemplar is not None:
            self._exemplars[place] = exemplar
        self.changes += 1

    def text(self, *, with_exemplars: bool) -> str:
        changes = self.changes
        kept = self._texts.get(with_exemplars)
        if kept is not None and kept[0] == changes:
            return kept[1]
        heads = self._heads
        if heads is None:
            heads = self._heads = self._made_heads()
        lines, total = [], 0
        for head, count, exemplar in zip(heads, self.counts, self._exemplars, strict=False):
            total += count
            shown = _exemplar(exemplar) if with_exemplars else ""
            lines.append(f"{head}{_whole(total)}{shown}\n")
        lines += (f"{heads[-2]}{_whole(total)}\n", f"{heads[-1]}{_number(self.sum)}\n")
        text = "".join(lines)
        self._texts[with_exemplars] = changes, text
        return text

    def samples(self) -> Iterator[Sample]:
        total = 0.0
        for bound, count, exemplar in zip(
            _bounds(self.bounds), self.counts, self._exemplars, strict=True
        ):
            total += count
            labels = self._labels | {"le": bound}
            yield Sample(f"{self._name}_bucket", labels, total, None, exemplar)
        yield Sample(f"{self._name}_count", self._labels, total)
        yield Sample(f"{self._name}_sum", self._labels, self.sum)

    def _made_heads(self) -> list[str]:
        buckets = [
            f"{self._name}_bucket{_braces(self._labels | {'le': bound})} "
            for bound in _bounds(self.bounds)
        ]
        labels = _braces(self._labels)
        return [*buckets, f"{self._name}_count{labels} ", f"{self._name}_sum{labels} "]


Series = Counter | Gauge | Histogram
KINDS: Final[dict[Kind, type[Series]]] = {
    Kind.COUNTER: Counter,
    Kind.GAUGE: Gauge,
    Kind.HISTOGRAM: Histogram,
}


class Place(Struct, frozen=True):
    """A target as its labels call it, with the series that each good attempt counts in."""

    provider: str
    model: str
    ok: Counter
    duration: Histogram
    first: Histogram


class End(Struct, frozen=True):
    """How a request ended: the route's label, and the series to count in."""

    route: str
    requests: Counter
    duration: Histogram
    overhead: Histogram


class Board:
    """All families, in the order of the catalogue, each with its series in that of their making."""

    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        self.families: dict[Metric, dict[Values, Series]] = {metric: {} for metric in metrics}

    def at(self, metric: Metric, values: Values) -> Series:
        """The series; made where there is none."""
        family = self.families[metric]
        found = family.get(values)
        if found is None:
            found = family[values] = KINDS[metric.kind](metric, values)
        return found

    def remove(self, metric: Metric, values: Values) -> None:
        self.families[metric].pop(values, None)

    def text(self, *, openmetrics: bool) -> str:
        """In Prometheus' text format, or OpenMetrics' without its last line. For any thread."""
        parts: list[str] = []
        left = PORTION
        for metric, family in self.families.items():
            parts.append(_about(metric, openmetrics=openmetrics))
            for series in list(family.values()):
                parts.append(series.text(with_exemplars=openmetrics))
                left -= 1
                if not left:
                    left = PORTION
                    sleep(0)
        return "".join(parts)

    def collect(self) -> Iterator[PrometheusMetric]:
        """For prometheus-client's registry."""
        for metric, family in self.families.items():
            told = PrometheusMetric(_family(metric), metric.help, metric.kind.value)
            told.samples = [each for series in family.values() for each in series.samples()]
            yield told


def _about(metric: Metric, *, openmetrics: bool) -> str:
    name = _family(metric) if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind.value}\n"


def _family(metric: Metric) -> str:
    return metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name


def _bounds(bounds: tuple[float, ...]) -> list[str]:
    return [*map(floatToGoString, bounds), "+Inf"]


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(labels[name])}"' for name in sorted(labels)) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _whole(number: int) -> str:
    return f"{number}.0" if number < LARGE else _number(number)


def _number(number: float) -> str:
    if -LARGE < number < LARGE:
        return repr(number)
    # Larger ones have an exponent sooner than in Python.
    return str(floatToGoString(number))  # type: ignore[no-untyped-call]


def _exemplar(exemplar: Exemplar | None) -> str:
    if exemplar is None:
        return ""
    return f" # {_braces(exemplar.labels)} {_number(float(exemplar.value))} {exemplar.timestamp}"
