"""Virtual time passes only where nothing else can happen, and is the same for everything that waits."""

from __future__ import annotations

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.dry_run.virtual_time import (
    START_INSTANT,
    START_TIMESTAMP,
    Standstill,
    VirtualClock,
    run,
)
from gateway.units import MICROS

DAY = 86_400.0
REAL_SECONDS_MAX = 5.0


def test_a_day_of_sleep_takes_no_time() -> None:
    async def work() -> float:
        clock = VirtualClock()
        await clock.sleep(DAY * 3)
        return clock.now().instant

    real = SystemClock()
    began = real.now().instant
    assert run(work) == pytest.approx(START_INSTANT + DAY * 3)
    assert real.now().instant - began < REAL_SECONDS_MAX


def test_both_clocks_go_together() -> None:
    async def work() -> int:
        clock = VirtualClock()
        assert clock.now().timestamp == START_TIMESTAMP
        await clock.sleep(12.5)
        return clock.now().timestamp - START_TIMESTAMP

    assert run(work) == pytest.approx(12.5 * MICROS, abs=2)


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def work() -> list[tuple[int, float]]:
        clock, woken = VirtualClock(), list[tuple[int, float]]()

        async def sleeper(seconds: int) -> None:
            await clock.sleep(seconds)
            woken.append((seconds, round(clock.now().instant - START_INSTANT, 6)))

        async with asyncio.TaskGroup() as group:
            for seconds in (7200, 1, 300, 2):
                group.create_task(sleeper(seconds))
        return woken

    assert run(work) == [(1, 1), (2, 2), (300, 300), (7200, 7200)]


def test_timeouts_ring_in_virtual_time() -> None:
    async def work() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(90):
                await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(work) == pytest.approx(START_INSTANT + 90)


def test_time_stands_still_while_a_task_is_busy() -> None:
    async def work() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(work) == START_INSTANT


def test_a_wait_that_nothing_can_end_is_an_error_and_no_hang() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Standstill):
        run(work)


def test_work_of_a_thread_is_waited_for_between_the_jumps() -> None:
    """Nothing in a dry run uses one, but a signal comes the same way."""

    async def work() -> int:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.call_soon_threadsafe(done.set)
        async with asyncio.timeout(1):
            await done.wait()
        return 1

    assert run(work) == 1
