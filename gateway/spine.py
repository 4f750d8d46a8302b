"""Where every event goes through: numbered here, then handed to the sinks.

`emit` never waits and never raises; how an event reaches its sink is `delivery`'s work. Belongs to
one event loop: `emit` is not for other threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Final

from gateway.delivery import Delivery
from gateway.delivery_parts import Limits, Notes, Rescue, Sink, SinkStats, size_of
from gateway.events import Event, Stamped
from gateway.units import Clock, Instant

DRAIN_SECONDS: Final = 5.0
"""At the end, for all queues together; what is left then is rescued or counted as dropped."""


class Spine:
    """Emits to all attached sinks; `async with` runs them, and drains and closes them at its end."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: Random,
        boot_id: str,
        config_version: str,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self.config_version = config_version
        """Of the events to come; set at a reload."""
        self.boot_id = boot_id
        self._clock = clock
        self._rng = rng
        self._seq = 0
        self._drain_seconds = drain_seconds
        self._deliveries: dict[str, Delivery] = {}
        self._group = asyncio.TaskGroup()
        self._loop: asyncio.AbstractEventLoop | None = None
        """None until the spine runs."""
        self._fresh: list[Stamped] = []
        self._handing_out = False
        self._urgent: frozenset[type[Event]] = frozenset()

    def attach(
        self,
        sink: Sink,
        *,
        batch_seconds: float,
        batch_events_max: int,
        queue_bytes_max: int,
        rescue: Rescue | None = None,
        urgent: Collection[type[Event]] = (),
        notes: Notes | None = None,
    ) -> None:
        """Before the spine runs. An event waits `batch_seconds` for others to share a batch,
        unless it is of a kind in `urgent`: such ones are noted at once, too."""
        assert sink.name not in self._deliveries
        self._urgent |= frozenset(urgent)
        self._deliveries[sink.name] = Delivery(
            sink,
            Limits(batch_seconds, batch_events_max, queue_bytes_max, frozenset(urgent)),
            rescue=rescue,
            notes=notes,
            boot_id=self.boot_id,
            clock=self._clock,
            rng=self._rng,
            tell=self._tell,
        )

    def emit(self, event: Event) -> None:
        self.emit_all((event,))

    def emit_all(self, events: Sequence[Event]) -> None:
        """Number them and hand them on. Takes a microsecond, whatever state the sinks are in.

        What is emitted in one turn of the loop reaches the sinks' queues together, at its end;
        together with something urgent, at once.
        """
        fresh, urgent = self._fresh, False
        for event in events:
            self._seq += 1
            fresh.append(Stamped(self._seq, self.boot_id, self.config_version, event))
            urgent = urgent or type(event) in self._urgent
        if urgent:
            self._hand_out(urgent=True)
        elif not self._handing_out and self._loop is not None and fresh:
            self._handing_out = True
            self._loop.call_soon(self._hand_out)

    def _hand_out(self, *, urgent: bool = False) -> None:
        self._handing_out = False
        if self._fresh:
            fresh, self._fresh = self._fresh, []
            size = sum([size_of(stamped.event) for stamped in fresh])
            for delivery in self._deliveries.values():
                delivery.put(fresh, size, urgent=urgent)

    def _tell(self, event: Event) -> None:
        """Of a delivery that may be about to end."""
        self.emit(event)
        self._hand_out()

    @property
    def emitted(self) -> int:
        """How many events there were since the start of the process: the last one's `seq`."""
        return self._seq

    async def settled(self, name: str, timeout_seconds: float) -> bool:
        """Whether that sink has taken, within this time, all it had accepted when asked."""
        self._hand_out()
        return await self._deliveries[name].settled(timeout_seconds)

    async def safe(self, name: str, timeout_seconds: float) -> bool:
        """Whether, within this time, all emitted so far outlives the process: it is with that
        sink, or in its rescue file."""
        self._hand_out()
        return await self._deliveries[name].safe(self._seq, timeout_seconds)

    def stats(self) -> Mapping[str, SinkStats]:
        """By the sinks' names, in the order of their attachment."""
        self._hand_out()
        return {name: delivery.stats() for name, delivery in self._deliveries.items()}

    async def __aenter__(self) -> Spine:
        self._loop = asyncio.get_running_loop()
        self._hand_out()
        await self._group.__aenter__()
        for name, delivery in self._deliveries.items():
            self._group.create_task(delivery.run(), name=f"sink {name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = Instant(self._clock.now().instant + self._drain_seconds)
        self._hand_out()
        deliveries = self._deliveries.values()
        for delivery in deliveries:
            delivery.ask_to_finish()
        for delivery in deliveries:
            await delivery.stop(deadline)
        # None: an error of the body goes its own way and needs no wrapping in a group.
        await self._group.__aexit__(None, None, None)
        for delivery in deliveries:
            await delivery.finish()
