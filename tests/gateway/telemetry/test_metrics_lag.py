from __future__ import annotations

import asyncio

import pytest

from gateway.telemetry.metrics_lag import LoopLag
from tests.fakes import FakeClock


async def test_the_loop_lag_is_the_worst_of_the_last_seconds() -> None:
    class LateClock(FakeClock):
        late = 0.0

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + self.late)

    clock = LateClock()
    lag = LoopLag(clock)
    assert lag.seconds == 0.0
    async with asyncio.TaskGroup() as group:
        task = group.create_task(lag.run())
        await clock.advance(1.0)
        assert lag.seconds == pytest.approx(0.0)
        clock.late = 0.5
        await clock.advance(2.0)
        clock.late = 0.0
        await clock.advance(1.0)
        assert lag.seconds == pytest.approx(0.5)
        await clock.advance(20.0)
        assert lag.seconds == pytest.approx(0.0)
        task.cancel()
