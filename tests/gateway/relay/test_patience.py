from __future__ import annotations

import asyncio

import pytest

from gateway.relay.patience import Patience

LONG = 30.0
SHORT = 0.02


async def test_a_wait_that_takes_too_long_is_a_timeout() -> None:
    patience = Patience()
    with pytest.raises(TimeoutError), patience.of(SHORT):
        await asyncio.Event().wait()
    patience.close()


async def test_the_task_is_not_stopped_by_its_own_timeout() -> None:
    patience = Patience()
    with pytest.raises(TimeoutError), patience.of(SHORT):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with patience.of(LONG):
        await asyncio.sleep(0)
    patience.close()


async def test_each_wait_has_the_whole_time() -> None:
    patience = Patience()
    for _ in range(5):
        with patience.of(0.05):
            await asyncio.sleep(SHORT)
    patience.close()


async def test_a_shorter_wait_after_a_longer_one_is_bounded_by_its_own_time() -> None:
    patience = Patience()
    with patience.of(LONG):
        await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError), patience.of(SHORT):
        await asyncio.sleep(2.0)
    assert asyncio.get_running_loop().time() - began < 1.0
    patience.close()


async def test_time_between_two_waits_does_not_count() -> None:
    patience = Patience()
    with patience.of(SHORT):
        await asyncio.sleep(0)
    await asyncio.sleep(3 * SHORT)
    with patience.of(LONG):
        await asyncio.sleep(0)
    patience.close()


async def test_a_stop_from_outside_stays_one() -> None:
    patience: list[Patience] = []

    async def work() -> None:
        patience.append(Patience())
        with patience[0].of(LONG):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    patience[0].close()


async def test_an_error_in_time_passes_unchanged() -> None:
    patience = Patience()
    with pytest.raises(KeyError), patience.of(LONG):
        raise KeyError
    patience.close()


async def test_a_wait_that_ends_as_the_timer_rings_is_no_failure() -> None:
    """The timer rang, the task did not get to see it: nothing of it may be left behind."""
    patience = Patience()
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(SHORT, done.set)
    try:
        with patience.of(SHORT):
            await done.wait()
    except TimeoutError:
        pass
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    patience.close()
