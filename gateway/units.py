"""The small types everything else is measured in.

Two clocks exist and must never be mixed: `Instant` (monotonic, for timers) and `Timestamp`
(Unix, for people and for rows). A `Moment` is both readings taken together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, Protocol

from msgspec import Struct

Seconds = NewType("Seconds", float)
Instant = NewType("Instant", float)
"""Seconds on the monotonic clock; meaningless outside this process."""
Timestamp = NewType("Timestamp", int)
"""Microseconds since the Unix epoch, UTC."""

RequestId = NewType("RequestId", str)
AttemptId = NewType("AttemptId", str)
"""`<request id>.<n>`, n being the candidate's place in the request's list, from 1."""

MICROS = 1_000_000


class Moment(Struct, frozen=True, gc=False):
    """Both clocks, read together; what the core is given for `now`."""

    instant: Instant
    timestamp: Timestamp

    def later(self, seconds: float) -> Moment:
        """The moment `seconds` from here, if no clock is set meanwhile."""
        instant = Instant(self.instant + seconds)
        return Moment(instant, self.at(instant))

    def at(self, instant: Instant) -> Timestamp:
        """The Unix time at which the monotonic clock reads `instant`.

        Each reading is rounded by itself, so that two moments of one clock give the same answer.
        """
        return Timestamp(self.timestamp + round(instant * MICROS) - round(self.instant * MICROS))


class Clock(Protocol):
    """The only source of time for the shell; the core gets `Moment`s."""

    def now(self) -> Moment: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that may be sent to its provider and shown to nobody."""

    _value: str

    def reveal(self) -> str:
        """The value itself: only for a header to upstream, or for comparing."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
