from __future__ import annotations

import asyncio

import pytest

from gateway.delivery_waiting import Flag
from tests.fakes import FakeClock, settle


async def test_a_wait_ends_when_the_flag_is_set_and_its_sleep_with_it(clock: FakeClock) -> None:
    flag = Flag()
    waiting = asyncio.ensure_future(flag.wait(60.0, clock))
    await settle()
    assert not waiting.done()
    assert clock.sleeping == 1
    flag.set()
    await settle()
    assert waiting.done()
    assert clock.sleeping == 0
    await flag.wait()
    flag.clear()
    assert not flag.is_set()


async def test_a_wait_ends_with_its_time(clock: FakeClock) -> None:
    flag = Flag()
    waiting = asyncio.ensure_future(flag.wait(5.0, clock))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert waiting.done()
    assert not flag.is_set()


async def test_who_is_woken_goes_on_and_who_comes_later_waits(clock: FakeClock) -> None:
    flag = Flag()
    early = [asyncio.ensure_future(flag.wait()) for _ in range(3)]
    await settle()
    flag.wake()
    late = asyncio.ensure_future(flag.wait())
    await asyncio.gather(*early)
    assert not late.done()
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late


async def test_a_wait_that_is_cancelled_leaves_nothing_asleep(clock: FakeClock) -> None:
    flag = Flag()
    waiting = asyncio.ensure_future(flag.wait(60.0, clock))
    await settle()
    waiting.cancel()
    await settle()
    assert clock.sleeping == 0
    flag.set()
