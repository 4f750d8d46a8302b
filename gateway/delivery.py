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
from itertools import islice, takewhile
from random import Random
from typing import Final

from gateway.delivery_parts import Limits, Notes, Rescue, Sink, SinkStats
from gateway.events import DataGap, Event, Stamped
from gateway.units import Clock, Instant, Timestamp

BACKOFF_SECONDS: Final = (0.1, 5.0)
"""Of a failing sink: first pause and longest one, each drawn from its upper half."""
RESCUE_SECONDS: Final = 0.25
"""While a sink fails, its queue goes to the rescue file this often, or once a batch if slower."""
LATE_SECONDS: Final = 0.02
"""What waits in a queue for longer, and up to twice as long, is noted."""
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
        self._queue: deque[tuple[Stamped, int]] = deque()
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
        self._some, self._hurry = asyncio.Event(), asyncio.Event()
        self._finishing, self._progress = asyncio.Event(), asyncio.Event()
        self._done = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def put(self, stamped: Stamped, size: int) -> None:
        if self._bytes + size > self._limits.queue_bytes_max or self._closed:
            self._drop(stamped)
            return
        self._queue.append((stamped, size))
        self._bytes += size
        self._accepted = stamped.seq
        self._some.set()
        urgent = type(stamped.event) in self._limits.urgent
        if urgent and self._notes is not None:
            self._note(stamped.seq)
        if urgent or len(self._queue) >= self._limits.batch_events_max:
            self._hurry.set()

    def stats(self) -> SinkStats:
        return SinkStats(
            queued_events=len(self._queue),
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
            await _wait(self._progress, left, self._clock)
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
            await _wait(self._progress, left, self._clock)
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
        while self._notes is not None:
            await self._some.wait()
            seen = self._accepted
            await self._clock.sleep(LATE_SECONDS)
            if self._queue and self._queue[0][0].seq <= seen:
                self._note(seen)

    def _note(self, last: int) -> None:
        """All in the queue up to that `seq`, in order, that is not noted yet."""
        assert self._notes is not None
        found = [
            stamped
            for stamped, _ in takewhile(
                lambda each: each[0].seq > self._noted, reversed(self._queue)
            )
            if stamped.seq <= last
        ]
        if found:
            self._notes.note(found[::-1])
            self._noted = found[0].seq

    async def _deliver(self) -> None:
        while True:
            await self._gather()
            if await self._replay() and await self._take():
                self._works()
            else:
                await self._save()
            if self._finishing.is_set() and not self._queue:
                return
            if self._failed_in_a_row:
                await self._pause()

    async def _gather(self) -> None:
        """Until a batch is worth its price: enough events, enough time, or somebody waits."""
        await asyncio.sleep(0)  # A sink that never waits would keep everybody else waiting.
        if self._waiting():
            return
        await self._some.wait()
        if not self._failed_in_a_row and len(self._queue) < self._limits.batch_events_max:
            await _wait(self._hurry, self._limits.batch_seconds, self._clock)
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
        self._forget(len(batch))
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
            self._forget(len(batch))
            self._reached(batch[-1].seq)

    async def _pause(self) -> None:
        first, longest = BACKOFF_SECONDS
        seconds = min(longest, first * 2.0 ** min(self._failed_in_a_row - 1, 16))
        end = self._clock.now().instant + seconds * self._rng.uniform(0.5, 1.0)
        step = max(RESCUE_SECONDS, self._limits.batch_seconds)
        if self._finishing.is_set():
            await self._clock.sleep(end - self._clock.now().instant)
        while not self._finishing.is_set() and (left := end - self._clock.now().instant) > 0:
            await _wait(self._finishing, min(left, step), self._clock)
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
        for event in (self._finishing, self._some, self._hurry):
            event.set()

    async def stop(self, deadline: Instant) -> None:
        left = max(0.0, deadline - self._clock.now().instant)
        await _wait(self._done, left, self._clock)
        if self._task is not None:
            self._task.cancel()

    async def finish(self) -> None:
        """What is still here is rescued, or lost and counted; then the sink closes."""
        await self._save()
        self._closed = True
        if self._notes is not None and not self._queue:
            self._notes.close()
        for stamped, _ in self._queue:
            self._drop(stamped)
        self._forget(len(self._queue))
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

    def _first(self) -> list[Stamped]:
        return [stamped for stamped, _ in islice(self._queue, self._limits.batch_events_max)]

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= self._queue.popleft()[1]
        if not self._queue and not self._finishing.is_set():
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
        reached, self._progress = self._progress, asyncio.Event()
        reached.set()


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]


async def _wait(event: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Until the event is set or the time is over, whichever comes first."""
    if event.is_set():
        return
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(event.wait())
        sleeper = group.create_task(clock.sleep(seconds))
        waiter.add_done_callback(lambda _: sleeper.cancel())
        sleeper.add_done_callback(lambda _: waiter.cancel())
