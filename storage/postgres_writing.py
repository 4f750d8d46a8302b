"""One transaction of the writer on PostgreSQL.

Its first statement moves the common counter of ids on. The row stays locked until the commit, so
that writers take turns, and a lower id is never seen later than a higher one.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.events import Event, Stamped
from storage.rows import Row
from storage.statements import INSERTS, UPSERTS, plan

_INSERTS: Final = {kind: statement.postgres_many() for kind, statement in INSERTS.items()}
_INSERT_ONE: Final = {kind: statement.postgres() for kind, statement in INSERTS.items()}
_UPSERTS: Final = {kind: statement.postgres() for kind, statement in UPSERTS.items()}
COUNT_ON: Final = "UPDATE marks SET value = value + $1 WHERE name = 'id' RETURNING value - $1"
REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.InterfaceError,
    OverflowError,
    UnicodeError,
)


class PostgresTransaction:
    """Implements `Transaction`."""

    def __init__(self, driver: Any) -> None:  # noqa: ANN401
        self._driver = driver

    async def id_before(self, events: int) -> int:
        return int(await self._driver.fetchval(COUNT_ON, events))

    async def insert(self, kind: type[Event], rows: Sequence[Row]) -> int:
        columns = list(zip(*rows, strict=True))
        if any(isinstance(v, float) and math.isnan(v) for column in columns for v in column):
            message = "not a number"
            raise ValueError(message)
        return _count(await self._driver.execute(_INSERTS[kind], *columns))

    async def fold(self, kind: type[Event], rows: Sequence[Row]) -> None:
        for row in rows:
            await self._driver.execute(_UPSERTS[kind], *row)

    async def insert_one(self, kind: type[Event], row: Row) -> int:
        async with self._driver.transaction():
            return _count(await self._driver.execute(_INSERT_ONE[kind], *row))

    async def fold_one(self, kind: type[Event], row: Row) -> None:
        async with self._driver.transaction():
            await self._driver.execute(_UPSERTS[kind], *row)


def _count(status: str) -> int:
    """Of `INSERT 0 7`."""
    return int(status.rpartition(" ")[2])


class PostgresBackend:
    """Implements `Backend`."""

    trouble: tuple[type[Exception], ...] = (
        asyncpg.PostgresConnectionError,
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.LockNotAvailableError,
    )
    refusals: tuple[type[Exception], ...] = (*REFUSALS, ValueError)
    errors: tuple[type[Exception], ...] = (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        ValueError,
    )

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.place = repr(engine.url.render_as_string(hide_password=True))

    async def store(self, batch: Sequence[Stamped]) -> int:
        async with self.transaction() as transaction:
            events, folds = plan(batch, after=await transaction.id_before(len(batch)))
            new = 0
            for kind, rows in events.items():
                new += await transaction.insert(kind, rows)
            for kind, rows in folds.items():
                await transaction.fold(kind, rows)
        return new

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            try:
                async with driver.transaction():  # type: ignore[union-attr]
                    yield PostgresTransaction(driver)
            except BaseException:
                if driver.is_closed():  # type: ignore[union-attr]
                    await connection.invalidate()
                raise

    async def close(self) -> None:
        """Nothing: the server keeps what was committed."""
