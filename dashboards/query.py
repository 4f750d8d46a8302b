"""PromQL from the catalogue: a metric or label that does not exist fails here, not in Grafana."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.telemetry.catalogue import Kind, Metric

SELECTED: Final = {"job": '=~"$job"', "instance": '=~"$instance"'}
"""On every series: which gateways the reader looks at."""
VARIABLES: Final = ("route", "provider")
"""Labels that boards let the reader choose; a series that has one is narrowed by it."""
WINDOW: Final = "$__rate_interval"


def series(metric: Metric, suffix: str = "", **where: str) -> str:
    """A selector. `where`: label → matcher with its operator, such as `'="ok"'`; `from_` is `from`.

    Raises ValueError for a label that the metric does not have.
    """
    wanted = {name.rstrip("_"): matcher for name, matcher in where.items()}
    le = {"le"} if metric.kind is Kind.HISTOGRAM else set()
    if unknown := set(wanted) - set(metric.labels) - le:
        message = f"{metric.name} has no label {', '.join(sorted(unknown))}"
        raise ValueError(message)
    if suffix and metric.kind is not Kind.HISTOGRAM:
        message = f"{metric.name} is no histogram"
        raise ValueError(message)
    chosen = {name: f'=~"${name}"' for name in VARIABLES if name in metric.labels}
    matchers = SELECTED | chosen | wanted
    inside = ",".join(f"{name}{matcher}" for name, matcher in matchers.items())
    return f"{metric.name}{suffix}{{{inside}}}"


def standard(name: str) -> str:
    """A series that prometheus-client makes by itself."""
    inside = ",".join(f"{label}{matcher}" for label, matcher in SELECTED.items())
    return f"{name}{{{inside}}}"


def by(metric: Metric, labels: Iterable[str]) -> str:
    """`by (…)`, or nothing. Raises ValueError for a label that the metric does not have."""
    names = tuple(labels)
    known = {*metric.labels, *SELECTED, *({"le"} if metric.kind is Kind.HISTOGRAM else ())}
    if unknown := set(names) - known:
        message = f"{metric.name} has no label {', '.join(sorted(unknown))}"
        raise ValueError(message)
    return f" by ({', '.join(names)})" if names else ""


def rate(metric: Metric, *labels: str, window: str = WINDOW, suffix: str = "", **where: str) -> str:
    """Events a second of a counter."""
    return f"sum{by(metric, labels)} (rate({series(metric, suffix, **where)}[{window}]))"


def increase(
    metric: Metric, *labels: str, window: str = "$__range", suffix: str = "", **where: str
) -> str:
    """Events within a window; rounded, since Prometheus extrapolates counts to fractions."""
    return f"round(sum{by(metric, labels)} (increase({series(metric, suffix, **where)}[{window}])))"


def total(metric: Metric, *labels: str, how: str = "sum", **where: str) -> str:
    """A gauge over several series."""
    return f"{how}{by(metric, labels)} ({series(metric, **where)})"


def quantile(q: float, metric: Metric, *labels: str, window: str = WINDOW, **where: str) -> str:
    grouped = by(metric, (*labels, "le"))
    inner = f"sum{grouped} (rate({series(metric, '_bucket', **where)}[{window}]))"
    return f"histogram_quantile({q:g}, {inner})"


def share(part: str, whole: str) -> str:
    """0 where there is nothing to divide: no traffic is no trouble."""
    return f"(({part}) / (({whole}) > 0)) or (0 * ({whole}))"
