"""All connections that are ours: what they share, the clock of the slow ones, and the end.

Every connection begins here. Those that turn out to be about something else than the hot routes are
aiohttp's from then on, on the same port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.server.answer_head import common
from gateway.server.connection import Connection, Handle, Owner
from gateway.server.head import Heads
from gateway.server.limits import Limits
from gateway.units import Clock

SWEEP_SECONDS: Final = 1.0
"""How late a slow client may be told; and an answer's `Date` is no older."""
CANCELLED_SECONDS: Final = 2.0
"""For handlers to come to their end once they are cancelled."""


class Server:
    """Implements `Owner`. Call it for the protocol of a new connection."""

    def __init__(
        self,
        *,
        hot: Callable[[str], Handle | None],
        otherwise: Callable[[], asyncio.Protocol],
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._hot = hot
        self._otherwise = otherwise
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self.heads = Heads()
        self.limits = limits
        self.now = 0.0
        self.common = ""
        self.tick()

    def __call__(self) -> Connection:
        return Connection(self, self._loop)

    async def sweep(self) -> None:
        """For ever: one timer for all connections."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            self.tick()

    def tick(self) -> None:
        self.now = now = self._loop.time()
        self.common = common(self._clock.now().timestamp)
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.late()

    async def stop(self, drain_seconds: float) -> None:
        """Idle connections are closed at once; what is under way has `drain_seconds`."""
        for connection in list(self._connections):
            connection.close()
        tasks = self._tasks()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=drain_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCELLED_SECONDS)

    def _tasks(self) -> set[asyncio.Task[None]]:
        return {each.task for each in self._connections if each.task is not None}

    # -- the connections' side -----------------------------------------------------------------

    def hot(self, target: str) -> Handle | None:
        return self._hot(target)

    def otherwise(self) -> asyncio.Protocol:
        return self._otherwise()

    def made(self, connection: Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)


_OWNER: type[Owner] = Server
