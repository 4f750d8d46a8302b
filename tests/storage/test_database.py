from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config import Durability, Storage
from gateway.events import AttemptFinished
from storage.database import database_path, open_database
from storage.migrating import MIGRATIONS, Migrations
from storage.models import TABLES, StorageError
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.samples import batch, example

NOBODY = 65534

ONE_MORE = """
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE attempts ADD COLUMN flavour TEXT")
"""
BROKEN = ONE_MORE.replace("ALTER TABLE attempts", "ALTER TABLE nowhere")


async def made(folder: Path) -> Path:
    database = await open_database(Storage(), folder=folder)
    await database.close()
    return database.path


def ddl(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master")
        return {name: " ".join(sql.split()) for name, sql in rows}


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


async def pragma(engine: AsyncEngine, name: str) -> object:
    async with engine.connect() as connection:
        return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()


def with_one_more(folder: Path, script: str = ONE_MORE) -> Migrations:
    """Our migrations and one more, as a later version would have them."""
    scripts = folder / "migrations"
    shutil.copytree(MIGRATIONS.folder, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "0004_flavour.py").write_text(script)
    return Migrations(scripts, (*MIGRATIONS.revisions, "0004"))


async def test_a_fresh_file_has_all_tables_and_the_newest_schema(tmp_path: Path) -> None:
    path = await made(tmp_path)
    assert path == tmp_path / "evenkeel.db"
    assert set(TABLES) <= set(ddl(path))
    assert execute(path, "SELECT version_num FROM alembic_version") == [(MIGRATIONS.head,)]


def test_alembic_is_not_loaded_where_nothing_is_to_migrate(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from gateway.config import Storage\n"
        "from storage.database import open_database\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        database = await open_database(Storage(), folder=pathlib.Path(sys.argv[1]))\n"
        "        await database.close()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


async def test_how_the_connections_are_tuned(tmp_path: Path) -> None:
    database = await open_database(Storage(), folder=tmp_path)
    assert database.writer is not None
    assert await pragma(database.writer, "journal_mode") == "wal"
    assert await pragma(database.writer, "synchronous") == 1
    assert await pragma(database.writer, "foreign_keys") == 1
    assert await pragma(database.writer, "busy_timeout") == 5000
    assert await pragma(database.writer, "auto_vacuum") == 2
    assert await pragma(database.writer, "journal_size_limit") == 4 * 1024 * 1024
    assert await pragma(database.reader, "query_only") == 1
    await database.close()


async def test_strict_durability_syncs_every_commit(tmp_path: Path) -> None:
    storage = Storage(durability=Durability.STRICT)
    database = await open_database(storage, folder=tmp_path)
    assert database.writer is not None
    assert await pragma(database.writer, "synchronous") == 2
    await database.close()


async def test_readers_cannot_write(tmp_path: Path) -> None:
    database = await open_database(Storage(), folder=tmp_path)
    async with database.reader.connect() as connection:
        with pytest.raises(OperationalError, match="readonly"):
            await connection.exec_driver_sql("DELETE FROM attempts")
    await database.close()
    await database.close()


async def test_two_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    opened = await asyncio.gather(*(open_database(Storage(), folder=tmp_path) for _ in range(4)))
    for database in opened:
        await database.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = await made(tmp_path)
    execute(path, "UPDATE alembic_version SET version_num = '0099'")
    before = ddl(path)
    for read_only in (False, True):
        with pytest.raises(StorageError, match=r"newer Evenkeel: its schema is '0099'"):
            await open_database(Storage(), folder=tmp_path, read_only=read_only)
    assert ddl(path) == before


async def test_an_older_schema_is_copied_and_migrated_with_its_rows(tmp_path: Path) -> None:
    database = await open_database(Storage(), folder=tmp_path)
    assert database.writer is not None
    await Writer(database.writer).take(batch(example(AttemptFinished)))
    await database.close()

    newer = with_one_more(tmp_path)
    with pytest.raises(StorageError, match=r"has schema 0003, not 0004; run `evenkeel migrate`"):
        await open_database(Storage(), folder=tmp_path, migrations=newer, read_only=True)
    database = await open_database(Storage(), folder=tmp_path, migrations=newer)
    await database.close()
    backup = tmp_path / "evenkeel.db.0003.1.backup"
    assert database.backup == backup
    assert execute(database.path, "SELECT request_id, flavour FROM attempts") == [
        ("some request_id", None)
    ]
    assert execute(database.path, "SELECT version_num FROM alembic_version") == [("0004",)]
    assert execute(backup, "SELECT version_num FROM alembic_version") == [("0003",)]
    assert execute(backup, "SELECT request_id FROM attempts") == [("some request_id",)]

    database = await open_database(Storage(), folder=tmp_path, migrations=newer)
    await database.close()
    assert database.backup is None


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = await made(tmp_path)
    before = ddl(path)
    broken = with_one_more(tmp_path, BROKEN)
    for number in (1, 2):
        with pytest.raises(StorageError, match="nowhere"):
            await open_database(Storage(), folder=tmp_path, migrations=broken)
        assert (tmp_path / f"evenkeel.db.0003.{number}.backup").exists()
    assert ddl(path) == before
    assert execute(path, "SELECT version_num FROM alembic_version") == [("0003",)]


async def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    execute(tmp_path / "evenkeel.db", "CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="is a database of another program"):
        await open_database(Storage(), folder=tmp_path)
    assert set(ddl(tmp_path / "evenkeel.db")) == {"theirs"}


async def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "evenkeel.db"
    path.write_text("providers:\n" * 200)
    for read_only in (False, True):
        with pytest.raises(StorageError, match="is not an SQLite database"):
            await open_database(Storage(), folder=tmp_path, read_only=read_only)
    assert path.read_text() == "providers:\n" * 200


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = await made(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192)
    with pytest.raises(StorageError, match="is damaged"):
        await open_database(Storage(), folder=tmp_path)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"the folder of .*nowhere.* does not exist"):
        await open_database(Storage(), folder=tmp_path / "nowhere")


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "evenkeel.db").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        await open_database(Storage(), folder=tmp_path)


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that everybody may look into, and for as long a process without root's rights, to
    whom permissions mean nothing."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def close_to_writing(folder: Path) -> None:
    folder.chmod(0o555)


async def test_a_folder_without_permission_is_named(as_nobody: Path) -> None:
    close_to_writing(as_nobody)
    with pytest.raises(StorageError, match="check the permissions"):
        await open_database(Storage(), folder=as_nobody)


async def test_a_file_without_permission_is_named(as_nobody: Path) -> None:
    path = await made(as_nobody)
    for mode in (0o000, 0o444):
        path.chmod(mode)
        with pytest.raises(StorageError, match="check the permissions"):
            await open_database(Storage(), folder=as_nobody)


async def test_a_locked_file_is_named(tmp_path: Path) -> None:
    path = await made(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="is locked by another program"):
            await open_database(Storage(), folder=tmp_path, busy_timeout_seconds=0.01)
        other.execute("ROLLBACK")


async def test_read_only_needs_a_file_and_can_read_beside_its_writer(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no database"):
        await open_database(Storage(), folder=tmp_path, read_only=True)
    database = await open_database(Storage(), folder=tmp_path)
    assert database.writer is not None
    await Writer(database.writer).take(batch(example(AttemptFinished)))
    other = await open_database(Storage(), folder=tmp_path, read_only=True)
    assert other.writer is None
    assert len((await Queries(other.reader).page("attempts"))["items"]) == 1
    await other.close()
    await database.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://db/evenkeel", "'mysql' is not supported"),
        ("evenkeel.db", "is not a database URL"),
        ("sqlite+aiosqlite://", "names no file"),
        ("sqlite+aiosqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, problem: str) -> None:
    with pytest.raises(StorageError, match=problem):
        database_path(url, folder=Path("/srv"))


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(StorageError) as caught:
        database_path("mysql://me:hunter2@db/evenkeel", folder=Path("/srv"))
    assert "hunter2" not in str(caught.value)


def test_a_relative_path_starts_at_the_configurations_folder() -> None:
    srv = Path("/srv")
    assert database_path("sqlite+aiosqlite:///a b?.db", folder=srv).parent == srv
    assert database_path("sqlite+aiosqlite:////var/e.db", folder=srv) == Path("/var/e.db")
    assert database_path("sqlite:///data/e.db", folder=srv) == Path("/srv/data/e.db")


async def test_odd_characters_in_the_path_are_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1 ?mode=ro"
    folder.mkdir()
    path = await made(folder)
    assert path.is_file()
    assert os.listdir(tmp_path) == [folder.name]  # noqa: PTH208
