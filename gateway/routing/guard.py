"""One cause behind many failures: a whole pool of keys refused alike, or our own network away.

Both are noticed by what fails together within seconds. Then the many are not blamed one by one.
"""

from __future__ import annotations

from collections import deque

from gateway.config import Stability
from gateway.events import Failure
from gateway.units import Instant

GUARDED = frozenset({Failure.RATE_LIMITED, Failure.QUOTA_EXHAUSTED, Failure.AUTH})
"""Failures that blame a key; those of a target need no guard, they rest it as a whole anyway."""
SILENT = frozenset(
    {
        Failure.FIRST_CONTENT_TIMEOUT,
        Failure.IDLE_TIMEOUT,
        Failure.RESET_BEFORE_CONTENT,
        Failure.STREAM_BROKEN,
    }
)
"""Failures that may come from a connection that has died: nobody answered."""
REMEMBERED_MAX = 64
LOCAL_REST_SECONDS = 1.0
"""While the network is away every target is asked again this soon; none climbs a ladder for it."""


class PoolGuard:
    """The last refusals of one provider's credentials."""

    __slots__ = ("_recent", "last")

    def __init__(self) -> None:
        self._recent: deque[tuple[Instant, str, Failure]] = deque(maxlen=REMEMBERED_MAX)
        self.last: Failure | None = None
        """What the pool was last refused alike for; tells a limit of all keys from dead ones."""

    def alike(
        self, credential: str, failure: Failure, stability: Stability, now: Instant
    ) -> frozenset[str]:
        """Counts a refusal. The credentials that failed alike, once there are enough of them."""
        if failure not in GUARDED:
            return frozenset()
        self._recent.append((now, credential, failure))
        oldest = now - stability.guard_window_seconds
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        found = frozenset(name for _, name, kind in self._recent if kind is failure)
        if len(found) < stability.guard_credentials:
            return frozenset()
        self.last = failure
        return found

    def clear(self) -> None:
        self._recent.clear()


class NetworkGuard:
    """Which providers could not even be connected to, and since when all of them cannot."""

    __slots__ = ("_failed", "away")

    def __init__(self) -> None:
        self._failed: dict[str, Instant] = {}
        self.away = False
        """Nothing can be reached: the trouble is on this side."""

    def failed(
        self, provider: str, providers: frozenset[str], window_seconds: float, now: Instant
    ) -> bool:
        """A connection failed. True if with it all of `providers` have, within the window."""
        self._failed[provider] = now
        oldest = now - window_seconds
        recent = {name for name, at in self._failed.items() if at >= oldest}
        if self.away or len(providers) < 2 or not providers <= recent:
            return False
        self.away = True
        return True

    def reached(self, provider: str) -> bool:
        """Somebody answered, whatever it was. True if with it the network is back."""
        back, self.away = self.away, False
        if self._failed:
            self._failed.pop(provider, None)
        return back
