"""Working stand-ins for the clock and for whoever takes events; mypy holds them to the Protocols."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from gateway.events import Event
from gateway.relay.inbound import Emit
from gateway.units import Clock, Instant, Moment, Timestamp

T = TypeVar("T")
E = TypeVar("E")

START_INSTANT = Instant(1000.0)
START_TIMESTAMP = Timestamp(1_795_435_200_000_000)  # 2026-11-23 12:00:00 UTC
SETTLE_TURNS = 25
"""Turns of the loop in which woken tasks may go on until they sleep again; awaits of pure code
need two or three. Work on real sockets needs real time, and `drive`."""


class FakeClock:
    """Time that stands still until it is advanced; implements `Clock`."""

    def __init__(self, *, instant: float = START_INSTANT, timestamp: int = START_TIMESTAMP) -> None:
        self._now = Moment(Instant(instant), Timestamp(timestamp))
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def now(self) -> Moment:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (self._now.instant + seconds, self._number, woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many sleeps have not ended."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; each sleeper wakes at its own time, and may sleep again within."""
        end = self._now.instant + seconds
        await settle()
        while (due := self._next()) is not None and due <= end:
            self._wake(due)
            await settle()
        self._now = self._now.later(end - self._now.instant)

    async def drive(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, time jumping to the next sleeper whenever nothing else happens."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            while not task.done():
                await settle()
                due = self._next()
                if task.done():
                    break
                if due is not None:
                    self._wake(due)
                else:  # Somebody waits for a socket.
                    await asyncio.sleep(0.001)
        return task.result()

    def _next(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake(self, due: float) -> None:
        self._now = self._now.later(max(0.0, due - self._now.instant))
        while self._sleepers and self._sleepers[0][0] <= due:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


class ListEmitter:
    """Keeps every event, in order; `emit_all` is an `Emit`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit_all(self, events: Sequence[Event]) -> None:
        self.events += events

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


_CLOCK: type[Clock] = FakeClock
_EMIT: Emit = ListEmitter().emit_all
