"""Opening the database file: where it is, whether it is ours, which schema it has, how it is tuned.

One connection writes and owns the checkpoints; all reading goes through other connections that
cannot write. A fresh file gets its tables from the models; an older one is copied and migrated.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from gateway.config import Durability, Storage
from storage.models import VERSION, StorageError
from storage.rollups import METADATA

BUSY_TIMEOUT_SECONDS: Final = 5.0
TURN_AGAIN_SECONDS: Final = 0.02
READERS_MAX: Final = 4
"""Each is a thread; a console page asks four things at once."""
WAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""The log file is cut back to this after a long read kept it from being emptied."""
WAL_CHECKPOINT_PAGES: Final = 1000
SQLITE_SOUND: Final = (3, 51, 3)
SQLITE_OLDEST: Final = (3, 37, 0)
"""The first with STRICT tables."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """The known schema revisions, oldest first, and the folder of Alembic's scripts."""

    folder: Path
    revisions: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.revisions[-1]


MIGRATIONS: Final = Migrations(Path(__file__).parent / "migrations", ("0001", "0002"))
"""Kept here so that Alembic need not be loaded to find that there is nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An open database. `writer` is for `Writer` alone; `reader` is for `Queries`."""

    path: Path
    writer: AsyncEngine | None
    """None where it was opened for reading only."""
    reader: AsyncEngine
    sqlite_warning: str | None
    """A sentence for the operator where this SQLite has a known bug that can touch us."""
    backup: Path | None
    """The copy made before a migration, if one was needed."""

    async def close(self) -> None:
        """Closes what is still open; may be called twice."""
        if self.writer is not None:
            await self.writer.dispose()
        await self.reader.dispose()


async def open_database(
    storage: Storage,
    *,
    folder: Path,
    read_only: bool = False,
    busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    migrations: Migrations = MIGRATIONS,
) -> Database:
    """Opens the file, made or migrated where needed. A relative path starts at `folder`.

    With `read_only` it must exist, with this version's schema. Raises `StorageError`.
    """
    path = database_path(storage.url, folder=folder)
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        message = f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed"
        raise StorageError(message)
    files = _Files(path, busy_timeout_seconds)
    backup = await asyncio.to_thread(files.check if read_only else files.prepare, migrations)
    strict = storage.durability is Durability.STRICT
    return Database(
        path=path,
        writer=None if read_only else _writing(files, "FULL" if strict else "NORMAL"),
        reader=_reading(files),
        sqlite_warning=sqlite_warning(sqlite3.sqlite_version_info),
        backup=backup,
    )


