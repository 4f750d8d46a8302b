from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gateway.clock import SystemClock
from gateway.events import ProcessStopped, Stamped
from gateway.units import Timestamp
from tests.benchmarks.variant import Chosen


class Sink:
    def __init__(self, name: str) -> None:
        self.name = name
        self.taken: list[Stamped] = []
        self.closed = False

    async def take(self, batch: Sequence[Stamped]) -> None:
        self.taken += batch

    async def close(self) -> None:
        self.closed = True


class OnlyRows(Chosen):
    names = frozenset({"storage"})


async def test_only_the_chosen_sinks_are_told_and_all_are_known() -> None:
    spine = OnlyRows(clock=SystemClock(), rng=Random(1), boot_id="boot", config_version="1")
    sinks = [Sink("storage"), Sink("metrics"), Sink("log")]
    for sink in sinks:
        spine.attach(sink, batch_seconds=0, batch_events_max=10, queue_bytes_max=10_000)
    async with spine:
        spine.emit(ProcessStopped(ts=Timestamp(1), reason="test"))
        for sink in sinks:
            assert await spine.settled(sink.name, 5)
            assert await spine.safe(sink.name, 5)
        assert {name: each.written for name, each in spine.stats().items()} == {
            "storage": 1,
            "metrics": 0,
            "log": 0,
        }
    assert [len(sink.taken) for sink in sinks] == [1, 0, 0]
    assert all(sink.closed for sink in sinks)
