"""The bar that the gateway is held to: each line's values and verdicts, from the results of a run.

A = the bare aiohttp proxy, N = nginx, P = Portkey, L = LiteLLM's proxy. What a run has not measured
is `not measured`, never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tests.benchmarks.figures import Spread, ratio, spread, usable
from tests.benchmarks.results import Results
from tests.benchmarks.subjects import AIOHTTP, EVENKEEL, NGINX, OFF

PORTKEY, LITELLM = "portkey", "litellm"
"""The names of peers' subjects."""
SINGLE, RATE, PACED, BURST, FAILOVER = "single-1k", "rate-100", "paced", "burst", "failover"
US_PER_MS = 1000
TRIED_MIN = 0.9
"""Share of the requests that the first target must have refused."""


class Verdict(StrEnum):
    HOLDS = "holds"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Demand:
    """One condition of a line."""

    text: str
    value: Spread | None
    limit: float
    at_least: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return Verdict.NOT_MEASURED
        middle = self.value.middle
        met = middle >= self.limit if self.at_least else middle <= self.limit
        return Verdict.HOLDS if met else Verdict.MISSED


@dataclass(frozen=True, slots=True)
class Line:
    figure: str
    must: tuple[Demand, ...]
    aim: tuple[Demand, ...]


def verdict(demands: Sequence[Demand]) -> Verdict:
    """Of all of them: missed if one is, and measured only if all are."""
    found = {each.verdict for each in demands}
    for worst in (Verdict.MISSED, Verdict.NOT_MEASURED):
        if worst in found:
            return worst
    return Verdict.HOLDS


def lines(results: Results) -> list[Line]:
    return [each(results) for each in _LINES]


def as_json(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "figure": line.figure,
            "must hold": verdict(line.must),
            "aim": verdict(line.aim),
            "must demands": [_demand(each) for each in line.must],
            "aim demands": [_demand(each) for each in line.aim],
        }
        for line in lines(results)
    ]


def _demand(demand: Demand) -> dict[str, Any]:
    value = None if demand.value is None else asdict(demand.value)
    return {
        "text": demand.text,
        "value": value,
        "limit": demand.limit,
        "verdict": demand.verdict,
    }


# -- values ---------------------------------------------------------------------------------------


def _beside(results: Results, scenario: str, other: str, figure: str) -> Spread | None:
    """Ours as a share of somebody else's."""
    return ratio(results.of(scenario, EVENKEEL), results.of(scenario, other), figure)


def _ours(results: Results, scenario: str, figure: str) -> Spread | None:
    return spread(results.of(scenario, EVENKEEL), figure)


def _observing(results: Results) -> tuple[Spread | None, Spread | None]:
    """CPU of all sinks: as a share of A's, and in microseconds; within each round."""
    figure = "CPU us/request"
    on, off = results.of(SINGLE, EVENKEEL), results.of(SINGLE, OFF)
    without = {each.number: each.figures[figure] for each in usable(off)}
    base = {each.number: each.figures[figure] for each in usable(results.of(SINGLE, AIOHTTP))}
    shares, micros = [], []
    for each in usable(on):
        if each.number in without:
            micros.append(each.figures[figure] - without[each.number])
            if each.number in base:
                shares.append(micros[-1] / base[each.number])
    return Spread.of(shares), Spread.of(micros)


def _share_of_plain(results: Results) -> Spread | None:
    """What falling back adds, as a share of a plain request's p50; of rounds in which nearly all
    requests did fall back."""
    return Spread.of(
        [
            each.figures["fallback added p50 us"] / each.figures["plain p50 us"]
            for each in usable(results.of(FAILOVER, EVENKEEL))
            if each.figures["fallback tried"] >= TRIED_MIN
        ]
    )


def _translated(results: Results, pair: str) -> Spread | None:
    figure = f"{pair} us/chunk"
    ours, theirs = (results.part("translate", name, figure) for name in ("ours", "litellm"))
    return Spread.of([ours_ / theirs_ for ours_, theirs_ in zip(ours, theirs, strict=False)])


def _scaled(found: Spread | None, by: float) -> Spread | None:
    return found and Spread(found.middle * by, found.least * by, found.most * by)


def _apart(results: Results, other: str, figure: str) -> Spread | None:
    """Ratio of figures of which zero or less is possible: of the medians only."""
    ours, theirs = _ours(results, FAILOVER, figure), spread(results.of(FAILOVER, other), figure)
    if ours is None or theirs is None or theirs.middle <= 0:
        return None
    return _scaled(ours, 1 / theirs.middle)


# -- lines ----------------------------------------------------------------------------------------


def _throughput(results: Results) -> Line:
    def times(other: str, name: str, limit: float) -> Demand:
        value = _beside(results, SINGLE, other, "requests/s")
        return Demand(f"≥ {limit:g} {name}", value, limit, at_least=True)

    must = (times(AIOHTTP, "A", 2), times(PORTKEY, "P", 10), times(LITELLM, "L", 80))
    rivals = (times(PORTKEY, "P", 20), times(LITELLM, "L", 160))
    aim = (times(AIOHTTP, "A", 4), times(NGINX, "N", 0.3), *rivals)
    return Line("requests per second, 1 KB, 64 connections", must, aim)


