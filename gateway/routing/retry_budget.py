"""How many extra attempts the gateway may make: a share of its traffic, so that storms stay small.

Only an attempt that adds load without a new chance is counted: asking the same candidate again. The
way to another key or target is never closed by a budget.
"""

from __future__ import annotations

from collections import deque

from gateway.config import Stability
from gateway.units import Instant

WINDOW_SECONDS = 60.0
BUCKET_SECONDS = 5.0


class RetryBudget:
    """Requests and retries of the last minute."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: deque[list[float]] = deque()
        """Of [start, requests, retries]."""

    def request(self, now: Instant) -> None:
        buckets = self._buckets
        if buckets and now - buckets[-1][0] < BUCKET_SECONDS:
            buckets[-1][1] += 1  # What is too old is dropped when the next bucket begins.
        else:
            self._bucket(now)[1] += 1

    def retry(self, stability: Stability, now: Instant) -> bool:
        """Takes one retry, if there is one."""
        if not self.allows(stability, now):
            return False
        self._bucket(now)[2] += 1
        return True

    def allows(self, stability: Stability, now: Instant) -> bool:
        """Whether there is one; takes nothing."""
        self._bucket(now)
        requests = sum(each[1] for each in self._buckets)
        retries = sum(each[2] for each in self._buckets)
        allowed = max(
            stability.retry_budget_ratio * requests, float(stability.retry_budget_floor_per_minute)
        )
        return retries + 1 <= allowed

    def _bucket(self, now: Instant) -> list[float]:
        buckets, oldest = self._buckets, now - WINDOW_SECONDS
        while buckets and buckets[0][0] <= oldest:
            buckets.popleft()
        if not buckets or now - buckets[-1][0] >= BUCKET_SECONDS:
            buckets.append([now, 0, 0])
        return buckets[-1]