def database_path(url: str, *, folder: Path) -> Path:
    """The file that `storage.url` names. Raises `StorageError` for what is not such a URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        message = f"storage.url: {url!r} is not a database URL"
        raise StorageError(message) from None
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite"):
        message = (
            f"storage.url: {parsed.drivername!r} is not supported; "
            "use sqlite+aiosqlite:///evenkeel.db"
        )
        raise StorageError(message)
    if not parsed.database or parsed.database == ":memory:":
        message = f"storage.url: {url!r} names no file"
        raise StorageError(message)
    return folder.absolute() / parsed.database


def sqlite_warning(version: tuple[int, ...]) -> str | None:
    if version >= SQLITE_SOUND:
        return None
    found = ".".join(map(str, version))
    return (
        f"SQLite {found} can damage a WAL database when two connections checkpoint at the same "
        "moment (fixed in 3.51.3). Evenkeel checkpoints from one connection only; let no other "
        "program write to the file."
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """The blocking part: everything before the engines exist. Runs in a thread."""

    path: Path
    busy_timeout_seconds: float

    def prepare(self, migrations: Migrations) -> Path | None:
        """Makes the schema what `migrations` ends at. Returns the backup, if one was made."""
        if self.path.is_dir():
            message = f"{str(self.path)!r} is a folder, not a database file"
            raise StorageError(message)
        if not self.path.parent.is_dir():
            message = (
                f"the folder of {str(self.path)!r} does not exist; make it, or change storage.url"
            )
            raise StorageError(message)
        engine = create_engine("sqlite://", creator=self.connect, poolclass=NullPool)
        _begin_with(engine, "BEGIN IMMEDIATE")
        # Before the first table, and before WAL: later it would need a VACUUM of the whole file.
        _pragmas(engine, "auto_vacuum = INCREMENTAL", "journal_mode = WAL")
        try:
            with self.first(engine) as connection:
                return self.bring_up(connection, migrations)
        except DBAPIError as error:
            raise self.explained(error.orig) from error

    def first(self, engine: Engine) -> Connection:
        """The first connection, which turns a fresh file to WAL.

        SQLite does not wait by itself where another process does the same at that moment.
        """
        for _ in range(int(self.busy_timeout_seconds / TURN_AGAIN_SECONDS)):
            try:
                return engine.connect()
            except DBAPIError as error:
                if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_BUSY":
                    raise
            time.sleep(TURN_AGAIN_SECONDS)
        return engine.connect()

    def bring_up(self, connection: Connection, migrations: Migrations) -> Path | None:
        revision = self.revision(connection, migrations)
        if revision is None:
            METADATA.create_all(connection, checkfirst=False)
            VERSION.create(connection)
            connection.execute(VERSION.insert(), {"version_num": migrations.head})
            connection.commit()
        if revision in (None, migrations.head):
            return None
        connection.rollback()
        backup = self.back_up(connection, revision)
        with connection.begin():
            self.migrate(connection, migrations)
        return backup

    def check(self, migrations: Migrations) -> None:
        """That the file is there, is ours, and has the newest schema."""
        if not self.path.is_file():
            message = f"there is no database at {str(self.path)!r}"
            raise StorageError(message)
        engine = create_engine(
            "sqlite://", creator=partial(self.connect, read_only=True), poolclass=NullPool
        )
        try:
            with engine.connect() as connection:
                revision = self.revision(connection, migrations)
        except DBAPIError as error:
            raise self.explained(error.orig) from error
        if revision != migrations.head:
            message = (
                f"{str(self.path)!r} has schema {revision or 'none'}, not {migrations.head}; "
                "run `evenkeel migrate`"
            )
            raise StorageError(message)

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode={_mode(read_only=read_only)}",
            uri=True,
            timeout=self.busy_timeout_seconds,
            isolation_level=None,
        )

    def revision(self, connection: Connection, migrations: Migrations) -> str | None:
        """The schema the file has; None for an empty file. Refuses what is not ours to touch."""
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = set(tables.scalars())
        if not names:
            return None
        if VERSION.name not in names:
            message = f"{str(self.path)!r} is a database of another program"
            raise StorageError(message)
        row = connection.execute(select(VERSION)).first()
        found = str(row[0]) if row else "none"
        if found not in migrations.revisions:
            message = (
                f"{str(self.path)!r} was made by a newer Evenkeel: its schema is {found!r}, and "
                f"this one knows none after {migrations.head!r}. Upgrade, or use another file."
            )
            raise StorageError(message)
        return found

    def back_up(self, connection: Connection, revision: str | None) -> Path:
        """A compact copy beside the file, never over an earlier one."""
        names = (f"{self.path.name}.{revision}.{number}.backup" for number in count(1))
        backup = next(path for path in map(self.path.with_name, names) if not path.exists())
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(backup),))
        return backup

    def migrate(self, connection: Connection, migrations: Migrations) -> None:
        # 0.4 s to import, needed once in a release.
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(migrations.folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, migrations.head)
        except CommandError as error:
            message = f"could not migrate {str(self.path)!r}: {error}"
            raise StorageError(message) from error

    def explained(self, error: BaseException | None) -> StorageError:
        """The sentence for what SQLite says. Its own words stay at the end, for searching."""
        name = getattr(error, "sqlite_errorname", "")
        match name.split("_")[:2]:
            case ["SQLITE", "NOTADB"]:
                what = "is not an SQLite database"
            case ["SQLITE", "CORRUPT"]:
                what = "is damaged"
            case ["SQLITE", "CANTOPEN" | "PERM" | "AUTH"]:
                what = "cannot be opened; check the permissions of the file and of its folder"
            case ["SQLITE", "READONLY"]:
                what = "cannot be written; check the permissions of the file and of its folder"
            case ["SQLITE", "BUSY" | "LOCKED"]:
                what = "is locked by another program"
            case ["SQLITE", "FULL"]:
                what = "cannot grow: the disk is full"
            case _:
                what = "cannot be used"
        return StorageError(f"{str(self.path)!r} {what} ({error})")


def _writing(files: _Files, synchronous: str) -> AsyncEngine:
    engine = _engine(files, read_only=False, connections=1)
    _begin_with(engine.sync_engine, "BEGIN IMMEDIATE")
    _pragmas(
        engine.sync_engine,
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}",
        f"journal_size_limit = {WAL_BYTES_MAX}",
    )
    return engine


def _reading(files: _Files) -> AsyncEngine:
    engine = _engine(files, read_only=True, connections=READERS_MAX)
    # One transaction is one snapshot: what several statements read fits together.
    _begin_with(engine.sync_engine, "BEGIN")
    _pragmas(engine.sync_engine, "query_only = ON", "wal_autocheckpoint = 0")

    @event.listens_for(engine.sync_engine, "invalidate")
    def stop(connection: Any, _record: object, _error: object) -> None:  # noqa: ANN401
        # The asker was cancelled. Closing would wait until the statement is through.
        connection.driver_connection._conn.interrupt()

    return engine


def _engine(files: _Files, *, read_only: bool, connections: int) -> AsyncEngine:
    return create_async_engine(
        URL.create(
            "sqlite+aiosqlite",
            database=files.path.as_uri(),
            query={"uri": "true", "mode": _mode(read_only=read_only)},
        ),
        # Transactions are begun by us, not guessed by the driver.
        connect_args={"timeout": files.busy_timeout_seconds, "isolation_level": None},
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
    )


def _mode(*, read_only: bool) -> str:
    return "ro" if read_only else "rwc"


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def _pragmas(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
