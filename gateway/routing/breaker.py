"""Whether a target is ill: a run of failures, or too many in a window. Counts, decides nothing else.

A run alone never trips on a provider that fails, works, fails, works; the window does. Exact counts
in buckets, so that a burst trips as surely as a slow drip and an idle window empties itself.
"""

from __future__ import annotations

from collections import deque

from gateway.config import Stability
from gateway.units import Instant

BUCKETS = 10


class Breaker:
    """Outcomes of one target."""

    __slots__ = ("_buckets", "_run", "_run_credentials")

    def __init__(self) -> None:
        self._run = 0
        self._run_credentials: set[str] = set()
        self._buckets: deque[list[float]] = deque()
        """Of [start, outcomes, failures]; at most BUCKETS + 1 of them."""

    def good(self, *, stability: Stability, now: Instant) -> None:
        self._count(failures=0, stability=stability, now=now)
        if self._run:
            self._run = 0
            self._run_credentials.clear()

    def bad(self, *, credential: str, credentials: int, stability: Stability, now: Instant) -> bool:
        """Counts a failure; True if the target should open. `credentials`: how many it has."""
        self._count(failures=1, stability=stability, now=now)
        self._run += 1
        self._run_credentials.add(credential)
        if self._run >= stability.breaker_failures and (
            len(self._run_credentials) >= min(2, credentials)
        ):
            return True
        outcomes, failures = self.window(stability=stability, now=now)
        enough = outcomes >= stability.breaker_min_outcomes
        return enough and failures >= stability.breaker_ratio * outcomes

    def reset(self) -> None:
        """Forget everything: the target opened, or an operator said so."""
        self._run = 0
        self._run_credentials.clear()
        self._buckets.clear()

    def window(self, *, stability: Stability, now: Instant) -> tuple[int, int]:
        """Outcomes and failures of the window that ends now."""
        oldest = now - stability.breaker_window_seconds
        while self._buckets and self._buckets[0][0] <= oldest:
            self._buckets.popleft()
        return (
            int(sum(bucket[1] for bucket in self._buckets)),
            int(sum(bucket[2] for bucket in self._buckets)),
        )

    def _count(self, *, failures: int, stability: Stability, now: Instant) -> None:
        buckets = self._buckets
        if not buckets or now - buckets[-1][0] >= stability.breaker_window_seconds / BUCKETS:
            buckets.append([now, 0, 0])
            if len(buckets) > BUCKETS + 1:
                buckets.popleft()
        last = buckets[-1]
        last[1] += 1
        last[2] += failures
