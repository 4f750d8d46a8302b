"""When an event outlives the process, and what is told where it cannot."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from gateway.events import CooldownEnded, Stamped, Switched
from tests.fakes import FakeClock, settle
from tests.gateway.test_delivery import EVENT_BYTES_MAX, ListRescue, ListSink, note, spine_with
from tests.storage.samples import example

MINUTE = 60.0


async def test_an_urgent_event_waits_for_no_company_and_takes_along_what_waits() -> None:
    clock, sink = FakeClock(), ListSink()
    spine = spine_with(clock, sink, urgent=(Switched, CooldownEnded))
    async with spine:
        spine.emit(note())
        await settle()
        assert sink.batches == []
        spine.emit(example(Switched))
        await settle()
        assert sink.batches == [[1, 2]]


async def test_many_who_wait_share_a_batch() -> None:
    clock, sink = FakeClock(), ListSink()
    spine = spine_with(clock, sink)
    async with spine:
        waiting = []
        for _ in range(5):
            spine.emit(note())
            waiting.append(asyncio.ensure_future(spine.safe("list", MINUTE)))
        assert await asyncio.gather(*waiting) == [True] * 5
        assert sink.batches == [[1, 2, 3, 4, 5]]
        assert await spine.safe("list", MINUTE)


async def test_what_is_in_the_rescue_file_is_safe_though_not_settled() -> None:
    clock, sink, rescue = FakeClock(), ListSink(), ListRescue()
    sink.broken = True
    spine = spine_with(clock, sink, rescue=rescue)
    async with spine:
        spine.emit(note())
        assert await spine.safe("list", MINUTE)
        assert [stamped.seq for stamped in rescue.waiting] == [1]
        assert spine.stats()["list"].unsafe == 0
        sink.broken = False


async def test_where_neither_takes_it_the_wait_ends_and_is_counted() -> None:
    clock, sink, rescue = FakeClock(), ListSink(), ListRescue()
    sink.broken = rescue.refuses = True
    spine = spine_with(clock, sink, rescue=rescue)
    async with spine:
        spine.emit(note())
        asking = asyncio.ensure_future(spine.safe("list", 2.0))
        await settle()
        assert not asking.done()
        await clock.advance(2.1)
        assert await asking is False
        assert spine.stats()["list"].unsafe == 1
        sink.broken = rescue.refuses = False


async def test_while_events_are_lost_nobody_waits_and_it_is_said_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, sink = FakeClock(), ListSink()
    sink.broken = True
    spine = spine_with(clock, sink, queue_bytes_max=EVENT_BYTES_MAX)
    async with spine:
        for _ in range(4):
            spine.emit(note())
        assert spine.stats()["list"].losing
        assert not await spine.safe("list", MINUTE)
        told = [each for each in caplog.records if "events are being lost" in each.message]
        assert [each.levelname for each in told] == ["ERROR"]
        sink.broken = False
        await clock.advance(MINUTE)
        await settle()
        assert not spine.stats()["list"].losing
        assert await spine.safe("list", MINUTE)
    dropped = spine.stats()["list"].dropped
    assert [e.dropped for e in sink.events if e.kind == "data_gap"] == [dropped]  # type: ignore[union-attr]


class ListNotes:
    def __init__(self) -> None:
        self.noted: list[int] = []
        self.closed = False

    def note(self, batch: Sequence[Stamped]) -> None:
        self.noted += [stamped.seq for stamped in batch]

    def strike_out(self) -> None:
        self.noted.clear()

    def close(self) -> None:
        self.closed = True


async def test_an_urgent_event_is_noted_when_it_is_emitted_and_until_it_is_safe() -> None:
    clock, sink, rescue, notes = FakeClock(), ListSink(), ListRescue(), ListNotes()
    sink.broken = rescue.refuses = True
    spine = spine_with(clock, sink, rescue=rescue, urgent=(Switched,), notes=notes)
    async with spine:
        spine.emit(note())
        spine.emit(example(Switched))
        assert notes.noted == [1, 2]
        await clock.advance(1.0)
        assert notes.noted == [1, 2]
        rescue.refuses = False
        await clock.advance(5.0)
        await settle()
        assert notes.noted == []
        sink.broken = False
    assert notes.closed


async def test_what_a_slow_sink_keeps_waiting_is_noted_in_order() -> None:
    clock, sink, notes = FakeClock(), ListSink(), ListNotes()
    sink.clock, sink.slow_seconds = clock, 1.0
    spine = spine_with(clock, sink, notes=notes)
    async with spine:
        for _ in range(4):
            spine.emit(note())
            await clock.advance(0.03)
        await clock.advance(0.1)
        while_slow = list(notes.noted)
        sink.clock = None
        for _ in range(5):
            await clock.advance(1.0)
        afterwards = list(notes.noted)
    assert while_slow == [1, 2, 3, 4]
    assert afterwards == []
    assert sink.seqs == [1, 2, 3, 4]


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Also where the loop is never given back, which no timer of the loop could tell."""

    def too_long(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def test_a_spine_that_was_idle_ends() -> None:
    notes = ListNotes()
    with no_longer_than(20.0):
        async with spine_with(FakeClock(), ListSink(), notes=notes):
            await settle()
    assert notes.closed
