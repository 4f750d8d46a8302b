from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.config import Storage
from storage.database import open_database
from storage.migrating import MIGRATIONS
from storage.sqlite import BACKUPS_KEPT, Files, sqlite_warning
from tests.storage.released import released


def test_an_sqlite_with_the_wal_reset_bug_is_told_of() -> None:
    assert sqlite_warning((3, 51, 3)) is None
    assert sqlite_warning((3, 53, 0)) is None
    assert "SQLite 3.40.1" in str(sqlite_warning((3, 40, 1)))


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_a_file_that_could_not_shrink_can_after_its_migration(tmp_path: Path) -> None:
    path = released("0001", tmp_path / "evenkeel.db", auto_vacuum=0)
    assert pragma(path, "auto_vacuum") == 0
    database = await open_database(Storage(), folder=tmp_path)
    await database.close()
    assert pragma(path, "auto_vacuum") == 2
    assert pragma(path, "integrity_check") == "ok"


async def test_only_the_newest_copies_are_kept(tmp_path: Path) -> None:
    for number in range(1, BACKUPS_KEPT + 3):
        (tmp_path / "evenkeel.db").unlink(missing_ok=True)
        released("0001", tmp_path / "evenkeel.db")
        database = await open_database(Storage(), folder=tmp_path)
        await database.close()
        assert database.backup is not None
        assert database.backup.name == f"evenkeel.db.0001.{number}.backup"
    kept = Files(tmp_path / "evenkeel.db", 1.0).backups()
    assert [path.name for path in kept] == [
        f"evenkeel.db.0001.{number}.backup" for number in range(3, BACKUPS_KEPT + 3)
    ]


def test_what_schema_a_file_has_can_be_asked_without_changing_it(tmp_path: Path) -> None:
    path = tmp_path / "evenkeel.db"
    assert Files(path, 1.0).found(MIGRATIONS) is None
    released("0001", path)
    assert Files(path, 1.0).found(MIGRATIONS) == "0001"
    assert Files(path, 1.0).found(MIGRATIONS) == "0001"
