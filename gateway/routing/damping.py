"""How restless a target has been on a route: a penalty that decays, and the state it leads to.

Route flap damping (RFC 2439, with RFC 7196's lesson of generous thresholds): leaving a target costs,
time heals, and between two lines the state does not change. A suppressed target is not returned to;
its route is *flapping*. Like a hold it only reorders.
"""

from __future__ import annotations

from math import log2

from gateway.config import Damping, Stability
from gateway.units import Instant


class Penalty:
    """Of one target on one route."""

    __slots__ = ("_at", "_value", "suppressed_since")

    def __init__(self) -> None:
        self._value = 0.0
        self._at = Instant(0.0)
        self.suppressed_since: Instant | None = None
        """Since when it is above the line, whether or not damping is obeyed."""

    def value(self, stability: Stability, now: Instant) -> float:
        """P(t) = P(t₀) × 2^(−(t − t₀) / half-life)."""
        if not self._value:
            return 0.0
        age = max(0.0, now - self._at)
        return float(self._value * 2.0 ** (-age / stability.half_life_seconds))

    def add(self, amount: float, stability: Stability, now: Instant) -> bool:
        """True if this crosses the suppress line. `off` counts nothing."""
        if stability.damping is Damping.OFF:
            return False
        self._value = min(ceiling(stability), self.value(stability, now) + amount)
        self._at = now
        if self.suppressed_since is not None or self._value < stability.suppress_at:
            return False
        self.suppressed_since = now
        return True

    def relax(self, stability: Stability, now: Instant) -> bool:
        """True if it was suppressed and is over: below the reuse line, or at the longest time."""
        since = self.suppressed_since
        if since is None:
            return False
        too_long = now - since >= stability.suppress_max_seconds
        if self.value(stability, now) >= stability.reuse_at and not too_long:
            return False
        self.suppressed_since = None
        if too_long:
            self._value, self._at = min(self.value(stability, now), stability.reuse_at), now
        return True

    def suppresses(self, stability: Stability) -> bool:
        """Whether the target stands behind the others for it; `observe` looks on and does not."""
        return self.suppressed_since is not None and stability.damping is Damping.ENFORCE

    def latest_end(self, stability: Stability, now: Instant) -> Instant:
        """When a suppression that runs is over, if nothing is added meanwhile."""
        since = self.suppressed_since
        if since is None:
            return now
        last = since + stability.suppress_max_seconds
        value = self.value(stability, now)
        if value <= stability.reuse_at:
            return now
        calm = now + stability.half_life_seconds * log2(value / stability.reuse_at)
        return Instant(min(last, calm))

    def restore(
        self, value: float, stability: Stability, now: Instant, *, since: Instant | None = None
    ) -> None:
        """What an earlier process left, already decayed. No line is crossed by it.

        `since`: from then on it was above the line, and may be still.
        """
        if stability.damping is Damping.OFF:
            return
        self._value, self._at = min(ceiling(stability), value), now
        if value >= stability.suppress_at:
            self.suppressed_since = now if since is None else since
        elif since is not None and value >= stability.reuse_at:
            self.suppressed_since = since
        self.relax(stability, now)

    def clear(self) -> bool:
        """An operator's word. True if it was suppressed."""
        was = self.suppressed_since is not None
        self._value, self.suppressed_since = 0.0, None
        return was


def ceiling(stability: Stability) -> float:
    """From here the penalty decays to the reuse line in exactly the longest time."""
    return float(
        stability.reuse_at * 2.0 ** (stability.suppress_max_seconds / stability.half_life_seconds)
    )


class Moves:
    """The voluntary moves a route may make: a bucket of tokens."""

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._at = Instant(0.0)

    def left(self, stability: Stability, now: Instant) -> float:
        if self._tokens is None:
            return float(stability.moves_burst)
        gained = max(0.0, now - self._at) / stability.moves_refill_seconds
        return min(float(stability.moves_burst), self._tokens + gained)

    def take(self, stability: Stability, now: Instant) -> bool:
        left = self.left(stability, now)
        if left < 1.0:
            return False
        self._tokens, self._at = left - 1.0, now
        return True
