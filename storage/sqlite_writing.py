"""One transaction of the writer on SQLite.

With the driver below SQLAlchemy, a whole batch in one step of the connection's own thread, and many
rows in one statement: each step of a statement gives Python's lock away, and a busy loop takes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.events import Event, Stamped
from storage.rollups_counting import NOTE, statements
from storage.rows import FOLDED, Row
from storage.sqlite_values import VALUES, Numbered
from storage.statements import INSERTS, UPSERTS

ROWS: Final = (64, 16, 4, 1)
"""Of one statement. SQLite keeps a statement's text as bytecode: a hundred kilobytes of the largest."""
_INSERTS: Final = {
    kind: {rows: statement.sqlite(rows) for rows in ROWS} for kind, statement in INSERTS.items()
}
_UPSERTS: Final = {kind: statement.sqlite() for kind, statement in UPSERTS.items()}
_COUNTS: Final = tuple(map(str, statements("sqlite")))
_NOTE: Final = str(NOTE)
LAST: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence"
"""SQLite notes the highest id that each table ever held, deleted rows included."""
COUNTED: Final = (
    "SELECT (SELECT coalesce(max(seq), 0) FROM sqlite_sequence), "
    "coalesce((SELECT value FROM marks WHERE name = 'rollup'), 0)"
)
BEHIND_MAX: Final = 5_000
"""Ids of rows that are not in `rollups` yet: with more, as in a file of an older gateway, retention's
small steps catch up."""
REFUSALS: Final = (sqlite3.Error, OverflowError, UnicodeError)
"""What an unacceptable value raises. So does trouble of the file, as `sqlite3.OperationalError`."""


def store(connection: sqlite3.Connection, batch: Sequence[Stamped]) -> int:
    """The whole transaction, in the connection's thread; how many events were new."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        ((last,),) = connection.execute(LAST)
        by_kind = _by_kind(batch, last)
        new = sum([_insert(connection, kind, rows) for kind, rows in by_kind.items()])
        for number, stamped in enumerate(batch, start=last + 1):
            kind = type(stamped.event)
            if kind in FOLDED:
                row = UPSERTS[kind].layout.values(number, stamped)
                connection.execute(_UPSERTS[kind], row)
        _count(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return new


def _by_kind(batch: Sequence[Stamped], last: int) -> dict[type[Event], list[tuple[int, Stamped]]]:
    found: dict[type[Event], list[tuple[int, Stamped]]] = {}
    for each in enumerate(batch, start=last + 1):
        kind = type(each[1].event)
        if kind in found:
            found[kind].append(each)
        else:
            found[kind] = [each]
    return found


def _insert(connection: sqlite3.Connection, kind: type[Event], numbered: Numbered) -> int:
    statements, values = _INSERTS[kind], VALUES[kind](numbered)
    width, begin, new = len(values) // len(numbered), 0, 0
    for rows in _portions(len(numbered)):
        end = begin + rows * width
        new += connection.execute(statements[rows], values[begin:end]).rowcount
        begin = end
    return new


def _portions(rows: int) -> Iterator[int]:
    for count in ROWS:
        while rows >= count:
            rows -= count
            yield count


def _count(connection: sqlite3.Connection) -> None:
    """Into `rollups`, while the rows are at hand: later it would be a transaction of its own."""
    ((last, counted),) = connection.execute(COUNTED)
    if counted < last <= counted + BEHIND_MAX:
        for statement in _COUNTS:
            connection.execute(statement, {"after": counted, "last": last})
        connection.execute(_NOTE, {"last": last})


class SqliteTransaction:
    """Implements `Transaction`."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver

    async def id_before(self, events: int) -> int:
        ((last,),) = await self._driver.execute_fetchall(LAST)
        return int(last)

    async def insert_one(self, kind: type[Event], row: Row) -> int:
        return (await self._driver.execute(_INSERTS[kind][1], row)).rowcount

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

    async def store(self, batch: Sequence[Stamped]) -> int:
        async with self._connection() as driver:
            stored: int = await driver._execute(store, driver._conn, batch)  # type: ignore[no-untyped-call]
            return stored

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        async with self._connection() as driver:
            await driver.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(driver)
                await driver.commit()
            except BaseException:
                await driver.rollback()
                raise

    async def close(self) -> None:
        """Moves the write-ahead log into the file, which then alone holds everything."""
        async with self._connection() as driver:
            ((pages,),) = await driver.execute_fetchall("PRAGMA wal_autocheckpoint")
            if pages:  # Checkpoints are ours to make.
                await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, aiosqlite.Connection)
            yield driver
