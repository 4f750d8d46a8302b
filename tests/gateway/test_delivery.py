from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery_parts import Rescue, Sink
from gateway.events import ConfigRejected, DataGap, Event, ProcessStopped, Stamped
from gateway.spine import Spine
from gateway.units import Timestamp
from tests.fakes import FakeClock, settle

BATCH_SECONDS = 0.05
EVENT_BYTES_MAX = 500
"""A `ProcessStopped` or `DataGap` is taken for less than this."""


class ListSink:
    """Keeps what it takes; refuses while `broken`, and may do so after having kept the batch."""

    name = "list"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.events: list[Event] = []
        self.broken = False
        self.keeps_and_fails = False
        self.slow_seconds = 0.0
        self.closed = False
        self.clock: FakeClock | None = None

    async def take(self, batch: Sequence[Stamped]) -> None:
        if self.clock is not None:
            await self.clock.sleep(self.slow_seconds)
        if not self.broken or self.keeps_and_fails:
            self.batches.append([stamped.seq for stamped in batch])
            self.events += [stamped.event for stamped in batch]
        if self.broken:
            raise ConnectionError("no room")

    async def close(self) -> None:
        self.closed = True

    @property
    def seqs(self) -> list[int]:
        """Each once, in the order in which they came first."""
        return list(dict.fromkeys(seq for batch in self.batches for seq in batch))


class ListRescue:
    """A rescue file that is a list."""

    def __init__(self, *waiting: Stamped) -> None:
        self.waiting = list(waiting)
        self.refuses = False
        self.unreadable = False
        self._shown = 0

    @property
    def bytes_waiting(self) -> int:
        return len(self.waiting)

    async def append(self, batch: Sequence[Stamped]) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise OSError("disk full")
        self.waiting += batch

    async def oldest(self, events_max: int) -> Sequence[Stamped]:
        await asyncio.sleep(0)
        if self.unreadable:
            raise OSError("bad sector")
        shown = self.waiting[:events_max]
        self._shown = len(shown)
        return shown

    async def forget(self) -> None:
        await asyncio.sleep(0)
        del self.waiting[: self._shown]


_SINK: type[Sink] = ListSink
_RESCUE: type[Rescue] = ListRescue


def note(number: int = 0) -> Event:
    return ProcessStopped(ts=Timestamp(number), reason="test")


def spine_with(clock: FakeClock, sink: Sink, **changes: Any) -> Spine:
    spine = Spine(clock=clock, rng=Random(1), boot_id="boot", config_version="one")
    limits: dict[str, Any] = {
        "batch_seconds": BATCH_SECONDS,
        "batch_events_max": 10,
        "queue_bytes_max": 100_000,
    }
    spine.attach(sink, **(limits | changes))
    return spine


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


async def test_events_that_come_together_share_a_batch(clock: FakeClock, sink: ListSink) -> None:
    async with spine_with(clock, sink) as spine:
        spine.emit_all([note(), note(), note()])
        await clock.advance(BATCH_SECONDS / 2)
        assert sink.batches == []
        await clock.advance(BATCH_SECONDS)
        assert sink.batches == [[1, 2, 3]]


async def test_a_full_batch_does_not_wait_and_none_is_larger(
    clock: FakeClock, sink: ListSink
) -> None:
    async with spine_with(clock, sink) as spine:
        spine.emit_all([note()] * 25)
        await settle()
        assert [len(batch) for batch in sink.batches] == [10, 10]
        await clock.advance(BATCH_SECONDS)
        assert [len(batch) for batch in sink.batches] == [10, 10, 5]


