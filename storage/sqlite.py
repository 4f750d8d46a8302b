"""The SQLite file: whether it is ours, which schema it has, how its connections are tuned.

One connection writes. A fresh file gets its tables from the models; an older one is copied and
migrated.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from storage import checkpoints
from storage.migrating import Migrations, found_revision, upgrade
from storage.models import VERSION, StorageError
from storage.rollups import METADATA

BUSY_TIMEOUT_SECONDS: Final = 5.0
TURN_AGAIN_SECONDS: Final = 0.02
READERS_MAX: Final = 4
"""Each is a thread; a console page asks four things at once."""
WAL_BYTES_MAX: Final = 4 * 1024 * 1024
"""The log file is cut back to this after a long read kept it from being emptied."""
BACKUPS_KEPT: Final = 3
SOUND: Final = (3, 51, 3)
OLDEST: Final = (3, 37, 0)
"""The first with STRICT tables."""
INCREMENTAL: Final = 2


def sqlite_warning(version: tuple[int, ...]) -> str | None:
    if version >= SOUND:
        return None
    found = ".".join(map(str, version))
    return (
        f"SQLite {found} can damage a WAL database when two connections checkpoint at the same "
        "moment (fixed in 3.51.3). Evenkeel checkpoints from one connection only, whose lock file "
        "keeps a second gateway from doing so; let no other program write to the file."
    )


@dataclass(frozen=True, slots=True)
class Files:
    """The blocking part: everything before the engines exist. Runs in a thread."""

    path: Path
    busy_timeout_seconds: float

    def prepare(self, migrations: Migrations) -> tuple[str, Path] | None:
        """Makes the schema what `migrations` ends at. Returns, where it was older, what it was
        and the backup."""
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
        _pragmas(engine, "auto_vacuum = INCREMENTAL", "journal_mode = WAL", checkpoints.OFF)
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

    def bring_up(self, connection: Connection, migrations: Migrations) -> tuple[str, Path] | None:
        revision = self.revision(connection, migrations)
        if revision is None:
            METADATA.create_all(connection, checkfirst=False)
            VERSION.create(connection)
            connection.execute(VERSION.insert(), {"version_num": migrations.head})
            connection.commit()
        if revision is None or revision == migrations.head:
            return None
        connection.rollback()
        backup = self.back_up(connection, revision)
        with connection.begin():
            upgrade(connection, migrations, repr(str(self.path)))
        self.make_shrinkable(connection)
        return revision, backup

    def make_shrinkable(self, connection: Connection) -> None:
        """A file made without incremental vacuum is written anew once; else it could never shrink."""
        driver = connection.connection.driver_connection
        assert driver is not None
        if driver.execute("PRAGMA auto_vacuum").fetchone() != (INCREMENTAL,):
            driver.execute("PRAGMA auto_vacuum = INCREMENTAL")
            driver.execute("VACUUM")

    def found(self, migrations: Migrations) -> str | None:
        """The schema of the file; None where there is no file, or an empty one."""
        if not self.path.is_file():
            return None
        engine = create_engine(
            "sqlite://", creator=partial(self.connect, read_only=True), poolclass=NullPool
        )
        try:
            with engine.connect() as connection:
                return self.revision(connection, migrations)
        except DBAPIError as error:
            raise self.explained(error.orig) from error

    def check(self, migrations: Migrations) -> None:
        """That the file is there, is ours, and has the newest schema."""
        if not self.path.is_file():
            message = f"there is no database at {str(self.path)!r}"
            raise StorageError(message)
        revision = self.found(migrations)
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
        return found_revision(connection, migrations, repr(str(self.path)))

    def back_up(self, connection: Connection, revision: str | None) -> Path:
        """A compact copy beside the file, never over an earlier one; only the newest ones stay."""
        used = (path.name.split(".")[-2] for path in self.backups())
        number = max((int(each) for each in used if each.isdigit()), default=0) + 1
        backup = self.path.with_name(f"{self.path.name}.{revision}.{number}.backup")
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(backup),))
        for old in self.backups()[:-BACKUPS_KEPT]:
            old.unlink(missing_ok=True)
        return backup

    def backups(self) -> list[Path]:
        """Copies of the file, oldest first."""
        found = self.path.parent.glob(f"{escape(self.path.name)}.*.backup")
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

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


def writing_engine(files: Files, own: checkpoints.Checkpoints, *, strict: bool) -> AsyncEngine:
    engine = _engine(files, read_only=False, connections=1)
    _begin_with(engine.sync_engine, "BEGIN IMMEDIATE")
    _pragmas(
        engine.sync_engine,
        f"synchronous = {'FULL' if strict else 'NORMAL'}",
        "foreign_keys = ON",
        own.pragma(),
        f"journal_size_limit = {WAL_BYTES_MAX}",
    )
    return engine


def reading_engine(files: Files) -> AsyncEngine:
    engine = _engine(files, read_only=True, connections=READERS_MAX)
    # One transaction is one snapshot: what several statements read fits together.
    _begin_with(engine.sync_engine, "BEGIN")
    _pragmas(engine.sync_engine, "query_only = ON", checkpoints.OFF)

    @event.listens_for(engine.sync_engine, "invalidate")
    def stop(connection: Any, _record: object, _error: object) -> None:  # noqa: ANN401
        # The asker was cancelled. Closing would wait until the statement is through.
        connection.driver_connection._conn.interrupt()

    return engine


def _engine(files: Files, *, read_only: bool, connections: int) -> AsyncEngine:
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
        # Whoever takes a connection ends his transactions; a rollback more is one more turn of its thread.
        pool_reset_on_return="rollback" if read_only else None,
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
