from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config import Storage
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    ProcessStarted,
    RequestFinished,
    Scope,
    Stamped,
    Switched,
    Usage,
)
from gateway.units import Timestamp
from storage.database import Database, open_database
from storage.models import TABLES, StorageError
from storage.queries import Queries
from storage.rows import stamped
from storage.writer import Writer
from tests.storage.samples import ALL_KINDS, NOON, ONLY_SQLITE, batch, example
from tests.storage.servers import execute, locked

SECOND = 1_000_000


def one_of_each() -> list[Stamped]:
    return batch(*(example(kind) for kind in ALL_KINDS))


async def everything(queries: Queries) -> list[dict[str, Any]]:
    return await queries.events_after(0, 1000)


STARTED = example(
    CooldownStarted,
    ts=NOON,
    cooldown_id="c1",
    scope=Scope.CREDENTIAL,
    source=CooldownSource.LADDER,
    until=NOON + 30 * SECOND,
    duration_seconds=30.0,
    level=1,
    trigger_attempt_id="r1.1",
    request_id="r1",
    relapse=True,
    actor="",
    note="",
)
EXTENDED = example(
    CooldownExtended,
    ts=NOON + 10 * SECOND,
    cooldown_id="c1",
    scope=Scope.CREDENTIAL,
    source=CooldownSource.STATED,
    until=NOON + 90 * SECOND,
    duration_seconds=90.0,
    level=2,
    trigger_attempt_id="r2.1",
    request_id="r2",
)
LONGER = replace(EXTENDED, until=Timestamp(NOON + 200 * SECOND), duration_seconds=200.0, level=3)
ENDED = example(
    CooldownEnded,
    ts=NOON + 50 * SECOND,
    cooldown_id="c1",
    scope=Scope.CREDENTIAL,
    ended=CooldownEnd.OPERATOR,
    ended_at=NOON + 49 * SECOND,
    duration_seconds=49.0,
    actor="ann",
    note="fixed",
)


async def test_every_kind_of_event_comes_back_with_all_its_fields_in_order(
    writer: Writer, queries: Queries
) -> None:
    given = one_of_each()
    await writer.take(given)
    found = await everything(queries)
    assert [stamped(item) for item in found] == given
    assert [item["id"] for item in found] == list(range(1, len(given) + 1))
    assert writer.written == len(given)


async def test_ids_order_all_tables_by_commit(writer: Writer, queries: Queries) -> None:
    mixed = (example(Switched), example(AttemptFinished), example(ProcessStarted))
    for first in (1, 4, 7):
        await writer.take(batch(*mixed, first=first))
    found = await everything(queries)
    assert [item["id"] for item in found] == list(range(1, 10))
    assert [item["seq"] for item in found] == list(range(1, 10))


async def test_a_batch_given_again_changes_nothing(writer: Writer, queries: Queries) -> None:
    given = one_of_each()
    await writer.take(given)
    before, cooldowns = await everything(queries), await queries.page("cooldowns")
    await writer.take(given)
    await writer.take(list(reversed(given)))
    assert await everything(queries) == before
    assert await queries.page("cooldowns") == cooldowns
    assert writer.written == len(given)


async def test_of_a_batch_half_known_the_new_half_is_stored(
    writer: Writer, queries: Queries
) -> None:
    given = one_of_each()
    await writer.take(given[::2])
    await writer.take(given)
    found = await everything(queries)
    assert sorted(item["seq"] for item in found) == [one.seq for one in given]
    assert len({item["id"] for item in found}) == len(given)


async def test_the_same_number_of_another_boot_is_another_event(
    writer: Writer, queries: Queries
) -> None:
    for boot_id in ("one", "two"):
        await writer.take(batch(example(Switched), boot_id=boot_id))
    assert [item["boot_id"] for item in await everything(queries)] == ["one", "two"]


async def test_an_id_is_never_used_twice(
    database: Database, writer: Writer, queries: Queries
) -> None:
    await writer.take(one_of_each())
    await execute(database, *(f"DELETE FROM {table}" for table in TABLES))
    await writer.take(batch(example(Switched), boot_id="later"))
    assert [item["id"] for item in await everything(queries)] == [len(ALL_KINDS) + 1]


async def test_two_writers_of_one_file_share_the_numbers(
    storage: Storage, writer: Writer, tmp_path: Path, queries: Queries
) -> None:
    other = await open_database(storage, folder=tmp_path)
    assert other.writer is not None
    second = Writer(other.writer)
    for turn in range(5):
        await writer.take(batch(example(Switched), boot_id="one", first=turn))
        await second.take(batch(example(ProcessStarted), boot_id="two", first=turn))
    await other.close()
    assert [item["id"] for item in await everything(queries)] == list(range(1, 11))


async def test_a_cooldown_is_one_row_from_start_to_end(writer: Writer, queries: Queries) -> None:
    await writer.take(batch(STARTED, boot_id="a"))
    (row,) = (await queries.page("cooldowns"))["items"]
    assert (row["id"], row["kind"], row["started"], row["until"]) == (
        1,
        "cooldown",
        NOON,
        NOON + 30 * SECOND,
    )
    assert (row["ended"], row["ended_at"]) == (None, None)

    await writer.take(batch(EXTENDED, boot_id="b"))
    (row,) = (await queries.page("cooldowns"))["items"]
    assert (row["until"], row["duration_seconds"], row["source"], row["level"]) == (
        NOON + 90 * SECOND,
        90.0,
        "stated",
        2,
    )
    assert (row["trigger_attempt_id"], row["request_id"]) == ("r1.1", "r1")

    await writer.take(batch(ENDED, boot_id="c"))
    (row,) = (await queries.page("cooldowns"))["items"]
    assert (row["id"], row["ended"], row["ended_at"]) == (1, "operator", NOON + 49 * SECOND)
    assert (row["ended_actor"], row["ended_note"], row["actor"]) == ("ann", "fixed", "")
    assert row["duration_seconds"] == 90.0
    assert row["relapse"] is True


