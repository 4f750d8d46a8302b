"""One transaction of the writer on SQLite.

With the driver below SQLAlchemy: a mixed batch of 200 takes 4 ms with it, 7 ms with
`exec_driver_sql` of the same text and 9 ms with Core inserts, most of the difference on the loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.events import Event
from storage.rows import Row
from storage.statements import INSERTS, UPSERTS

_INSERTS: Final = {kind: statement.sqlite() for kind, statement in INSERTS.items()}
_UPSERTS: Final = {kind: statement.sqlite() for kind, statement in UPSERTS.items()}
REFUSALS: Final = (sqlite3.Error, OverflowError, UnicodeError)
"""What an unacceptable value raises. So does trouble of the file, as `sqlite3.OperationalError`."""


class SqliteTransaction:
    """Implements `Transaction`."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver

    async def id_before(self, events: int) -> int:
        """SQLite notes the highest id that each table ever held, deleted rows included."""
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence"
        ((last,),) = await self._driver.execute_fetchall(query)
        return int(last)

    async def insert(self, kind: type[Event], rows: Sequence[Row]) -> int:
        return (await self._driver.executemany(_INSERTS[kind], rows)).rowcount

    async def fold(self, kind: type[Event], rows: Sequence[Row]) -> None:
        await self._driver.executemany(_UPSERTS[kind], rows)

    async def insert_one(self, kind: type[Event], row: Row) -> int:
        return (await self._driver.execute(_INSERTS[kind], row)).rowcount

    async def fold_one(self, kind: type[Event], row: Row) -> None:
        await self._driver.execute(_UPSERTS[kind], row)


class SqliteBackend:
    """Implements `Backend`."""

    trouble: tuple[type[Exception], ...] = (sqlite3.OperationalError,)
    refusals: tuple[type[Exception], ...] = REFUSALS
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.place = repr(engine.url.database)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, aiosqlite.Connection)
            await driver.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(driver)
                await driver.commit()
            except BaseException:
                await driver.rollback()
                raise

    async def close(self) -> None:
        """Moves the write-ahead log into the file, which then alone holds everything."""
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, aiosqlite.Connection)
            ((pages,),) = await driver.execute_fetchall("PRAGMA wal_autocheckpoint")
            if pages:  # Checkpoints are ours to make.
                await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
