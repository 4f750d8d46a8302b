from __future__ import annotations

import asyncio
from random import Random
from time import perf_counter

import pytest

from gateway.events import Event, ProcessStopped
from gateway.spine import Lagged, Spine, Tail
from gateway.units import Timestamp
from tests.fakes import FakeClock, settle
from tests.gateway.test_delivery import BATCH_SECONDS, ListRescue, ListSink, spine_with
from tests.storage.samples import ALL_KINDS, example

EMIT_SECONDS_MAX = 50e-6
"""Ten times what it takes on a quiet machine with four sinks: a test may share its processor."""


def note(text: str = "test") -> Event:
    return ProcessStopped(ts=Timestamp(1), reason=text)


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


@pytest.fixture
def spine(clock: FakeClock) -> Spine:
    return Spine(
        clock=clock, rng=Random(1), boot_id="boot", config_version="one", tail_events_max=5
    )


def test_events_are_numbered_from_one_without_gaps_and_carry_their_configuration(
    spine: Spine,
) -> None:
    spine.emit_all([note("a"), note("b")])
    spine.config_version = "two"
    spine.emit(note("c"))
    stamps = [(each.seq, each.boot_id, each.config_version) for each in spine.recent()]
    assert stamps == [(1, "boot", "one"), (2, "boot", "one"), (3, "boot", "two")]


def test_every_kind_of_event_can_be_emitted_before_and_after_the_spine_runs(spine: Spine) -> None:
    for kind in ALL_KINDS:
        spine.emit(example(kind))
    assert [stamped.seq for stamped in spine.recent()] == list(range(1, len(ALL_KINDS) + 1))


def test_only_the_last_events_stay_in_memory(spine: Spine) -> None:
    spine.emit_all([note()] * 1200)
    assert [stamped.seq for stamped in spine.recent()] == list(range(701, 1201))
    assert [stamped.seq for stamped in spine.recent(after=1198)] == [1199, 1200]


def test_emitting_costs_microseconds(clock: FakeClock) -> None:
    spine = spine_with(clock, ListSink(), queue_bytes_max=100_000_000)
    event = note()
    times = []
    for _ in range(5):
        began = perf_counter()
        for _ in range(2000):
            spine.emit(event)
        times.append((perf_counter() - began) / 2000)
    assert min(times) < EMIT_SECONDS_MAX


async def test_a_tail_sees_what_comes_after_it_subscribed(spine: Spine) -> None:
    spine.emit(note("before"))
    with spine.subscribe() as tail:
        spine.emit_all([note("a"), note("b")])
        assert [await next_seq(tail) for _ in range(2)] == [2, 3]
    spine.emit(note("after"))


async def test_a_slow_tail_is_told_how_much_it_missed(spine: Spine) -> None:
    with spine.subscribe() as tail:
        spine.emit_all([note()] * 12)
        assert await tail.next() == Lagged(7)
        assert [await next_seq(tail) for _ in range(5)] == [8, 9, 10, 11, 12]


async def test_a_tail_may_give_up_waiting_without_losing_anything(spine: Spine) -> None:
    with spine.subscribe() as tail:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await tail.next()
        spine.emit(note())
        assert await next_seq(tail) == 1


async def test_tails_end_with_the_spine_after_what_they_had_not_seen(spine: Spine) -> None:
    with spine.subscribe() as tail:
        async with spine:
            spine.emit(note())
        assert [found async for found in tail] == spine.recent()


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


async def next_seq(tail: Tail) -> int:
    found = await tail.next()
    assert found is not None
    assert not isinstance(found, Lagged)
    return found.seq
