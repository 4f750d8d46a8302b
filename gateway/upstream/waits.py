"""All the waits of one loop that must end at some time, with one timer for all of them.

A timer for each wait costs more than the wait itself, and nearly all of them are cancelled unrung.
Here whoever waits is noted with its time; the one timer rings for the first of them, and looks who
is due. A wait that is given more time meanwhile just says so when it is looked at.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

GRAIN_SECONDS: Final = 0.005
"""The timer rings no more often than that: a wait may be over so much later than it said."""
NEVER: Final = float("inf")


class Wait(Protocol):
    until: float
    """Loop time. May be put off while the wait is noted, but not brought forward."""

    def ring(self) -> None:
        """The time is over; it is noted no longer."""
        ...


class Waits:
    """To be made within the loop."""

    __slots__ = ("_at", "_loop", "_noted", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._noted: dict[int, Wait] = {}
        self._at = NEVER
        """When the timer rings."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, wait: Wait) -> None:
        self._noted[id(wait)] = wait
        if wait.until < self._at:
            self._set(wait.until)

    def drop(self, wait: Wait) -> None:
        """Also one that is not noted. The timer stays: the next wait may well want it."""
        self._noted.pop(id(wait), None)

    def __len__(self) -> int:
        return len(self._noted)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self._at = None, NEVER
        now = self._loop.time()
        due, first = [], NEVER
        for wait in self._noted.values():
            if wait.until <= now:
                due.append(wait)
            elif wait.until < first:
                first = wait.until
        if first < NEVER:
            self._set(max(first, now + GRAIN_SECONDS))
        for wait in due:
            del self._noted[id(wait)]
        for wait in due:
            wait.ring()
