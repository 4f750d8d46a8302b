"""The sink that puts events into the database: one transaction per batch, all of it or nothing.

The only writer of the file. Ids are handed out here, inside the transaction and across all
tables, which makes the order of ids the order of commits. A batch may be given again, also after
a transaction of unknown end and out of order: an event that is there already is left alone.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiosqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.events import CooldownEnded, CooldownStarted, Event, Stamped
from storage.models import StorageError
from storage.rows import BEGUN, FOLDED, KINDS, OVER, PLANNED, Layout, Row, clean, fold, layout

Work = dict[str, list[Row]]
"""Statement → its rows, in the order in which they are to run."""

log = logging.getLogger(__name__)


class Writer:
    """A `Sink`. `engine` is the database's writing one; `close` ends it."""

    name = "storage"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.written = 0
        """Events newly stored since the start; those found there already are not counted."""
        self.refused = 0
        """Events that no column could hold, each one logged: a bug of the gateway."""

    async def take(self, batch: Sequence[Stamped]) -> None:
        """Stores the batch whole. Raises `StorageError`, and has then stored nothing of it."""
        if not batch:
            return
        try:
            try:
                self.written += await self._store(batch)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, OverflowError, UnicodeError):
                # A value that SQLite cannot hold: the rest of the batch must not wait for it.
                new, refused = await self._store_carefully(batch)
                self.written += new
                self.refused += refused
        except (sqlite3.Error, SQLAlchemyError) as error:
            message = f"could not store {len(batch)} events in {self._file}: {_cause(error)}"
            raise StorageError(message) from error

    async def close(self) -> None:
        """Moves the write-ahead log into the file, which then alone holds everything."""
        try:
            async with self._engine.connect() as connection:
                driver = await _driver(connection)
                await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, SQLAlchemyError) as error:
            message = f"could not close {self._file} tidily: {_cause(error)}"
            raise StorageError(message) from error
        finally:
            await self._engine.dispose()

    async def _store(self, batch: Sequence[Stamped]) -> int:
        async with self._transaction() as driver:
            events, folds = _plan(batch, after=await _last_id(driver))
            new = 0
            for statement, rows in events.items():
                new += (await driver.executemany(statement, rows)).rowcount
            for statement, rows in folds.items():
                await driver.executemany(statement, rows)
        return new

    async def _store_carefully(self, batch: Sequence[Stamped]) -> tuple[int, int]:
        """Row by row: how many were new, and how many not even `clean` could make acceptable."""
        new = refused = 0
        async with self._transaction() as driver:
            events, folds = _plan(batch, after=await _last_id(driver))
            for statement, rows in (events | folds).items():
                for row in rows:
                    try:
                        cursor = await driver.execute(statement, clean(row))
                    except sqlite3.IntegrityError as error:
                        refused += statement in events
                        log.error("an event cannot be stored", extra={"cause": str(error)})  # noqa: TRY400
                    else:
                        new += cursor.rowcount if statement in events else 0
        return new, refused

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._engine.connect() as connection:
            driver = await _driver(connection)
            await driver.execute("BEGIN IMMEDIATE")
            try:
                yield driver
                await driver.commit()
            except BaseException:
                await driver.rollback()
                raise

    @property
    def _file(self) -> str:
        return repr(self._engine.url.database)


async def _driver(connection: AsyncConnection) -> aiosqlite.Connection:
    """The driver below SQLAlchemy.

    A mixed batch of 200 takes 4 ms with it, 7 ms with `exec_driver_sql` of the same text and 9 ms
    with Core inserts, most of the difference on the event loop.
    """
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    return driver


async def _last_id(driver: aiosqlite.Connection) -> int:
    """SQLite notes the highest id that each table ever held, deleted rows included."""
    query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence"
    ((last,),) = await driver.execute_fetchall(query)
    return int(last)


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _plan(batch: Sequence[Stamped], *, after: int) -> tuple[Work, Work]:
    """What is to run for these events themselves, and then for the cooldowns they tell of."""
    events: Work = {}
    folds: Work = {}
    for number, stamped in enumerate(batch, start=after + 1):
        kind = type(stamped.event)
        place, statement = INSERTS[kind]
        events.setdefault(statement, []).append(place.values(number, stamped))
        if kind in FOLDED:
            place, statement = UPSERTS[kind]
            folds.setdefault(statement, []).append(place.values(number, stamped))
    return events, folds


def _insert(kind: type[Event]) -> tuple[Layout, str]:
    """`ON CONFLICT` names its columns: `OR IGNORE` would swallow faulty rows as well."""
    place = layout(kind)
    return place, f"{_into(place)} ON CONFLICT (boot_id, seq) DO NOTHING"


def _upsert(kind: type[Event]) -> tuple[Layout, str]:
    """Each event of a cooldown sets what only it knows, so that their order does not matter.

    `until` only ever grows: a rest that shall be over sooner is ended, and another one started.
    """
    place = fold(kind)
    known: tuple[str, ...] = ()
    if kind is CooldownStarted:
        known = BEGUN
    elif kind is CooldownEnded:
        known = OVER
    changes = [f"{name} = excluded.{name}" for name in known]
    if kind is not CooldownEnded:
        later = "cooldowns.until IS NULL OR excluded.until > cooldowns.until"
        changes += [
            f"{name} = CASE WHEN {later} THEN excluded.{name} ELSE cooldowns.{name} END"
            for name in PLANNED
        ]
    return place, f"{_into(place)} ON CONFLICT (cooldown_id) DO UPDATE SET {', '.join(changes)}"


def _into(place: Layout) -> str:
    columns = ", ".join(f'"{name}"' for name in place.columns)
    marks = ", ".join("?" * len(place.columns))
    return f"INSERT INTO {place.table} ({columns}) VALUES ({marks})"


INSERTS: Final = {kind: _insert(kind) for kind in KINDS.values()}
UPSERTS: Final = {kind: _upsert(kind) for kind in FOLDED}
