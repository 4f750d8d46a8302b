from __future__ import annotations

import pytest

from gateway.events import AttemptFinished
from storage.database import Database
from storage.queries import Queries
from storage.sqlite_writing import SqliteBackend
from storage.statements import INSERTS
from storage.writer import Backend, backend
from tests.storage.samples import ONLY_SQLITE, batch, example

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
