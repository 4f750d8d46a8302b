"""A PostgreSQL database: whether it is ours, which schema it has, how its connections are tuned.

Several gateways may write into it. They take turns by the row lock on their common counter of
ids, which each holds from its first statement to its commit: so ids are handed out in the order
of commits, and whoever reads on after the last id it saw skips nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from storage.migrating import Migrations, found_revision, upgrade
from storage.models import VERSION, StorageError
from storage.rollups import MARKS, METADATA

READERS_MAX: Final = 4
TIMEOUT_SECONDS: Final = 5.0
"""To connect; and of a statement that only reads."""
SETTING_UP: Final = 4_847_665
"""Number of the advisory lock under which one gateway at a time makes the tables."""


async def prepare(url: URL, migrations: Migrations, *, read_only: bool) -> str | None:
    """Makes the schema what `migrations` ends at; says what it was if it was older.

    A migration is one transaction: it needs no copy to go back to. Raises `StorageError`.
    """
    place = repr(url.render_as_string(hide_password=True))

    def bring_up(connection: Connection) -> str | None:
        if not read_only:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SETTING_UP})")
        found = _revision(connection, migrations, place)
        if found == migrations.head:
            if not read_only:
                _begin_counting(connection)
            return None
        if read_only:
            message = (
                f"{place} has schema {found or 'none'}, not {migrations.head}; "
                "run `evenkeel migrate`"
            )
            raise StorageError(message)
        if found is None:
            METADATA.create_all(connection, checkfirst=False)
            VERSION.create(connection)
            connection.execute(VERSION.insert(), {"version_num": migrations.head})
        else:
            upgrade(connection, migrations, place)
        _begin_counting(connection)
        return found

    return await _once(url, bring_up)


async def found_schema(url: URL, migrations: Migrations) -> str | None:
    place = repr(url.render_as_string(hide_password=True))
    return await _once(url, lambda connection: _revision(connection, migrations, place))


async def _once(url: URL, work: Callable[[Connection], str | None]) -> str | None:
    engine = _engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except (DBAPIError, OSError) as error:
        raise explained(url, error) from error
    finally:
        await engine.dispose()


def _revision(connection: Connection, migrations: Migrations, place: str) -> str | None:
    names = set(inspect(connection).get_table_names())
    if not names & {*METADATA.tables, VERSION.name}:
        return None
    if VERSION.name not in names:
        message = f"{place} holds tables of another program by our names"
        raise StorageError(message)
    return found_revision(connection, migrations, place)


def _begin_counting(connection: Connection) -> None:
    """The counter of ids goes on behind the highest one that is there."""
    connection.exec_driver_sql(
        f"INSERT INTO {MARKS.name} (name, value) VALUES ('id', (SELECT coalesce(max(id), 0) FROM "
        "(SELECT max(id) AS id FROM requests UNION ALL SELECT max(id) FROM attempts "
        "UNION ALL SELECT max(id) FROM switches UNION ALL SELECT max(id) FROM cooldowns "
        "UNION ALL SELECT max(id) FROM events) AS each)) ON CONFLICT (name) DO NOTHING"
    )


def writing_engine(url: URL, *, strict: bool, patience_seconds: float) -> AsyncEngine:
    """`batched` need not wait for the disk at each commit: a crash of the server may then cost
    its last moments, as with SQLite a loss of power may."""
    return _engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        settings={
            "synchronous_commit": "on" if strict else "off",
            "lock_timeout": f"{round(patience_seconds * 1000)}ms",
        },
    )


def reading_engine(url: URL) -> AsyncEngine:
    """One transaction is one snapshot: what several statements read fits together."""
    return _engine(
        url,
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ",
        settings={
            "default_transaction_read_only": "on",
            "statement_timeout": str(round(TIMEOUT_SECONDS * 1000)),
        },
    )


def _engine(url: URL, *, settings: Mapping[str, str] | None = None, **more: Any) -> AsyncEngine:  # noqa: ANN401
    try:
        return create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            connect_args={
                "timeout": TIMEOUT_SECONDS,
                "server_settings": {
                    "application_name": "evenkeel",
                    **(settings or {}),
                },
            },
            **more,
        )
    except ImportError as error:
        message = "PostgreSQL needs the extra: pip install 'evenkeel[postgres]'"
        raise StorageError(message) from error


def explained(url: URL, error: Exception) -> StorageError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    place = url.render_as_string(hide_password=True)
    return StorageError(f"{place!r} cannot be used ({cause})")
