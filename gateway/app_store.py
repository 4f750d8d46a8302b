"""The database as the gateway sees it: a sink that may be away, and a history that then says so.

A store that cannot be opened at start is no reason not to serve: opening is tried again with every
batch, and what happens meanwhile waits in the rescue file.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy.exc import SQLAlchemyError

from gateway.api.context import HistoryQuestionError, HistoryUnavailable, Item
from gateway.clock import SystemClock
from gateway.config import Storage
from gateway.events import (
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    Stamped,
    Switched,
)
from gateway.units import Clock, Timestamp
from storage.database import Database, database_path, open_database, shown_place
from storage.filters import Order, QueryError
from storage.models import StorageError
from storage.queries import Queries
from storage.queries_restoring import Restored
from storage.retention import Retention
from storage.writer import Writer

URGENT = (Switched, CooldownStarted, CooldownExtended, CooldownEnded)
"""What a restart must know: stored at once, with whatever waits before it."""
MORE_SECONDS: Final = 0.002
"""Between two steps of deleting, for the writer."""
IDLE_SECONDS: Final = 1.0
FAILING_SECONDS: Final = 10.0
DATABASE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error)

log = logging.getLogger(__name__)


class Store:
    """Implements `Sink` (of the spine) and `History` (of the API) on one database file."""

    name = "storage"

    def __init__(self, storage: Storage, *, folder: Path) -> None:
        self._storage = storage
        self._folder = folder
        self.path = database_path(storage.url, folder=folder)
        self._database: Database | None = None
        self._writer: Writer | None = None
        self._queries: Queries | None = None
        self._retention: Retention | None = None
        self._failed_to_open = ""

    async def open(self) -> bool:
        """Tries to open the file; whether it is open. Never raises for what is wrong with it."""
        if self._database is not None:
            return True
        try:
            database = await open_database(self._storage, folder=self._folder)
        except (StorageError, OSError) as error:
            self._failed_to_open = str(error)
            return False
        assert database.writer is not None
        if database.sqlite_warning:
            log.warning("sqlite", extra={"warning": database.sqlite_warning})
        if database.migrated_from:
            extra = {"from": database.migrated_from, "backup": str(database.backup or "")}
            log.info("the database was migrated", extra=extra)
        self._failed_to_open = ""
        self._database = database
        self._writer = Writer(database.writer)
        self._retention = Retention(database.writer, self._storage.retention)
        self._queries = Queries(database.reader)
        return True

    @property
    def failed_to_open(self) -> str:
        """Why the file is not open; empty if it is."""
        return self._failed_to_open

    # -- the sink ------------------------------------------------------------------------------

    async def take(self, batch: Sequence[Stamped]) -> None:
        """Raises `StorageError`."""
        if not await self.open():
            raise StorageError(self._failed_to_open)
        assert self._writer is not None
        await self._writer.take(batch)

    async def close(self) -> None:
        database, self._database, self._queries = self._database, None, None
        self._retention = None
        if database is None or self._writer is None:
            return
        try:
            await self._writer.close()
        finally:
            await database.close()

    async def keep_house(self, clock: Clock) -> None:
        """Deletes what is old or too much, in small steps. For ever; to be cancelled."""
        failing = False
        while True:
            retention, more = self._retention, False
            try:
                if retention is not None:
                    more = await _whole(retention.step(clock.now().timestamp))
                    failing = False
            except (*DATABASE_ERRORS, OSError) as error:
                if not failing:
                    log.warning("old history cannot be deleted", extra={"cause": str(error)})
                failing = True
            pause = MORE_SECONDS if more else IDLE_SECONDS
            await clock.sleep(FAILING_SECONDS if failing else pause)

    @property
    def oldest(self) -> Mapping[str, float]:
        """Table → when its oldest row happened, in Unix seconds."""
        return self._retention.oldest if self._retention is not None else {}

    async def restored(self, now: Timestamp) -> Restored | None:
        """What the last process left; None where there is no readable history."""
        if self._queries is None:
            return None
        try:
            return await self._queries.restore(now)
        except (StorageError, QueryError):
            log.exception("what the last process left cannot be read")
            return None

    # -- the history ---------------------------------------------------------------------------

    async def page(
        self,
        table: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        order: str,
        cursor: str | None,
    ) -> Mapping[str, Any]:
        async with self._reading() as queries:
            return await queries.page(
                table, filters=filters, limit=limit, order=cast(Order, order), cursor=cursor
            )

    async def tail(
        self, last_id: int, *, filters: Mapping[str, str], limit: int
    ) -> Mapping[str, Any]:
        async with self._reading() as queries:
            return await queries.tail(last_id, filters=filters, limit=limit)

    async def last_id(self) -> int:
        async with self._reading() as queries:
            return await queries.last_id()

    async def request(self, request_id: str) -> Mapping[str, Any] | None:
        async with self._reading() as queries:
            return await queries.request(request_id)

    async def switch_pairs(self, *, filters: Mapping[str, str], bucket_seconds: int) -> list[Item]:
        async with self._reading() as queries:
            return await queries.switch_pairs(filters=filters, bucket_seconds=bucket_seconds)

    async def answer(self, question: str, *, filters: Mapping[str, str]) -> Mapping[str, Any]:
        async with self._reading() as queries:
            return await queries.answer(
                question, filters=filters, now=SystemClock().now().timestamp
            )

    def store(self) -> Mapping[str, Any]:
        return {
            "ok": self._database is not None,
            "path": shown_place(self._storage.url, folder=self._folder),
            "bytes": self.bytes(),
            "last_error": self._failed_to_open,
        }

    def bytes(self) -> int:
        """Of the file and its write-ahead log, or of PostgreSQL's tables."""
        found = self._retention.total_bytes if self._retention is not None else 0
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                found += path.stat().st_size
            except OSError:
                continue
        return found

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Queries]:
        if self._queries is None:
            raise HistoryUnavailable(self._failed_to_open or "the store is not open")
        try:
            yield self._queries
        except QueryError as error:
            raise HistoryQuestionError(str(error)) from error
        except StorageError as error:
            raise HistoryUnavailable(str(error)) from error


async def _whole(step: Coroutine[None, None, bool]) -> bool:
    """A step of a fraction of a second, to its end also where the task is cancelled meanwhile: it
    has the only writing connection, which a cancelled one would keep."""
    under_way = asyncio.get_running_loop().create_task(step)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.wait([under_way])
        raise
