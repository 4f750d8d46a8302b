"""How late the event loop is."""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.units import Clock

LAG_INTERVAL_SECONDS: Final = 0.25
LAG_MEASURES: Final = 60
"""Fifteen seconds of them: a usual scrape interval, so that no stall falls between two."""


class LoopLag:
    """Measures how late the event loop wakes a sleeper: what every request waits as well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late: deque[float] = deque(maxlen=LAG_MEASURES)

    @property
    def seconds(self) -> float:
        """The worst of the last seconds; 0 before the first measure."""
        return max(self._late, default=0.0)

    async def run(self) -> None:
        """For ever; to be cancelled."""
        while True:
            began = self._clock.now().instant
            await self._clock.sleep(LAG_INTERVAL_SECONDS)
            late = self._clock.now().instant - began - LAG_INTERVAL_SECONDS
            self._late.append(max(0.0, late))
