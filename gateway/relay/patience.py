"""Bounds on the many waits of one task, with one timer for all of them.

`asyncio.timeout` makes a timer for each wait and cancels it again, which costs several times what
passing on a chunk does. Here a wait only notes when it must be over; the timer looks at that note
when it rings, and is set anew if there is still time.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

NOT_WAITING: Final = float("inf")


class Patience:
    """To be made, used and closed within the task that waits. Waits do not nest.

    with patience.of(seconds):
        chunk = await ...  # raises TimeoutError when the time is over
    """

    __slots__ = ("_asked", "_loop", "_rang", "_task", "_timer", "_until")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._timer: asyncio.TimerHandle | None = None
        self._until = NOT_WAITING
        self._rang = False
        self._asked = 0
        """How often others had asked the task to stop before this wait."""

    def of(self, seconds: float) -> Self:
        """For one `with`."""
        until = self._until = self._loop.time() + seconds
        timer = self._timer
        if timer is None or timer.when() > until:
            self._set(until)
        return self

    def __enter__(self) -> None:
        self._asked = self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As `asyncio.timeout` does it: a stop that others asked for stays one."""
        self._until = NOT_WAITING
        if not self._rang:
            return
        self._rang = False
        if self._task.uncancel() <= self._asked and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, until: float) -> None:
        self.close()
        self._timer = self._loop.call_at(until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._until == NOT_WAITING:
            return  # The next wait sets it again.
        if self._until > self._loop.time():
            self._set(self._until)
            return
        self._rang = True
        self._task.cancel()