def _observability(results: Results) -> Line:
    share, micros = _observing(results)
    must = (Demand("≤ 12 % of A", share, 0.12),)
    aim = (Demand("≤ 7 % of A", share, 0.07), Demand("≤ 30 µs", micros, 30))
    return Line("CPU of all observability per request", must, aim)


def _added(results: Results) -> Line:
    figure = "added p50 us"
    must = (Demand("≤ 0.7 A", _beside(results, RATE, AIOHTTP, figure), 0.7),)
    aim = (Demand("≤ 1.7 N", _beside(results, RATE, NGINX, figure), 1.7),)
    return Line("added p50 at 100 requests per second", must, aim)


def _first_chunk(results: Results) -> Line:
    figure = "first chunk p50 us"
    must = (Demand("≤ 0.6 A", _beside(results, PACED, AIOHTTP, figure), 0.6),)
    aim = (
        Demand("≤ 1.5 N", _beside(results, PACED, NGINX, figure), 1.5),
        Demand("≤ 1/100 P", _beside(results, PACED, PORTKEY, figure), 0.01),
    )
    return Line("first chunk, 100 streams paced at 20 ms", must, aim)


def _per_chunk(results: Results) -> Line:
    figure = "CPU us/chunk"
    must = (Demand("≤ 0.7 A", _beside(results, PACED, AIOHTTP, figure), 0.7),)
    aim = (Demand("≤ 1.6 N", _beside(results, PACED, NGINX, figure), 1.6),)
    return Line("CPU per paced chunk", must, aim)


def _bursts(results: Results) -> Line:
    def times(other: str, name: str, limit: float) -> Demand:
        value = _beside(results, BURST, other, "chunks/s")
        return Demand(f"≥ {limit:g} {name}", value, limit, at_least=True)

    aim = (times(NGINX, "N", 0.65), times(PORTKEY, "P", 25))
    return Line("chunks per second in bursts", (times(AIOHTTP, "A", 2),), aim)


def _streams(results: Results) -> Line:
    def held(count: int) -> tuple[Demand, Demand]:
        whole = _ours(results, f"held-{count}", "whole")
        transit = _scaled(_ours(results, f"held-{count}", "transit p99 us"), 1 / US_PER_MS)
        return (
            Demand(f"{count:,} whole", whole, 1, at_least=True),
            Demand("p99 transit ≤ 20 ms", transit, 20),
        )

    memory = Demand("≤ 25 KB each", _ours(results, "held-3000", "KB/stream"), 25)
    return Line("streams held at 10 chunks per second", held(1000), (held(3000)[0], memory))


def _falling_back(results: Results) -> Line:
    sticky = _scaled(_ours(results, FAILOVER, "sticky added p50 us"), 1 / US_PER_MS)
    figure = "fallback added p50 us"
    must = (
        Demand("≤ 0.7 of a plain p50", _share_of_plain(results), 0.7),
        Demand("sticky ≤ 0.1 ms", sticky, 0.1),
    )
    aim = (
        Demand("≤ 1/25 L", _apart(results, LITELLM, figure), 1 / 25),
        Demand("≤ 1/5 P", _apart(results, PORTKEY, figure), 1 / 5),
    )
    return Line("fallback (primary 429): added p50", must, aim)


def _translating(results: Results) -> Line:
    pairs = [_translated(results, "openai<-anthropic"), _translated(results, "anthropic<-openai")]
    texts = ("chat ← Messages", "Messages ← chat")

    def all_(limit: int) -> tuple[Demand, ...]:
        return tuple(
            Demand(f"{text} ≤ 1/{limit} litellm", value, 1 / limit)
            for text, value in zip(texts, pairs, strict=True)
        )

    return Line("chat ↔ messages translated streams, CPU per chunk", all_(10), all_(40))


def _starting(results: Results) -> Line:
    must = (
        Demand("start ≤ 1.5 s", _ours(results, "start", "ready s"), 1.5),
        Demand("idle ≤ 80 MB", _ours(results, "start", "idle MB"), 80),
    )
    aim = (
        Demand("start ≤ 1/10 L", _beside(results, "start", LITELLM, "ready s"), 1 / 10),
        Demand("idle ≤ 1/5 L", _beside(results, "start", LITELLM, "idle MB"), 1 / 5),
    )
    return Line("start to ready / idle memory, no litellm", must, aim)


def _scraping(results: Results) -> Line:
    stall = Spread.of(results.part("scrape", EVENKEEL, "longest stall ms"))
    must = (Demand("≤ 50 ms", stall, 50),)
    return Line("loop stall during a scrape of 2 000 series", must, (Demand("≤ 10 ms", stall, 10),))


_LINES: tuple[Callable[[Results], Line], ...] = (
    _throughput,
    _observability,
    _added,
    _first_chunk,
    _per_chunk,
    _bursts,
    _streams,
    _falling_back,
    _translating,
    _starting,
    _scraping,
)
