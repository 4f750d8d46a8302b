"""Bounds on the many waits of one task, without a timer of its own for any of them.

`asyncio.timeout` makes a timer for each wait and cancels it again, which costs several times what
passing on a chunk does. Here a wait only notes when it must be over; `Waits` looks at that note.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from gateway.upstream.waits import NEVER, Waits


class Patience:
    """To be made, used and closed within the task that waits. Waits do not nest.

    with patience.of(seconds):
        chunk = await ...  # raises TimeoutError when the time is over
    """

    __slots__ = ("_asked", "_loop", "_rang", "_task", "_waits", "until")

    def __init__(self, waits: Waits | None = None) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._waits = waits or Waits()
        self.until = NEVER
        """Loop time at which the wait is over; whoever waits may be given more."""
        self._rang = False
        self._asked = 0
        """How often others had asked the task to stop before this wait."""

    def of(self, seconds: float) -> Self:
        """For one `with`."""
        return self.to(self._loop.time() + seconds)

    def to(self, until: float) -> Self:
        """For one `with` that ends at a loop time."""
        self.until = until
        self._waits.add(self)
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
        self.until = NEVER
        if not self._rang:
            return
        self._rang = False
        if self._task.uncancel() <= self._asked and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        self._waits.drop(self)

    def ring(self) -> None:
        self._rang = True
        self._task.cancel()
