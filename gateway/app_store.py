"""The database as the gateway sees it: a sink that may be away, and a history that then says so.

A store that cannot be opened at start is no reason not to serve: opening is tried again with every
batch, and what happens meanwhile waits in the rescue file.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

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
from gateway.units import Timestamp
from storage.database import Database, database_path, open_database
from storage.filters import Order, QueryError
from storage.models import StorageError
from storage.queries import Queries, Restored
from storage.writer import Writer

URGENT = (Switched, CooldownStarted, CooldownExtended, CooldownEnded)
"""What a restart must know: stored at once, with whatever waits before it."""

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
        if database.backup:
            log.info("the database was migrated", extra={"backup": str(database.backup)})
        self._failed_to_open = ""
        self._database = database
        self._writer = Writer(database.writer)
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
        if database is None or self._writer is None:
            return
        try:
            await self._writer.close()
        finally:
            await database.close()

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

    async def events_after(self, last_id: int, limit: int) -> list[Item]:
        async with self._reading() as queries:
            return await queries.events_after(last_id, limit)

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
            "path": str(self.path),
            "bytes": self.bytes(),
            "last_error": self._failed_to_open,
        }

    def bytes(self) -> int:
        """Of the file and its write-ahead log."""
        found = 0
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
