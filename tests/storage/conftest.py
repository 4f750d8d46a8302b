from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config import Storage
from storage.database import Database, open_database
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.servers import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def storage(request: pytest.FixtureRequest) -> Storage:
    """A test that uses this, or what is made of it, runs on both kinds of database."""
    if request.param == "sqlite":
        return Storage()
    return Storage(url=await new_database(request.getfixturevalue("postgres")))


@pytest.fixture
async def database(storage: Storage, tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(storage, folder=tmp_path, busy_timeout_seconds=0.05)
    yield database
    await database.close()


@pytest.fixture
def writer(database: Database) -> Writer:
    assert database.writer is not None
    return Writer(database.writer)


@pytest.fixture
def queries(database: Database) -> Queries:
    return Queries(database.reader)
