from __future__ import annotations

import pytest

from gateway.events import AttemptFinished
from storage.database import Database
from storage.queries import Queries
from storage.rollups_counting import counted
from storage.sqlite_writing import BEHIND_MAX, SqliteBackend
from storage.statements import INSERTS
from storage.writer import Backend, Writer, backend
from tests.storage.samples import ONLY_SQLITE, batch, example
from tests.storage.servers import execute

_BACKEND: type[Backend] = SqliteBackend
pytestmark = ONLY_SQLITE


async def test_a_transaction_that_fails_leaves_nothing_behind(
    database: Database, queries: Queries
) -> None:
    assert database.writer is not None
    found = backend(database.writer)
    assert isinstance(found, SqliteBackend)
    assert found.place == repr(database.writer.url.database)
    row = INSERTS[AttemptFinished].layout.values(1, *batch(example(AttemptFinished)))

    async def fail() -> None:
        async with found.transaction() as transaction:
            assert await transaction.id_before(1) == 0
            assert await transaction.insert_one(AttemptFinished, row) == 1
            assert await transaction.insert_one(AttemptFinished, row) == 0
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await queries.last_id() == 0


async def test_each_batch_is_counted_once_whatever_of_it_was_there(
    database: Database, writer: Writer
) -> None:
    assert database.writer is not None
    first = batch(*(example(AttemptFinished) for _ in range(5)))
    more = batch(*(example(AttemptFinished) for _ in range(3)), first=6)
    for given in (first, first, [*first, *more], more):
        await writer.take(given)
    async with database.writer.connect() as connection:
        attempts = await connection.exec_driver_sql("SELECT sum(attempts) FROM rollups")
        assert attempts.scalar() == 8
        newest = await connection.exec_driver_sql("SELECT max(id) FROM attempts")
        assert await counted(connection) >= int(newest.scalar() or 0)


async def test_what_is_far_behind_is_left_to_retention(database: Database, writer: Writer) -> None:
    assert database.writer is not None
    await writer.take(batch(example(AttemptFinished)))
    await execute(
        database,
        f"UPDATE sqlite_sequence SET seq = {BEHIND_MAX + 10} WHERE name = 'attempts'",
    )
    await writer.take(batch(example(AttemptFinished), first=2))
    async with database.writer.connect() as connection:
        assert await counted(connection) == 1
