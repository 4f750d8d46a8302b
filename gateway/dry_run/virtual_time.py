"""Time that jumps: an event loop whose clock goes to the next timer instead of waiting for it.

Everything that asks the loop for the time (sleeps, timeouts, deadlines) lives in the same virtual
time, so that hours pass in seconds and a run is the same each time. There are no sockets here.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gateway.units import MICROS, Instant, Moment, Timestamp

T = TypeVar("T")

START_INSTANT = 1000.0
"""Not 0: nothing may come to rely on a clock that begins at nothing."""
START_TIMESTAMP = Timestamp(1_767_225_600 * MICROS)
"""2026-01-01 00:00 UTC, always the same: a run shows the same times whenever it is made."""


class Standstill(RuntimeError):
    """Everything waits for something that no timer brings: a bug, and no time would cure it."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own; it begins at `START_INSTANT`."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class VirtualClock:
    """Implements `Clock` on the running loop, which is a `VirtualLoop`. `began`: when it began."""

    def __init__(self, began: Timestamp = START_TIMESTAMP) -> None:
        self._time = asyncio.get_running_loop().time
        self._began = began

    def now(self) -> Moment:
        instant = self._time()
        passed = round((instant - START_INSTANT) * MICROS)
        return Moment(Instant(instant), Timestamp(self._began + passed))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` comes to, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


class _JumpingSelector(selectors.SelectSelector):
    """Where a selector would wait for the next timer, this one moves the clock there.

    While tasks are busy (`timeout` 0) the system is not asked: signals are seen between the jumps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = START_INSTANT

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []
        woken = super().select(0)
        if woken:
            return woken
        if timeout is None:
            message = "every task waits, and no timer will wake one"
            raise Standstill(message)
        self.now += timeout
        return []
