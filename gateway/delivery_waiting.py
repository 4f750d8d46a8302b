"""A flag that tasks wait for, each for so long at most."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.units import Clock


class Flag:
    """As `asyncio.Event`; a wait with a limit costs one task, which sleeps."""

    def __init__(self) -> None:
        self._set = False
        self._waiting: set[asyncio.Future[None]] = set()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        if not self._set:
            self._set = True
            self.wake()

    def wake(self) -> None:
        """Those who wait now go on, and the flag stays as it is."""
        for waiter in self._waiting:
            _go_on(waiter)

    def clear(self) -> None:
        self._set = False

    async def wait(self, seconds: float | None = None, clock: Clock | None = None) -> None:
        """Until it is set or the time is over, whichever comes first."""
        if self._set:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.add(waiter)
        sleeper: asyncio.Task[None] | None = None
        if seconds is not None and clock is not None:
            sleeper = loop.create_task(clock.sleep(seconds))
            sleeper.add_done_callback(partial(_go_on, waiter))
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
            if sleeper is not None:
                sleeper.cancel()


def _go_on(waiter: asyncio.Future[None], _: object = None) -> None:
    if not waiter.done():
        waiter.set_result(None)
