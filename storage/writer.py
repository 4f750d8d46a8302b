"""The sink that puts events into the database: one transaction per batch, all of it or nothing.

Of an SQLite file it is the only writer; into a PostgreSQL database several gateways may write. Ids
are handed out here, inside the transaction and across all tables, which makes the order of ids the
order of commits. A batch may be given again, also after a transaction of unknown end and out of
order: an event that is there already is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.events import Event, Stamped
from storage.models import StorageError
from storage.rows import Row, clean
from storage.statements import plan

log = logging.getLogger(__name__)


class Transaction(Protocol):
    """One in which each row is stored by itself."""

    async def id_before(self, events: int) -> int:
        """The id behind which so many may be given out. Asked first, and once."""

    async def insert_one(self, kind: type[Event], row: Row) -> int:
        """How many were not there yet. After an error the transaction goes on; so too with
        `fold_one`."""

    async def fold_one(self, kind: type[Event], row: Row) -> None: ...


class Backend(Protocol):
    place: str
    """The database, for a sentence."""
    trouble: tuple[type[Exception], ...]
    """What says that the database takes nothing now."""
    refusals: tuple[type[Exception], ...]
    """Else what says that it does not take a value."""
    errors: tuple[type[Exception], ...]
    """All that it may raise."""

    async def store(self, batch: Sequence[Stamped]) -> int:
        """All of the batch in one transaction; how many events were not there yet."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def close(self) -> None: ...


class Writer:
    """A `Sink`. `engine` is the database's writing one; `close` ends it."""

    name = "storage"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._backend = backend(engine)
        self._errors: tuple[type[Exception], ...] = (*self._backend.errors, SQLAlchemyError)
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
                self.written += await self._backend.store(batch)
            except self._backend.trouble:
                raise
            except self._backend.refusals:
                # A value that no column can hold: the rest of the batch must not wait for it.
                new, refused = await self._store_carefully(batch)
                self.written += new
                self.refused += refused
        except self._errors as error:
            place = self._backend.place
            message = f"could not store {len(batch)} events in {place}: {_cause(error)}"
            raise StorageError(message) from error

    async def close(self) -> None:
        try:
            await self._backend.close()
        except self._errors as error:
            message = f"could not close {self._backend.place} tidily: {_cause(error)}"
            raise StorageError(message) from error
        finally:
            await self._engine.dispose()

    async def _store_carefully(self, batch: Sequence[Stamped]) -> tuple[int, int]:
        """Row by row: how many were new, and how many not even `clean` could make acceptable."""
        new = refused = 0
        async with self._backend.transaction() as transaction:
            events, folds = plan(batch, after=await transaction.id_before(len(batch)))
            for kind, row in ((kind, row) for kind, rows in events.items() for row in rows):
                try:
                    new += await transaction.insert_one(kind, clean(row))
                except self._backend.trouble:
                    raise
                except self._backend.refusals as error:
                    refused += 1
                    log.error("an event cannot be stored", extra={"cause": str(error)})  # noqa: TRY400
            for kind, row in ((kind, row) for kind, rows in folds.items() for row in rows):
                try:
                    await transaction.fold_one(kind, clean(row))
                except self._backend.trouble:
                    raise
                except self._backend.refusals as error:
                    log.error("a cooldown cannot be stored", extra={"cause": str(error)})  # noqa: TRY400
        return new, refused


def backend(engine: AsyncEngine) -> Backend:
    """What speaks the engine's SQL. Each loads its own driver only."""
    if engine.dialect.name == "sqlite":
        from storage.sqlite_writing import SqliteBackend

        return SqliteBackend(engine)
    from storage.postgres_writing import PostgresBackend

    return PostgresBackend(engine)


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
