"""One sink's queue and the task that empties it, whatever state the sink is in.

A sink that fails is given the same events again, after a growing pause, while its queue fills up
to its bound in bytes. With a rescue file nothing is lost meanwhile: what the sink cannot take
goes there, and to the sink later, oldest first. An event leaves the queue once it is safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from gateway.delivery_parts import Limits, Notes, Rescue, Sink, SinkStats, size_of
from gateway.delivery_waiting import Flag
from gateway.events import DataGap, Event, Stamped
from gateway.units import Clock, Instant, Timestamp

BACKOFF_SECONDS: Final = (0.1, 5.0)
"""Of a failing sink: first pause and longest one, each drawn from its upper half."""
RESCUE_SECONDS: Final = 0.25
"""While a sink fails, its queue goes to the rescue file this often, or once a batch if slower."""
LATE_SECONDS: Final = 0.01
LATE_TURNS: Final = 4
"""What waits in a queue for so many times that, and once more at most, is noted."""
CLOSE_SECONDS: Final = 5.0
"""For one sink to close: a hanging one may not keep the process alive."""
ERROR_CHARS_MAX: Final = 300

log = logging.getLogger(__name__)


class Delivery:
    """From `put` to the sink's `take`. `run` is its task; the other methods never wait for it."""

    def __init__(
        self,
        sink: Sink,
        limits: Limits,
        *,
        rescue: Rescue | None,
        notes: Notes | None,
        boot_id: str,
        clock: Clock,
        rng: Random,
        tell: Callable[[Event], None],
    ) -> None:
        self._sink = sink
        self._limits = limits
        self._rescue = rescue
        self._notes = notes
        self._noted = 0
        """Highest `seq` among the notes; 0 where there are none."""
        self._boot_id = boot_id
        self._clock = clock
        self._rng = rng
        self._tell = tell
        self._queue: deque[tuple[Sequence[Stamped], int]] = deque()
        """As they were handed out, with their bytes: shared with the other deliveries."""
        self._batch: list[Stamped] = []
        """What was taken from it to be given, and is still counted as queued."""
        self._batch_bytes = 0
        self._queued = 0
        self._since = Instant(0.0)
        """When the first of `_queue` came."""
        self._bytes = 0
        self._accepted = self._taken = 0
        """Highest `seq` in the queue so far, and that up to which all accepted ones are taken."""
        self._safe = self._unsafe = 0
        """Highest `seq` up to which all accepted ones outlive the process; how often `safe` failed."""
        self._written = self._dropped = self._failures = self._failed_in_a_row = 0
        self._last_error = ""
        self._gap = 0
        self._gap_since = Timestamp(0)
        self._rescue_readable = True
        self._some, self._hurry, self._progress = Flag(), Flag(), Flag()
        self._finishing, self._done = Flag(), Flag()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def put(self, fresh: Sequence[Stamped], size: int, *, urgent: bool) -> None:
        """`size`: their bytes; `urgent`: one of them may be of a kind that is."""
        if self._closed or self._bytes + size > self._limits.queue_bytes_max:
            fresh, size = self._fitting(fresh)
            if not fresh:
                return
        if not self._queue:
            self._since = self._clock.now().instant
        self._queue.append((fresh, size))
        self._queued += len(fresh)
        self._bytes += size
        self._accepted = fresh[-1].seq
        self._some.set()
        if urgent:
            urgent = any(type(each.event) in self._limits.urgent for each in fresh)
            if urgent and self._notes is not None:
                self._note(self._accepted)
        if urgent or self._queued >= self._limits.batch_events_max:
            self._hurry.set()

    def _fitting(self, fresh: Sequence[Stamped]) -> tuple[Sequence[Stamped], int]:
        """Those for which there is room; the others are dropped."""
        room = -1 if self._closed else self._limits.queue_bytes_max - self._bytes
        found, total = [], 0
        for stamped in fresh:
            size = size_of(stamped.event)
            if total + size > room:
                self._drop(stamped)
            else:
                found.append(stamped)
                total += size
        return found, total

    def stats(self) -> SinkStats:
        return SinkStats(
            queued_events=self._queued,
            queued_bytes=self._bytes,
            written=self._written,
            dropped=self._dropped,
            losing=self._gap > 0,
            unsafe=self._unsafe,
            failures=self._failures,
            last_error=self._last_error,
            journal_bytes=self._rescue.bytes_waiting if self._rescue is not None else 0,
        )

    async def settled(self, timeout_seconds: float) -> bool:
        """See `Spine.settled`; nothing waits for company while somebody waits for it."""
        wanted = self._accepted
        deadline = self._clock.now().instant + timeout_seconds
        while self._taken < wanted and not self._done.is_set():
            left = deadline - self._clock.now().instant
            if left <= 0:
                break
            self._hurry.set()
            await self._progress.wait(left, self._clock)
        return self._taken >= wanted

    async def safe(self, seq: int, timeout_seconds: float) -> bool:
        """Whether, within this time, all up to `seq` is in the sink or in the rescue file.

        False at once while events are being lost. Many who wait share one batch.
        """
        deadline = self._clock.now().instant + timeout_seconds
        while self._safe < seq and not self._gap and not self._done.is_set():
            left = deadline - self._clock.now().instant
            if left <= 0:
                break
            self._hurry.set()
            await self._progress.wait(left, self._clock)
        safe = self._safe >= seq and not self._gap
        self._unsafe += not safe
        return safe

    # -- the task ------------------------------------------------------------------------------

    async def run(self) -> None:
        self._task = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._note_late())
                await self._deliver()
                watch.cancel()
        finally:
            self._done.set()

    async def _note_late(self) -> None:
        """Notes what waits longer than it should: a disk that is slow must not make it lost."""
        # At the end `_some` stays set, and waiting for it would not let anybody else run.
        while self._notes is not None and not self._finishing.is_set():
            await self._some.wait()
            seen = deque((self._accepted,), maxlen=LATE_TURNS)
            while self._queued:
                await self._clock.sleep(LATE_SECONDS)
                if len(seen) == LATE_TURNS and self._oldest() <= seen[0]:
                    self._note(seen[0])
                seen.append(self._accepted)

    def _oldest(self) -> int:
        """The first `seq` that is queued, or the next one that will be."""
        if self._batch:
            return self._batch[0].seq
        return self._queue[0][0][0].seq if self._queue else self._accepted + 1

    def _note(self, last: int) -> None:
        """All in the queue up to that `seq`, in order, that is not noted yet."""
        assert self._notes is not None
        found: list[Sequence[Stamped]] = []
        for each in (*(fresh for fresh, _ in reversed(self._queue)), self._batch):
            if each and each[-1].seq <= self._noted:
                break
            found.append(each)
        late = [
            stamped
            for each in reversed(found)
            for stamped in each
            if self._noted < stamped.seq <= last
        ]
        if late:
            self._notes.note(late)
            self._noted = late[-1].seq

    async def _deliver(self) -> None:
        while True:
            await self._gather()
            if await self._replay() and await self._take():
                self._works()
            else:
                await self._save()
            if self._finishing.is_set() and not self._queued:
                return
            if self._failed_in_a_row:
                await self._pause()

    async def _gather(self) -> None:
        """Until a batch is worth its price: enough events, enough time, or somebody waits."""
        await asyncio.sleep(0)  # A sink that never waits would keep everybody else waiting.
        if self._waiting():
            return
        await self._some.wait()
        if not self._failed_in_a_row and self._queued < self._limits.batch_events_max:
            waited = self._clock.now().instant - self._since
            if waited < self._limits.batch_seconds:
                await self._hurry.wait(self._limits.batch_seconds - waited, self._clock)
        if not self._finishing.is_set():
            self._hurry.clear()

    async def _replay(self) -> bool:
        """Give the sink what waits in the rescue file; False if it still takes nothing."""
        while self._waiting():
            assert self._rescue is not None
            try:
                batch = await self._rescue.oldest(self._limits.batch_events_max)
                if batch and not await self._give(batch):
                    return False
                await self._rescue.forget()
            except OSError as error:
                # New events must not stand behind a file that cannot be read.
                self._rescue_readable = False
                self._last_error = _sentence(error)
                log.exception("rescued events cannot be read", extra={"sink": self._sink.name})
            else:
                own = [each.seq for each in batch if each.boot_id == self._boot_id]
                self._taken = max(self._taken, *own, 0)
                self._reached(self._taken)
        return True

    async def _take(self) -> bool:
        batch = self._first()
        if not batch:
            return True
        if not await self._give(batch):
            return False
        self._forget()
        self._taken = max(self._taken, batch[-1].seq)
        self._reached(batch[-1].seq)
        return True

    async def _give(self, batch: Sequence[Stamped]) -> bool:
        try:
            await self._sink.take(batch)
        except Exception as error:  # noqa: BLE001  # any sink may fail in any way; the others go on
            self._failures += 1
            self._last_error = _sentence(error)
            if not self._failed_in_a_row:
                extra = {"sink": self._sink.name, "cause": self._last_error}
                log.warning("a sink fails", extra=extra)
            self._failed_in_a_row += 1
            return False
        self._written += len(batch)
        return True

    async def _save(self) -> None:
        """Move the queue to the rescue file. What that cannot take stays in the queue."""
        while self._rescue is not None and (batch := self._first()):
            try:
                await self._rescue.append(batch)
            except OSError as error:
                self._last_error = _sentence(error)
                return
            self._forget()
            self._reached(batch[-1].seq)

    async def _pause(self) -> None:
        first, longest = BACKOFF_SECONDS
        seconds = min(longest, first * 2.0 ** min(self._failed_in_a_row - 1, 16))
        end = self._clock.now().instant + seconds * self._rng.uniform(0.5, 1.0)
        step = max(RESCUE_SECONDS, self._limits.batch_seconds)
        if self._finishing.is_set():
            await self._clock.sleep(end - self._clock.now().instant)
        while not self._finishing.is_set() and (left := end - self._clock.now().instant) > 0:
            await self._finishing.wait(min(left, step), self._clock)
            await self._save()

    def _works(self) -> None:
        if self._failed_in_a_row:
            log.info("a sink works again", extra={"sink": self._sink.name})
        self._failed_in_a_row = 0
        self._last_error = ""
        if self._gap and self._bytes * 2 <= self._limits.queue_bytes_max:
            dropped, self._gap = self._gap, 0
            self._tell(
                DataGap(
                    ts=self._clock.now().timestamp,
                    sink=self._sink.name,
                    dropped=dropped,
                    since=self._gap_since,
                )
            )

    # -- the end -------------------------------------------------------------------------------

    def ask_to_finish(self) -> None:
        for flag in (self._finishing, self._some, self._hurry):
            flag.set()

    async def stop(self, deadline: Instant) -> None:
        left = max(0.0, deadline - self._clock.now().instant)
        await self._done.wait(left, self._clock)
        if self._task is not None:
            self._task.cancel()

    async def finish(self) -> None:
        """What is still here is rescued, or lost and counted; then the sink closes."""
        await self._save()
        self._closed = True
        if self._notes is not None and not self._queued:
            self._notes.close()
        while batch := self._first():
            for stamped in batch:
                self._drop(stamped)
            self._forget()
        if self._gap:
            extra = {"sink": self._sink.name, "dropped": self._gap}
            log.error("events were lost", extra=extra)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._sink.close()
        except Exception as error:  # noqa: BLE001  # the other sinks must still be closed
            extra = {"sink": self._sink.name, "cause": _sentence(error)}
            log.warning("a sink did not close tidily", extra=extra)

    # -- the queue -----------------------------------------------------------------------------

    def _waiting(self) -> bool:
        return self._rescue is not None and self._rescue_readable and self._rescue.bytes_waiting > 0

    def _first(self) -> Sequence[Stamped]:
        """The oldest in the queue, as many as a batch may hold."""
        room = self._limits.batch_events_max - len(self._batch)
        if room and self._queue:
            self._batch = list(self._batch)  # A thread may still read what was given before.
        while room and self._queue:
            fresh, size = self._queue.popleft()
            if len(fresh) > room:
                rest = fresh[room:]
                fresh = fresh[:room]
                left = sum([size_of(stamped.event) for stamped in rest])
                self._queue.appendleft((rest, left))
                size -= left
            self._batch += fresh
            self._batch_bytes += size
            room -= len(fresh)
        return self._batch

    def _forget(self) -> None:
        """What `_first` last returned."""
        self._queued -= len(self._batch)
        self._bytes -= self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        if not self._queued and not self._finishing.is_set():
            self._some.clear()

    def _drop(self, stamped: Stamped) -> None:
        if not self._gap:
            self._gap_since = stamped.event.ts
            extra = {"sink": self._sink.name, "cause": self._last_error}
            log.error("a sink's queue is full: events are being lost", extra=extra)
            self._reached(0)
        self._gap += 1
        self._dropped += 1

    def _reached(self, safe: int) -> None:
        """Tells those who wait that something has changed."""
        self._safe = max(self._safe, safe)
        if self._notes is not None and 0 < self._noted <= self._safe:
            self._notes.strike_out()
            self._noted = 0
        self._progress.wake()


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
