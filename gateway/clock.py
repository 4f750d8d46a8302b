"""The real clocks: the one place that reads them."""

from __future__ import annotations

import asyncio
import time

from gateway.units import MICROS, Moment

STEP_MICROS = 10_000
"""The two clocks are read one after the other and drift apart slowly. Up to this much the time of
day is told by the monotonic clock, so that what is due at one moment is always told as due at the
same time of day; beyond it somebody has set the clock, or it has been corrected."""


class SystemClock:
    """Implements `Clock` on the machine's own two clocks."""

    def __init__(self) -> None:
        self._apart = 0
        """Microseconds from the monotonic clock's reading to the time of day."""

    def now(self) -> Moment:
        instant = time.monotonic()  # noqa: TID251
        micros = round(instant * MICROS)
        apart = time.time_ns() // 1000 - micros
        if not self._apart - STEP_MICROS <= apart <= self._apart + STEP_MICROS:
            self._apart = apart
        # Without `Instant` and `Timestamp` around the two: each would be a call, here of all places.
        return Moment(instant, micros + self._apart)  # type: ignore[arg-type]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
