"""Databases as released versions made them, with a row in each table: what an upgrade begins with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, create_engine

from storage.migrating import MIGRATIONS

RELEASED = MIGRATIONS.revisions
NUMBERS = {"REAL": 1.5, "FLOAT": 1.5, "DOUBLE PRECISION": 1.5}


def released(revision: str, path: Path, *, auto_vacuum: int = 2) -> Path:
    """An SQLite file of that schema, made by its own migrations."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA auto_vacuum = {auto_vacuum}")
        connection.execute("PRAGMA journal_mode = WAL")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, revision)
        fill(connection)
    engine.dispose()
    return path


def migrate(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.folder))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def fill(connection: Connection) -> None:
    """A row in each table of events, all of its columns filled in."""
    from sqlalchemy import Boolean, Float, Integer, MetaData

    found = MetaData()
    found.reflect(connection)
    for number, name in enumerate(("requests", "attempts", "switches", "cooldowns", "events"), 1):
        row: dict[str, object] = {}
        for column in found.tables[name].columns:
            match column.type:
                case Boolean():
                    row[column.name] = True
                case Integer():
                    row[column.name] = number
                case Float():
                    row[column.name] = 1.5
                case _:
                    row[column.name] = "{}" if column.name == "payload" else f"the {column.name}"
        connection.execute(found.tables[name].insert(), row)


def rows(connection: Connection) -> dict[str, list[dict[str, object]]]:
    from sqlalchemy import MetaData, select

    found = MetaData()
    found.reflect(connection)
    return {
        name: [dict(row) for row in connection.execute(select(table)).mappings()]
        for name, table in found.tables.items()
    }
