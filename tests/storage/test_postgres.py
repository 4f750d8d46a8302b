"""What PostgreSQL alone can do, and can get wrong: several gateways writing at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config import Durability, Storage
from gateway.events import AttemptFinished, ProcessStarted, Switched
from storage.database import Database, open_database
from storage.models import StorageError
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.samples import batch, example
from tests.storage.servers import execute, new_database

WRITERS = 4
BATCHES = 25
pytestmark = pytest.mark.parametrize("storage", ["postgresql"], indirect=True)


async def test_a_tail_beside_several_writers_skips_nothing_and_repeats_nothing(
    storage: Storage, tmp_path: Path
) -> None:
    """The trap of PostgreSQL's own sequences: a higher number may be committed first."""
    databases = [await open_database(storage, folder=tmp_path) for _ in range(WRITERS)]
    done = asyncio.Event()
    seen: list[tuple[int, str, int]] = []

    async def write(number: int) -> None:
        engine = databases[number].writer
        assert engine is not None
        writer = Writer(engine)
        for turn in range(BATCHES):
            mixed = (example(Switched), example(AttemptFinished), example(ProcessStarted))
            await writer.take(batch(*mixed, boot_id=f"boot {number}", first=1 + 3 * turn))
            await asyncio.sleep(0)

    async def tail() -> None:
        queries = Queries(databases[0].reader)
        last = 0
        while True:
            over = done.is_set()
            for item in await queries.events_after(last, 50):
                last = item["id"]
                seen.append((last, item["boot_id"], item["seq"]))
            if over and len(seen) >= WRITERS * BATCHES * 3:
                return

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(tail())
        async with asyncio.TaskGroup() as writing:
            for number in range(WRITERS):
                writing.create_task(write(number))
        done.set()
    ids = [each[0] for each in seen]
    assert ids == sorted(set(ids))
    for number in range(WRITERS):
        mine = [seq for _, boot, seq in seen if boot == f"boot {number}"]
        assert mine == list(range(1, 3 * BATCHES + 1))
    for database in databases:
        await database.close()


async def test_gateways_that_make_the_tables_at_once_wait_for_each_other(
    storage: Storage, tmp_path: Path
) -> None:
    opened = await asyncio.gather(*(open_database(storage, folder=tmp_path) for _ in range(4)))
    for database in opened:
        await database.close()


async def test_tables_of_another_program_are_left_alone(storage: Storage, tmp_path: Path) -> None:
    database = await open_database(storage, folder=tmp_path)
    await execute(database, "DROP TABLE alembic_version")
    with pytest.raises(StorageError, match="tables of another program by our names"):
        await open_database(storage, folder=tmp_path)
    await database.close()


async def test_readers_cannot_write(database: Database) -> None:
    async with database.reader.connect() as connection:
        with pytest.raises(Exception, match="read-only transaction"):
            await connection.exec_driver_sql("DELETE FROM attempts")


@pytest.mark.parametrize(("durability", "commit"), [("batched", "off"), ("strict", "on")])
async def test_strict_waits_for_the_disk_at_each_commit(
    storage: Storage, tmp_path: Path, durability: str, commit: str
) -> None:
    asked = Storage(url=storage.url, durability=Durability(durability))
    database = await open_database(asked, folder=tmp_path)
    assert database.writer is not None
    async with database.writer.connect() as connection:
        found = await connection.exec_driver_sql("SHOW synchronous_commit")
        assert found.scalar() == commit
    await database.close()


async def test_an_unreachable_server_is_named_without_its_password(
    storage: Storage, tmp_path: Path
) -> None:
    away = Storage(url="postgresql+asyncpg://me:hunter2@127.0.0.1:1/evenkeel")
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1/evenkeel' cannot be used") as caught:
        await open_database(away, folder=tmp_path)
    assert "hunter2" not in str(caught.value)
    missing = storage.url.replace("/test", "/nothing")
    with pytest.raises(StorageError, match="does not exist"):
        await open_database(Storage(url=missing), folder=tmp_path)


async def test_a_fresh_database_is_empty(postgres: str, storage: Storage, tmp_path: Path) -> None:
    database = await open_database(Storage(url=await new_database(postgres)), folder=tmp_path)
    assert await Queries(database.reader).last_id() == 0
    await database.close()
