"""What a delivery works with: its sink, its rescue file, its notes, its limits. Protocols and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, get_args

from gateway.events import ConfigRejected, ConfigReloaded, Event, Stamped

_SIZES: Final = {kind: 200 + 64 * len(kind.__struct_fields__) for kind in get_args(Event)}
"""Bytes in memory, roughly: a slot and a short string for each field."""
_SIZE_UNKNOWN: Final = 2048


def size_of(event: Event) -> int:
    size = _SIZES.get(type(event), _SIZE_UNKNOWN)
    if isinstance(event, ConfigReloaded):
        return size + sum(map(len, event.changes))
    if isinstance(event, ConfigRejected):
        return size + sum(map(len, event.problems))
    return size


class Sink(Protocol):
    """Something that is told all events, in order, in batches."""

    name: str

    async def take(self, batch: Sequence[Stamped]) -> None:
        """May raise anything; the same events are then given again, perhaps with more of them."""

    async def close(self) -> None: ...


class Rescue(Protocol):
    """Where events wait that their sink cannot take. Methods may raise OSError."""

    @property
    def bytes_waiting(self) -> int: ...

    async def append(self, batch: Sequence[Stamped]) -> None:
        """Keeps the batch whole, on the disk, or raises and has kept nothing of it."""

    async def oldest(self, events_max: int) -> Sequence[Stamped]:
        """The events that wait longest. May be empty though bytes wait: none were readable."""

    async def forget(self) -> None:
        """What `oldest` last returned need not wait any longer."""


class Notes(Protocol):
    """Where events are noted, in order, until they are safe: the urgent ones at once, the others
    when that takes long. Methods neither wait nor raise."""

    def note(self, batch: Sequence[Stamped]) -> None: ...

    def strike_out(self) -> None:
        """Everything that is noted is safe."""

    def close(self) -> None:
        """The same, for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStats:
    """Of one sink since the start of the process."""

    queued_events: int
    queued_bytes: int
    written: int
    """Events the sink has taken, those from the rescue file included."""
    dropped: int
    losing: bool
    """Events are lost now, or were and nothing in the history says so yet."""
    unsafe: int
    """How often somebody who waited for his events to be safe waited in vain."""
    failures: int
    last_error: str
    """Empty if the last batch went well."""
    journal_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    batch_seconds: float
    batch_events_max: int
    queue_bytes_max: int
    urgent: frozenset[type[Event]] = frozenset()
    """Kinds that wait for no company."""
