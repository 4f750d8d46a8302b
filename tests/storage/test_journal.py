from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from gateway.clock import SystemClock
from gateway.events import ConfigRejected, Event, ProcessStopped, Stamped
from gateway.spine import Spine
from storage.database import Database
from storage.journal import Journal, JournalFull, journal_path
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.samples import ALL_KINDS, any_event, batch, example, kinds
from tests.storage.servers import locked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path / "evenkeel.db")


async def everything(journal: Journal, *, at_once: int = 2) -> list[Stamped]:
    found: list[Stamped] = []
    while journal.bytes_waiting:
        found += await journal.oldest(at_once)
        await journal.forget()
    return found


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def fill(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def stops(count: int, *, first: int = 1) -> list[Stamped]:
    events: Sequence[Event] = [
        example(ProcessStopped, reason=f"number {number}") for number in range(count)
    ]
    return batch(*events, first=first)


async def test_every_kind_of_event_comes_back_as_it_was(path: Path) -> None:
    kept = batch(*(example(kind) for kind in ALL_KINDS))
    journal = Journal(path)
    await journal.append(kept)
    assert await everything(journal) == kept


@settings(deadline=None)
@given(event=any_event())
async def test_any_event_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, event: Event
) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal") / "events.jsonl")
    await journal.append(batch(event))
    assert await everything(journal) == batch(event)


@pytest.mark.parametrize("text", ["half a pair \ud800", "a line\nbreak", "\x00", "\u2028"])
async def test_text_that_a_database_would_refuse_is_kept(path: Path, text: str) -> None:
    kept = batch(example(ConfigRejected, problems=(text,)))
    journal = Journal(path)
    await journal.append(kept)
    assert await everything(journal) == kept


async def test_what_waits_survives_a_restart_in_its_order(path: Path) -> None:
    kept = stops(5)
    first = Journal(path)
    await first.append(kept[:2])
    await first.append(kept[2:])
    second = Journal(path)
    assert second.bytes_waiting == first.bytes_waiting > 0
    assert await everything(second) == kept


async def test_the_file_is_gone_once_nothing_waits(path: Path) -> None:
    journal = Journal(path)
    assert content(path) is None
    await journal.append(stops(1))
    assert content(path)
    await everything(journal)
    assert content(path) is None
    await journal.append(stops(3))
    assert await everything(journal) == stops(3)


async def test_what_was_not_forgotten_is_given_again(path: Path) -> None:
    journal = Journal(path)
    await journal.append(stops(3))
    assert await journal.oldest(2) == stops(3)[:2]
    assert await journal.oldest(2) == stops(3)[:2]
    await journal.forget()
    assert await journal.oldest(2) == stops(3)[2:]


async def test_events_that_come_during_a_replay_stand_at_its_end(path: Path) -> None:
    journal = Journal(path)
    await journal.append(stops(2))
    await journal.oldest(1)
    await journal.append(stops(2, first=3))
    await journal.forget()
    assert [each.seq for each in await everything(journal)] == [2, 3, 4]


async def test_a_torn_last_line_is_passed_over_and_the_rest_is_read(path: Path) -> None:
    journal = Journal(path)
    await journal.append(stops(3))
    whole = content(path)
    assert whole is not None
    for cut in range(1, len(whole) // 3):
        fill(path, whole[:-cut])
        torn = Journal(path)
        await torn.append(stops(1, first=9))
        found = [each.seq for each in await everything(torn)]
        assert found in ([1, 2, 9], [1, 2, 3, 9])


async def test_lines_of_another_version_are_counted_and_passed_over(path: Path) -> None:
    strange = [1, "boot", "config", "moon_phase", {"ts": 1}]
    fill(path, f"{json.dumps(strange)}\n[1]\n\n".encode())
    journal = Journal(path)
    await journal.append(stops(1))
    assert await everything(journal) == stops(1)
    assert journal.unreadable == 2


async def test_a_full_journal_refuses_the_batch_and_keeps_what_it_has(path: Path) -> None:
    journal = Journal(path, bytes_max=1000)
    await journal.append(stops(3))
    before = content(path)
    with pytest.raises(JournalFull, match="full"):
        await journal.append(stops(20))
    assert content(path) == before
    assert await everything(journal) == stops(3)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A disk that fills up in the middle of a write. Python ignores the signal that goes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_nothing_of_a_batch_stays_if_the_disk_fills_up_within_it(path: Path) -> None:
    journal = Journal(path)
    await journal.append(stops(3))
    before = content(path)
    assert before is not None
    with files_no_larger_than(len(before) + 50), pytest.raises(OSError, match="too large"):
        await journal.append(stops(5))
    assert content(path) == before
    await journal.append(stops(1, first=4))
    assert [each.seq for each in await everything(journal)] == [1, 2, 3, 4]


async def test_a_folder_that_is_gone_is_an_error_and_not_a_loss(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "nowhere" / "events.jsonl")
    with pytest.raises(OSError, match="No such file"):
        await journal.append(stops(1))
    assert journal.bytes_waiting == 0


async def test_a_replay_that_broke_off_stores_nothing_twice(
    path: Path, writer: Writer, queries: Queries
) -> None:
    journal = Journal(path)
    await journal.append(stops(4))
    await writer.take(await journal.oldest(3))
    again = Journal(path)
    while again.bytes_waiting:
        await writer.take(await again.oldest(3))
        await again.forget()
    assert kinds(await queries.events_after(0, 100)) == ["process_stopped"] * 4


def test_the_name_is_not_one_that_sqlite_would_take_for_its_own(tmp_path: Path) -> None:
    name = journal_path(tmp_path / "evenkeel.db").name
    assert name.startswith("evenkeel.db.")
    assert not name.endswith(("-journal", "-wal", "-shm"))


async def test_events_outlive_a_locked_database_in_the_journal_and_are_stored_in_order(
    path: Path, database: Database, writer: Writer, queries: Queries
) -> None:
    """The whole way: spine, writer and journal, with another process holding the lock."""
    spine = Spine(clock=SystemClock(), rng=Random(1), boot_id="boot", config_version="one")
    spine.attach(
        writer,
        batch_seconds=0.01,
        batch_events_max=10,
        queue_bytes_max=1_000_000,
        rescue=Journal(path),
    )
    async with spine:
        async with locked(database):
            spine.emit_all([stamped.event for stamped in stops(25)])
            assert not await spine.settled("storage", 0.3)
            assert spine.stats()["storage"].journal_bytes > 0
        spine.emit(example(ProcessStopped, reason="last"))
        assert await spine.settled("storage", 10.0)
        assert spine.stats()["storage"].journal_bytes == 0
        rows = await queries.events_after(0, 100)
    assert [row["seq"] for row in rows] == list(range(1, 27))
    assert content(path) is None


async def test_events_of_a_process_that_could_not_store_them_are_stored_by_the_next(
    path: Path, database: Database, writer: Writer, queries: Queries
) -> None:
    journal = Journal(path)
    await journal.append(stops(3))
    spine = Spine(clock=SystemClock(), rng=Random(1), boot_id="next", config_version="one")
    spine.attach(
        writer,
        batch_seconds=0.01,
        batch_events_max=2,
        queue_bytes_max=1_000_000,
        rescue=Journal(path),
    )
    async with spine:
        spine.emit(example(ProcessStopped))
        assert await spine.settled("storage", 10.0)
        rows = await queries.events_after(0, 100)
    assert [(row["boot_id"], row["seq"]) for row in rows] == [
        ("boot", 1),
        ("boot", 2),
        ("boot", 3),
        ("next", 1),
    ]
