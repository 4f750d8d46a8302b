from __future__ import annotations

import math

import pytest

from gateway.events import AttemptFinished
from storage.database import Database
from storage.postgres_writing import PostgresBackend
from storage.queries import Queries
from storage.statements import INSERTS
from storage.writer import Backend, Writer, backend
from tests.storage.samples import batch, example
from tests.storage.servers import execute

_BACKEND: type[Backend] = PostgresBackend
pytestmark = pytest.mark.parametrize("storage", ["postgresql"], indirect=True)


async def test_a_transaction_that_fails_leaves_nothing_behind_and_gives_its_ids_back(
    database: Database, queries: Queries
) -> None:
    assert database.writer is not None
    found = backend(database.writer)
    assert isinstance(found, PostgresBackend)
    row = INSERTS[AttemptFinished].layout.values(1, *batch(example(AttemptFinished)))

    async def fail() -> None:
        async with found.transaction() as transaction:
            assert await transaction.id_before(5) == 0
            assert await transaction.insert(AttemptFinished, [row]) == 1
            assert await transaction.insert_one(AttemptFinished, row) == 0
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await queries.last_id() == 0
    async with found.transaction() as transaction:
        assert await transaction.id_before(1) == 0


async def test_a_text_with_a_zero_byte_and_no_number_are_made_acceptable(
    writer: Writer, queries: Queries
) -> None:
    """PostgreSQL takes no zero byte, and would take "not a number", which JSON does not."""
    await writer.take(
        batch(
            example(AttemptFinished, upstream_request_id="a\0b"),
            example(AttemptFinished, duration_seconds=math.nan, n=2),
            example(AttemptFinished, n=3),
        )
    )
    first, second, third = await queries.events_after(0, 10)
    assert first["upstream_request_id"] == "a?b"
    assert second["duration_seconds"] == 0.0
    assert third["n"] == 3
    assert (writer.written, writer.refused) == (3, 0)


async def test_a_server_that_ended_the_session_is_no_harm(
    database: Database, writer: Writer, queries: Queries
) -> None:
    await writer.take(batch(example(AttemptFinished)))
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    reader = database.reader
    async with reader.connect() as connection:
        await connection.exec_driver_sql(f"{others} AND datname = current_database()")
    await writer.take(batch(example(AttemptFinished), first=2))
    await execute(database, "SELECT 1")
    assert await queries.last_id() == 2
