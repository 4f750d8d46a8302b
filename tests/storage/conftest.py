from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config import Storage
from storage.database import Database, open_database
from storage.queries import Queries
from storage.writer import Writer


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(Storage(), folder=tmp_path, busy_timeout_seconds=0.05)
    yield database
    await database.close()


@pytest.fixture
def writer(database: Database) -> Writer:
    assert database.writer is not None
    return Writer(database.writer)


@pytest.fixture
def queries(database: Database) -> Queries:
    return Queries(database.reader)
