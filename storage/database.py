"""Opening the database that `storage.url` names: an SQLite file, or a PostgreSQL database.

Writing and reading go through engines of their own; what reads cannot write.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config import Durability, Storage
from storage import postgres, sqlite
from storage.checkpoints import Checkpoints
from storage.migrating import MIGRATIONS, Migrations
from storage.models import StorageError

POSTGRES: Final = ("postgresql", "postgresql+asyncpg")
POSTGRES_PLACE: Final = "evenkeel-postgresql"
"""What stands in for the file's name where there is none: the rescue file is called after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An open database. `writer` is for `Writer` and `Retention`; `reader` is for `Queries`."""

    path: Path
    """The file; with PostgreSQL what files beside the configuration are called after."""
    writer: AsyncEngine | None
    """None where it was opened for reading only."""
    reader: AsyncEngine
    sqlite_warning: str | None
    """A sentence for the operator where this SQLite has a known bug that can touch us."""
    migrated_from: str | None
    """The schema it had before it was migrated just now."""
    backup: Path | None
    """The copy of the file that was made before."""
    checkpoints: Checkpoints | None
    """Of SQLite: the right to make them, which the writing connection asks for."""

    async def close(self) -> None:
        """Closes what is still open; may be called twice."""
        if self.writer is not None:
            await self.writer.dispose()
        await self.reader.dispose()
        if self.checkpoints is not None:
            self.checkpoints.give_back()


async def open_database(
    storage: Storage,
    *,
    folder: Path,
    read_only: bool = False,
    busy_timeout_seconds: float = sqlite.BUSY_TIMEOUT_SECONDS,
    migrations: Migrations = MIGRATIONS,
) -> Database:
    """Opens it, made or migrated where needed. A relative path starts at `folder`.

    With `read_only` it must exist, with this version's schema. Raises `StorageError`.
    """
    path, url = database_path(storage.url, folder=folder), parsed(storage.url)
    strict = storage.durability is Durability.STRICT
    if url.drivername in POSTGRES:
        writer = None
        if not read_only:
            writer = postgres.writing_engine(
                url, strict=strict, patience_seconds=busy_timeout_seconds
            )
        return Database(
            path=path,
            writer=writer,
            reader=postgres.reading_engine(url),
            sqlite_warning=None,
            migrated_from=await postgres.prepare(url, migrations, read_only=read_only),
            backup=None,
            checkpoints=None,
        )
    if sqlite3.sqlite_version_info < sqlite.OLDEST:
        message = f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed"
        raise StorageError(message)
    files = sqlite.Files(path, busy_timeout_seconds)
    done = None
    if read_only:
        await asyncio.to_thread(files.check, migrations)
    else:
        done = await asyncio.to_thread(files.prepare, migrations)
    checkpoints = Checkpoints(path)
    return Database(
        path=path,
        writer=None if read_only else sqlite.writing_engine(files, checkpoints, strict=strict),
        reader=sqlite.reading_engine(files),
        sqlite_warning=sqlite.sqlite_warning(sqlite3.sqlite_version_info),
        migrated_from=done[0] if done else None,
        backup=done[1] if done else None,
        checkpoints=checkpoints,
    )


async def found_schema(
    storage: Storage, *, folder: Path, migrations: Migrations = MIGRATIONS
) -> str | None:
    """The schema that is there; None for an empty database. Changes nothing."""
    url = parsed(storage.url)
    if url.drivername in POSTGRES:
        return await postgres.found_schema(url, migrations)
    files = sqlite.Files(database_path(storage.url, folder=folder), sqlite.BUSY_TIMEOUT_SECONDS)
    return await asyncio.to_thread(files.found, migrations)


def parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        message = f"storage.url: {url!r} is not a database URL"
        raise StorageError(message) from None


def database_path(url: str, *, folder: Path) -> Path:
    """The file that `storage.url` names. Raises `StorageError` for what is not such a URL."""
    found = parsed(url)
    if found.drivername in POSTGRES:
        return folder.absolute() / POSTGRES_PLACE
    if found.drivername not in ("sqlite", "sqlite+aiosqlite"):
        message = (
            f"storage.url: {found.drivername!r} is not supported; use "
            "sqlite+aiosqlite:///evenkeel.db or postgresql+asyncpg://user@host/name"
        )
        raise StorageError(message)
    if not found.database or found.database == ":memory:":
        message = f"storage.url: {url!r} names no file"
        raise StorageError(message)
    return folder.absolute() / found.database


def shown_place(url: str, *, folder: Path) -> str:
    """Where the history is, for people: the file, or the URL without its password."""
    found = parsed(url)
    if found.drivername in POSTGRES:
        return found.render_as_string(hide_password=True)
    return str(database_path(url, folder=folder))
