"""The real clocks: the one place that reads them."""

from __future__ import annotations

import asyncio
import time

from gateway.units import Instant, Moment, Timestamp


class SystemClock:
    """Implements `Clock` on the machine's own two clocks."""

    def now(self) -> Moment:
        return Moment(
            Instant(time.monotonic()),  # noqa: TID251
            Timestamp(time.time_ns() // 1000),
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