async def test_a_failing_sink_is_given_the_same_events_again(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    async with spine_with(clock, sink) as spine:
        spine.emit_all([note()] * 3)
        await clock.advance(1.0)
        failing = spine.stats()["list"]
        assert failing.failures > 1
        assert failing.last_error == "ConnectionError: no room"
        assert (failing.queued_events, failing.written, failing.dropped) == (3, 0, 0)
        sink.broken = False
        spine.emit(note())
        await clock.advance(10.0)
        assert sink.seqs == [1, 2, 3, 4]
        assert spine.stats()["list"].last_error == ""
        assert spine.stats()["list"].queued_bytes == 0


async def test_the_pause_between_failures_grows_up_to_five_seconds(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    async with spine_with(clock, sink) as spine:
        spine.emit(note())
        await clock.advance(60.0)
        early = spine.stats()["list"].failures
        await clock.advance(600.0)
        assert 600 / 5 <= spine.stats()["list"].failures - early <= 600 / 2.5
        sink.broken = False


async def test_a_failing_sink_does_not_delay_the_others(clock: FakeClock, sink: ListSink) -> None:
    broken = ListSink()
    broken.name, broken.broken = "broken", True
    spine = spine_with(clock, sink)
    spine.attach(broken, batch_seconds=0, batch_events_max=10, queue_bytes_max=10_000)
    async with spine:
        for _ in range(20):
            spine.emit(note())
            await clock.advance(BATCH_SECONDS * 2)
        assert len(sink.seqs) == 20
        broken.broken = False


async def test_a_full_queue_drops_counts_and_tells_of_it_once_it_works_again(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    async with spine_with(clock, sink, queue_bytes_max=5 * EVENT_BYTES_MAX) as spine:
        spine.emit_all([note(number) for number in range(1, 51)])
        await clock.advance(1.0)
        stats = spine.stats()["list"]
        kept = stats.queued_events
        assert 5 <= kept < 50
        assert stats.dropped == 50 - kept
        assert stats.queued_bytes <= 5 * EVENT_BYTES_MAX
        sink.broken = False
        await clock.advance(10.0)
    gaps = [event for event in sink.events if isinstance(event, DataGap)]
    assert [(gap.sink, gap.dropped, gap.since) for gap in gaps] == [("list", 50 - kept, kept + 1)]
    assert sink.seqs == [*range(1, kept + 1), 51]


async def test_what_a_sink_cannot_take_goes_to_the_rescue_file_and_comes_back_first(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    rescue = ListRescue()
    async with spine_with(clock, sink, rescue=rescue) as spine:
        spine.emit_all([note()] * 25)
        await clock.advance(1.0)
        assert [stamped.seq for stamped in rescue.waiting] == list(range(1, 26))
        assert spine.stats()["list"].queued_events == 0
        assert spine.stats()["list"].journal_bytes == 25
        sink.broken = False
        spine.emit(note())
        await clock.advance(10.0)
        assert rescue.waiting == []
    assert sink.seqs == list(range(1, 27))
    assert spine.stats()["list"].dropped == 0


async def test_what_an_earlier_process_rescued_is_given_before_anything_new(
    clock: FakeClock, sink: ListSink
) -> None:
    earlier = [Stamped(seq, "earlier boot", "zero", note()) for seq in (100, 101)]
    rescue = ListRescue(*earlier)
    async with spine_with(clock, sink, rescue=rescue) as spine:
        spine.emit(note())
        await clock.advance(BATCH_SECONDS)
    assert sink.batches == [[100, 101], [1]]


async def test_a_rescue_file_that_is_full_leaves_the_events_in_the_queue(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    rescue = ListRescue()
    rescue.refuses = True
    async with spine_with(clock, sink, rescue=rescue) as spine:
        spine.emit_all([note()] * 3)
        await clock.advance(1.0)
        assert spine.stats()["list"].queued_events == 3
        sink.broken = False
        await clock.advance(10.0)
    assert sink.seqs == [1, 2, 3]


async def test_a_rescue_file_that_cannot_be_read_does_not_hold_up_new_events(
    clock: FakeClock, sink: ListSink
) -> None:
    rescue = ListRescue(Stamped(1, "earlier boot", "zero", note()))
    rescue.unreadable = True
    async with spine_with(clock, sink, rescue=rescue) as spine:
        spine.emit(note())
        await clock.advance(1.0)
        assert sink.batches == [[1]]


async def test_the_end_gives_what_is_queued_and_closes_the_sink(
    clock: FakeClock, sink: ListSink
) -> None:
    async with spine_with(clock, sink) as spine:
        spine.emit_all([note()] * 25)
    assert sink.seqs == list(range(1, 26))
    assert sink.closed


async def test_the_end_rescues_what_a_broken_sink_does_not_take(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    rescue = ListRescue()
    async with spine_with(clock, sink, rescue=rescue) as spine:
        spine.emit_all([note()] * 25)
    assert len(rescue.waiting) == 25
    assert spine.stats()["list"].dropped == 0
    assert sink.closed


async def test_the_end_does_not_wait_for_ever_for_a_sink_that_hangs(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.clock, sink.slow_seconds = clock, 1e9
    rescue = ListRescue()
    spine = spine_with(clock, sink, rescue=rescue)

    async def life() -> None:
        async with spine:
            spine.emit_all([note()] * 3)

    began = clock.now().instant
    await clock.drive(life())
    assert clock.now().instant - began < 10
    assert len(rescue.waiting) == 3


async def test_the_end_counts_what_is_lost_with_a_sink_that_fails_for_good(
    clock: FakeClock, sink: ListSink
) -> None:
    sink.broken = True
    spine = spine_with(clock, sink)

    async def life() -> None:
        async with spine:
            spine.emit_all([note()] * 3)

    await clock.drive(life())
    assert spine.stats()["list"].dropped == 3
    assert spine.stats()["list"].queued_bytes == 0
    spine.emit(note())
    assert spine.stats()["list"].dropped == 4


async def test_an_error_inside_is_not_wrapped_and_the_sinks_are_closed(
    clock: FakeClock, sink: ListSink
) -> None:
    async def life() -> None:
        async with spine_with(clock, sink) as spine:
            spine.emit(note())
            raise LookupError

    with pytest.raises(LookupError):
        await life()
    assert sink.seqs == [1]
    assert sink.closed


async def test_a_long_list_counts_with_its_length(clock: FakeClock, sink: ListSink) -> None:
    async with spine_with(clock, sink) as spine:
        spine.emit(ConfigRejected(ts=Timestamp(1), problems=("x" * 4000,) * 10))
        assert spine.stats()["list"].queued_bytes > 40_000


STEPS = st.one_of(
    st.integers(1, 12),
    st.floats(0.01, 3.0),
    st.sampled_from(["break", "mend", "break late", "disk full", "disk free"]),
)


async def play(steps: list[Any], *, queue_bytes_max: int) -> tuple[Spine, ListSink, ListRescue]:
    """Numbers of events, seconds, and what happens to sink and disk; at the end all is well."""
    clock, sink, rescue = FakeClock(), ListSink(), ListRescue()
    spine = spine_with(clock, sink, rescue=rescue, queue_bytes_max=queue_bytes_max)
    async with spine:
        for step in [*steps, "mend", "disk free", 30.0, 1, 30.0]:
            match step:
                case int():
                    spine.emit_all([note()] * step)
                case float():
                    await clock.advance(step)
                case "break" | "mend" | "break late":
                    sink.broken = step != "mend"
                    sink.keeps_and_fails = step == "break late"
                case _:
                    rescue.refuses = step == "disk full"
    return spine, sink, rescue


@settings(deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
async def test_nothing_is_lost_and_order_is_kept_while_sink_and_disk_fail_and_recover(
    steps: list[Any],
) -> None:
    spine, sink, rescue = await play(steps, queue_bytes_max=1_000_000)
    emitted = sum(step for step in steps if isinstance(step, int)) + 1
    assert sink.seqs == list(range(1, emitted + 1))
    assert rescue.waiting == []
    assert spine.stats()["list"].dropped == 0


@settings(deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
async def test_whatever_is_lost_is_counted_and_told(steps: list[Any]) -> None:
    spine, sink, _ = await play(steps, queue_bytes_max=6 * EVENT_BYTES_MAX)
    assert sink.seqs == sorted(sink.seqs)
    emitted = spine.emitted
    dropped = spine.stats()["list"].dropped
    assert emitted - len(sink.seqs) == dropped
    gaps = {id(event): event for event in sink.events if isinstance(event, DataGap)}
    assert sum(gap.dropped for gap in gaps.values()) == dropped
