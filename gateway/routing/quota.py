"""How much of its limits a provider says is left: the share of the scarcest one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from gateway.routing.resets import ANTHROPIC_BUCKETS, OPENAI_BUCKETS

BUCKETS = (
    *((f"x-ratelimit-limit-{name}", f"x-ratelimit-remaining-{name}") for name in OPENAI_BUCKETS),
    *(
        (f"anthropic-ratelimit-{name}-limit", f"anthropic-ratelimit-{name}-remaining")
        for name in ANTHROPIC_BUCKETS
    ),
)
"""Headers of a limit, and of what is left of it."""
USED = ("anthropic-ratelimit-unified-5h-utilization", "anthropic-ratelimit-unified-7d-utilization")
"""Headers of a subscription's windows: the share that is used, 0 to 1."""


_TELLING = frozenset({*(left for _, left in BUCKETS), *USED})


def remaining_share(headers: Mapping[str, str]) -> float | None:
    """From 0 to 1; None where no header tells of both a limit and its rest.

    Names of `headers` are in lower case."""
    if _TELLING.isdisjoint(headers):
        return None
    return min(_shares(headers), default=None)


def _shares(headers: Mapping[str, str]) -> Iterator[float]:
    for limit, left in BUCKETS:
        if limit in headers and left in headers:
            most, rest = _number(headers[limit]), _number(headers[left])
            if most is not None and rest is not None and most > 0:
                yield min(1.0, max(0.0, rest / most))
    for name in USED:
        if name in headers and (used := _number(headers[name])) is not None:
            yield min(1.0, max(0.0, 1.0 - used))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
