from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.events import Event, ProcessStopped, Stamped
from gateway.units import Timestamp
from tests.fakes import FakeClock, settle
from tests.gateway.test_delivery import BATCH_SECONDS, ListRescue, ListSink, spine_with
from tests.storage.samples import ALL_KINDS, example


def note(text: str = "test") -> Event:
    return ProcessStopped(ts=Timestamp(1), reason=text)


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


class Stamps:
    """A sink that keeps everything as the spine hands it out."""

    name = "stamps"

    def __init__(self) -> None:
        self.taken: list[Stamped] = []

    async def take(self, batch: Sequence[Stamped]) -> None:
        self.taken += batch

    async def close(self) -> None: ...


async def test_events_are_numbered_from_one_without_gaps_and_carry_their_configuration(
    clock: FakeClock,
) -> None:
    stamps = Stamps()
    async with spine_with(clock, stamps) as spine:
        spine.emit_all([note("a"), note("b")])
        spine.config_version = "two"
        spine.emit(note("c"))
        assert spine.emitted == 3
    told = [(each.seq, each.boot_id, each.config_version) for each in stamps.taken]
    assert told == [(1, "boot", "one"), (2, "boot", "one"), (3, "boot", "two")]


async def test_every_kind_of_event_can_be_emitted_before_and_while_the_spine_runs(
    clock: FakeClock,
) -> None:
    stamps = Stamps()
    spine = spine_with(clock, stamps)
    for kind in ALL_KINDS[:5]:
        spine.emit(example(kind))
    async with spine:
        for kind in ALL_KINDS[5:]:
            spine.emit(example(kind))
    assert [type(stamped.event) for stamped in stamps.taken] == list(ALL_KINDS)


async def test_what_was_emitted_has_settled_once_the_sink_took_it(
    clock: FakeClock, sink: ListSink
) -> None:
    async with spine_with(clock, sink) as spine:
        assert await spine.settled("list", 1.0)
        spine.emit(note())
        assert await spine.settled("list", 1.0)
        assert sink.seqs == [1]
        assert clock.now() == FakeClock().now()


async def test_events_that_wait_for_company_do_not_keep_a_reader_waiting(
    clock: FakeClock, sink: ListSink
) -> None:
    async with spine_with(clock, sink, batch_seconds=3600) as spine:
        spine.emit(note())
        await settle()
        assert sink.seqs == []
        assert await spine.settled("list", 1.0)


async def test_a_broken_sink_has_not_settled_in_time(clock: FakeClock, sink: ListSink) -> None:
    sink.broken = True
    async with spine_with(clock, sink) as spine:
        spine.emit(note())
        assert not await clock.drive(spine.settled("list", 2.0))
        sink.broken = False
        assert await clock.drive(spine.settled("list", 60.0))


async def test_rescued_events_have_settled_only_once_the_sink_took_them(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    async with spine_with(clock, sink, rescue=ListRescue()) as spine:
        spine.emit_all([note()] * 15)
        await clock.advance(BATCH_SECONDS * 20)
        assert spine.stats()["list"].queued_events == 0
        assert not await clock.drive(spine.settled("list", 1.0))
        sink.broken = False
        assert await clock.drive(spine.settled("list", 60.0))
        assert sink.seqs == list(range(1, 16))