@pytest.mark.parametrize("order", list(permutations((STARTED, EXTENDED, LONGER, ENDED))))
async def test_the_order_of_a_cooldowns_events_does_not_matter(
    writer: Writer, queries: Queries, order: tuple[Event, ...]
) -> None:
    """As when a journal is replayed after newer batches went through."""
    for number, event in enumerate(order):
        await writer.take([Stamped(number, "boot", "config", event)])
    (row,) = (await queries.page("cooldowns"))["items"]
    told = {name: row[name] for name in ("ts", "started", "until", "level", "ended", "actor")}
    assert told == {
        "ts": NOON,
        "started": NOON,
        "until": NOON + 200 * SECOND,
        "level": 3,
        "ended": "operator",
        "actor": "",
    }
    assert (row["trigger_attempt_id"], row["source"]) == ("r1.1", "stated")


async def test_of_a_cooldown_whose_start_was_lost_the_known_is_kept(
    writer: Writer, queries: Queries
) -> None:
    await writer.take(batch(EXTENDED, replace(ENDED, cooldown_id="c2")))
    extended, ended = (await queries.page("cooldowns"))["items"]
    assert (extended["started"], extended["until"]) == (NOON, NOON + 90 * SECOND)
    assert (extended["trigger_attempt_id"], extended["ended"]) == ("r2.1", None)
    assert (ended["started"], ended["ended_at"]) == (NOON, NOON + 49 * SECOND)
    assert (ended["until"], ended["level"], ended["trigger_attempt_id"]) == (None, None, None)


async def test_a_locked_database_raises_and_a_later_retry_succeeds(
    database: Database, writer: Writer, queries: Queries
) -> None:
    given = one_of_each()
    why = "is locked|lock timeout"
    async with locked(database):
        for _ in range(2):
            with pytest.raises(
                StorageError, match=rf"could not store {len(given)} events .* ({why})"
            ):
                await writer.take(given)
    assert await everything(queries) == []
    await writer.take(given)
    assert len(await everything(queries)) == len(given)


@ONLY_SQLITE
async def test_a_full_disk_raises_and_nothing_of_the_batch_is_stored(
    database: Database, writer: Writer, queries: Queries
) -> None:
    given = batch(*(example(AttemptFinished, reason="x" * 200) for _ in range(2000)))
    assert database.writer is not None
    await writer.take(given[:1])

    async def allow(pages: int) -> None:
        async with database.writer.connect() as connection:  # type: ignore[union-attr]
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await allow(60)
    with pytest.raises(StorageError, match="full"):
        await writer.take(given)
    assert len(await everything(queries)) == 1
    await allow(100_000)
    await writer.take(given)
    assert (await queries.last_id(), writer.written) == (2001, 2000)


async def test_a_value_that_no_column_can_hold_does_not_stop_the_others(
    writer: Writer, queries: Queries
) -> None:
    usage = Usage(input_tokens=10**30)
    await writer.take(
        batch(
            example(RequestFinished, requested_model="\ud800half a pair", usage=usage),
            example(AttemptFinished, duration_seconds=math.nan),
            example(ProcessStarted, version="\udfff"),
            example(CandidateSkipped),
            replace(STARTED, note="\ud800"),
        )
    )
    request, attempt, process, skipped, _ = await everything(queries)
    assert request["requested_model"] == "?half a pair"
    assert request["input_tokens"] == 2**63 - 1
    assert attempt["duration_seconds"] == 0.0
    assert process["version"] == "\udfff"
    assert stamped(skipped).event == example(CandidateSkipped)
    assert [row["note"] for row in (await queries.page("cooldowns"))["items"]] == ["?"]
    assert (writer.written, writer.refused) == (5, 0)


async def test_what_cannot_be_stored_at_all_is_counted_and_logged(
    writer: Writer, queries: Queries, caplog: pytest.LogCaptureFixture
) -> None:
    wrong: Any = "twelve"
    await writer.take(batch(example(AttemptFinished, status=wrong), example(AttemptFinished, n=2)))
    assert [item["n"] for item in await everything(queries)] == [2]
    assert (writer.written, writer.refused) == (1, 1)
    assert "an event cannot be stored" in caplog.text


async def test_a_taking_that_is_cancelled_leaves_the_store_usable(
    writer: Writer, queries: Queries
) -> None:
    given = batch(*(example(AttemptFinished) for _ in range(500)))
    for turns in range(0, 40, 3):
        task = asyncio.ensure_future(writer.take(given))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await queries.last_id() in (0, 500)
    await writer.take(given)
    assert await queries.last_id() >= 500
    assert len((await queries.page("attempts", limit=1000))["items"]) == 500


async def test_an_empty_batch_is_nothing(writer: Writer, queries: Queries) -> None:
    await writer.take([])
    assert await queries.last_id() == 0


@ONLY_SQLITE
async def test_closing_leaves_everything_in_the_one_file(
    database: Database, writer: Writer
) -> None:
    await writer.take(one_of_each())
    await writer.close()
    await database.close()
    log = database.path.with_name("evenkeel.db-wal")
    assert not log.exists() or log.stat().st_size == 0
    copy = database.path.with_name("copy.db")
    copy.write_bytes(database.path.read_bytes())
    with closing(sqlite3.connect(copy)) as other:
        assert other.execute("SELECT count(*) FROM attempts").fetchone() == (2,)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
