"""From what a provider and the clients saw of a fault to its figures. Arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles

from tests.benchmarks.faulty import Arrival, Fault
from tests.benchmarks.steady import Answer

GAP_SECONDS = 1.0
"""A provider that nobody has tried for so long has been left; at 20 requests a second twenty did not."""
WINDOW = 40
"""Answers in a row that show who serves."""
AS_BEFORE = 0.8
"""Of the share that the first provider had before the fault: it serves again."""
MILLIS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that was seen, by one clock."""

    answers: Sequence[Answer]
    arrivals: Sequence[Arrival]
    """At the first provider, the one that fails."""
    plain_from: float
    """From here to `began` all was well."""
    began: float
    """The fault."""
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one fault. None: there was nothing to measure."""

    requests: int
    """Under way while the fault lasted."""
    lost: int
    """Of them, those whose client got no whole answer."""
    met: int | None
    """Requests that met the fault before its provider was left."""
    leave_seconds: float | None
    """From the first request that met it to the last one before the provider was left; None: it was
    not left while the fault lasted, or nobody could see (`refused`)."""
    settled_seconds: float | None
    """To the moment when all those requests had come to their ends."""
    met_later: int | None
    """After that, while the fault lasted still."""
    attempts_failed: int | None
    """Calls that met the fault, several of one request included."""
    lost_last_seconds: float | None
    """From the fault's beginning to the last sending of a request that was lost."""
    return_seconds: float | None
    """From the fault's end until the first provider serves as large a share as before."""
    plain_p50_ms: float | None
    plain_p99_ms: float | None
    rescued: int | None
    """Met the fault, and got a whole answer all the same."""
    rescued_p50_ms: float | None
    rescued_p99_ms: float | None
    fault_p50_ms: float | None
    """Of all whole answers to requests sent while the fault lasted."""
    fault_p99_ms: float | None


def figures(seen: Observed) -> Figures:
    answers = sorted(seen.answers, key=lambda each: each.sent)
    plain = [a for a in answers if seen.plain_from <= a.sent and a.ended < seen.began and a.whole]
    under = [a for a in answers if a.ended >= seen.began and a.sent < seen.ended]
    lost = [a for a in under if not a.whole]
    bad = [each for each in seen.arrivals if each.fault is not Fault.NONE]
    numbers = {each.number for each in bad}
    rescued = [a for a in under if a.whole and a.number in numbers]
    during = [a for a in under if a.whole and a.sent >= seen.began]
    series = _first_series(bad)
    left = bool(series) and series[-1].at < seen.ended - GAP_SECONDS
    in_series = {each.number for each in series}
    ends = [a.ended for a in under if a.number in in_series]
    return Figures(
        requests=len(under),
        lost=len(lost),
        met=len(in_series) if bad else None,
        leave_seconds=series[-1].at - series[0].at if left else None,
        settled_seconds=max(ends) - series[0].at if left and ends else None,
        met_later=len(numbers - in_series) if left else None,
        attempts_failed=len(bad) if bad else None,
        lost_last_seconds=max((a.sent for a in lost), default=seen.began) - seen.began
        if lost
        else None,
        return_seconds=return_seconds(seen, answers),
        plain_p50_ms=percentile(plain, 50),
        plain_p99_ms=percentile(plain, 99),
        rescued=len(rescued) if bad else None,
        rescued_p50_ms=percentile(rescued, 50),
        rescued_p99_ms=percentile(rescued, 99),
        fault_p50_ms=percentile(during, 50),
        fault_p99_ms=percentile(during, 99),
    )


def return_seconds(seen: Observed, answers: Sequence[Answer]) -> float | None:
    """`answers` in the order of their sending."""
    served = [a for a in answers if a.whole]
    before = _share([a for a in served if seen.plain_from <= a.sent and a.ended < seen.began])
    after = [a for a in served if a.sent >= seen.ended]
    for start in range(len(after) - WINDOW + 1):
        if _share(after[start : start + WINDOW]) >= AS_BEFORE * before > 0:
            return after[start].sent - seen.ended
    return None


def alternations(answers: Sequence[Answer]) -> int:
    """Answers from another provider than the answer before, in the order of their sending."""
    served = [a.served_by for a in sorted(answers, key=lambda each: each.sent) if a.whole]
    return sum(one != other for one, other in pairwise(served))


def percentile(answers: Sequence[Answer], percent: int) -> float | None:
    """Milliseconds, to the hundredth; None of fewer than two."""
    if len(answers) < 2:
        return None
    cuts = quantiles([a.seconds for a in answers], n=100, method="inclusive")
    return round(cuts[percent - 1] * MILLIS, 2)


def _first_series(arrivals: Sequence[Arrival]) -> list[Arrival]:
    series = list(arrivals[:1])
    for each in arrivals[1:]:
        if each.at - series[-1].at > GAP_SECONDS:
            break
        series.append(each)
    return series


def _share(answers: Sequence[Answer]) -> float:
    """Of the first provider."""
    return sum(a.served_by == "first" for a in answers) / len(answers) if answers else 0.0
