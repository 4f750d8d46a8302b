from __future__ import annotations

import asyncio

from gateway.upstream.waits import GRAIN_SECONDS, NEVER, Waits

SHORT = 0.02


class Noted:
    def __init__(self, seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.until = self.loop.time() + seconds
        self.rang: list[float] = []
        self.done = asyncio.Event()

    def ring(self) -> None:
        self.rang.append(self.loop.time())
        self.done.set()


async def test_each_rings_once_and_not_before_its_time() -> None:
    waits = Waits()
    noted = [Noted(seconds) for seconds in (3 * SHORT, SHORT, 2 * SHORT, SHORT)]
    for each in noted:
        waits.add(each)
    async with asyncio.timeout(10):
        for each in noted:
            await each.done.wait()
    await asyncio.sleep(2 * SHORT)
    for each in noted:
        assert len(each.rang) == 1
        assert each.rang[0] >= each.until - GRAIN_SECONDS
    assert len(waits) == 0


async def test_one_that_is_given_more_time_rings_at_that() -> None:
    waits, noted = Waits(), Noted(SHORT)
    waits.add(noted)
    noted.until += 2 * SHORT
    async with asyncio.timeout(10):
        await noted.done.wait()
    assert noted.rang[0] >= noted.until - GRAIN_SECONDS


async def test_one_that_was_dropped_or_waits_for_ever_does_not_ring() -> None:
    waits = Waits()
    dropped, resting, rings = Noted(SHORT), Noted(SHORT), Noted(2 * SHORT)
    for each in (dropped, resting, rings):
        waits.add(each)
    waits.drop(dropped)
    waits.drop(dropped)
    resting.until = NEVER
    async with asyncio.timeout(10):
        await rings.done.wait()
    assert dropped.rang == resting.rang == []
    resting.until = asyncio.get_running_loop().time() + SHORT
    waits.add(resting)  # Noted still; said again, it gets its timer back.
    async with asyncio.timeout(10):
        await resting.done.wait()


async def test_one_that_must_be_over_sooner_than_all_others_is() -> None:
    waits, late, soon = Waits(), Noted(30.0), Noted(SHORT)
    waits.add(late)
    waits.add(soon)
    async with asyncio.timeout(10):
        await soon.done.wait()
    assert len(waits) == 1
