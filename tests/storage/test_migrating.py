"""The way from every released schema to this one, with rows, on both kinds of database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.config import Storage
from gateway.events import AttemptFinished
from storage.database import Database, found_schema, open_database
from storage.migrating import MIGRATIONS, found_revision
from storage.models import VERSION, StorageError
from storage.queries import Queries
from storage.rollups import METADATA
from storage.writer import Writer
from tests.storage.released import RELEASED, fill, migrate, released, rows
from tests.storage.samples import batch, example
from tests.storage.servers import execute


async def an_older(revision: str, storage: Storage, folder: Path) -> dict[str, object]:
    """Made by its own migrations; its rows."""
    if not storage.url.startswith("postgresql"):
        path = released(revision, folder / "evenkeel.db")
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            found: dict[str, object] = dict(rows(connection))
        engine.dispose()
        return found
    other = create_async_engine(make_url(storage.url))

    def make(connection: Connection) -> dict[str, object]:
        migrate(connection, revision)
        fill(connection)
        return dict(rows(connection))

    async with other.begin() as begun:
        found = await begun.run_sync(make)
    await other.dispose()
    return found


async def whole(database: Database) -> dict[str, object]:
    assert database.writer is not None
    async with database.writer.connect() as connection:
        return dict(await connection.run_sync(rows))


@pytest.mark.parametrize("revision", RELEASED)
async def test_every_released_schema_is_upgraded_with_its_rows(
    storage: Storage, tmp_path: Path, revision: str
) -> None:
    before = await an_older(revision, storage, tmp_path)
    database = await open_database(storage, folder=tmp_path)
    assert database.writer is not None
    after = await whole(database)
    older = revision != MIGRATIONS.head
    assert database.migrated_from == (revision if older else None)
    assert after.pop(VERSION.name) == [{"version_num": MIGRATIONS.head}]
    del before[VERSION.name]
    for table, found in before.items():
        if table == "marks":
            continue
        for old, new in zip(found, after[table], strict=True):  # type: ignore[call-overload]
            assert old.items() <= new.items()
    page = await Queries(database.reader).page("events")
    assert [item["id"] for item in page["items"]] == [1, 2, 3, 5]
    await Writer(database.writer).take(batch(example(AttemptFinished)))
    assert await Queries(database.reader).last_id() == 6
    await database.close()


def shape(connection: Connection) -> dict[str, object]:
    """All that matters of the tables, and the SQL where the database keeps it."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT name, coalesce(sql, '') FROM sqlite_master")
        return {name: " ".join(sql.split()) for name, sql in found}
    metadata, told = MetaData(), inspect(connection)
    metadata.reflect(connection)
    return {
        table.name: (
            [(c.name, repr(c.type), c.nullable, c.autoincrement) for c in table.columns],
            [str(index) for index in told.get_indexes(table.name)],
            told.get_pk_constraint(table.name),
            told.get_unique_constraints(table.name),
        )
        for table in metadata.sorted_tables
    }


async def test_a_fresh_database_is_what_the_migrations_would_have_made(
    storage: Storage, tmp_path: Path
) -> None:
    database = await open_database(storage, folder=tmp_path)
    assert database.writer is not None
    async with database.writer.begin() as connection:
        fresh = await connection.run_sync(shape)
        if connection.dialect.name == "postgresql":
            await connection.run_sync(METADATA.drop_all)
            await connection.run_sync(VERSION.drop)
            await connection.run_sync(migrate, "head")
            migrated = await connection.run_sync(shape)
    await database.close()
    if database.checkpoints is not None:
        engine = create_engine(f"sqlite:///{released('head', tmp_path / 'migrated.db')}")
        with engine.connect() as plain:
            migrated = shape(plain)
        engine.dispose()
    assert fresh == migrated


async def test_a_newer_schema_is_refused_and_left_alone(storage: Storage, tmp_path: Path) -> None:
    database = await open_database(storage, folder=tmp_path)
    await execute(database, "UPDATE alembic_version SET version_num = '0099'")
    before = await whole(database)
    for read_only in (False, True):
        with pytest.raises(StorageError, match=r"newer Evenkeel: its schema is '0099'"):
            await open_database(storage, folder=tmp_path, read_only=read_only)
    with pytest.raises(StorageError, match=r"newer Evenkeel"):
        await found_schema(storage, folder=tmp_path)
    assert await whole(database) == before
    await database.close()


async def test_which_schema_there_is_can_be_asked(storage: Storage, tmp_path: Path) -> None:
    assert await found_schema(storage, folder=tmp_path) is None
    await an_older("0001", storage, tmp_path)
    assert await found_schema(storage, folder=tmp_path) == "0001"
    with pytest.raises(StorageError, match=r"has schema 0001, not .*run `evenkeel migrate`"):
        await open_database(storage, folder=tmp_path, read_only=True)


def test_the_known_revisions_are_the_scripts_there_are() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS.folder))
    found = tuple(script.revision for script in scripts.walk_revisions())
    assert tuple(reversed(found)) == MIGRATIONS.revisions


def test_migrations_run_through_evenkeel_only() -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.folder))
    with pytest.raises(SystemExit, match="evenkeel migrate"):
        command.upgrade(config, "head")


def test_a_database_without_a_note_of_its_schema_is_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        VERSION.create(connection)
        with pytest.raises(StorageError, match="its schema is 'none'"):
            found_revision(connection, MIGRATIONS, "this")
    engine.dispose()
