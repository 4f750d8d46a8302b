from __future__ import annotations

import time

from gateway.clock import SystemClock
from gateway.units import Clock

_CLOCK: type[Clock] = SystemClock


async def test_both_clocks_are_the_machine_s_and_go_on() -> None:
    clock = SystemClock()
    first = clock.now()
    await clock.sleep(0.02)
    second = clock.now()
    assert 0.019 <= second.instant - first.instant < 2
    assert 15_000 <= second.timestamp - first.timestamp < 2_000_000
    assert abs(second.timestamp - time.time_ns() // 1000) < 1_000_000


def test_what_is_due_at_one_moment_is_always_told_as_due_at_the_same_time() -> None:
    clock = SystemClock()
    due = clock.now().later(12.345678).instant
    assert len({clock.now().at(due) for _ in range(5000)}) == 1
