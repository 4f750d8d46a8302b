"""Every documented filter finds its rows by an index, in every table that has what it asks for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite

from gateway.config import Storage
from storage.database import open_database
from storage.filters import FILTERS, TIMES, checked, conditions
from storage.models import TABLES

ASKED = {
    "kind": "return",
    "route": "coder",
    "provider": "openai",
    "target": "openai/gpt",
    "credential": "main",
    "session": "s",
    "request_id": "r",
    "outcome": "failed",
    "failure": "overloaded",
}
COMMON = "most rows have one of a few values: found by going through them, the newest first"
BY_ID = {
    **{
        (table, name): COMMON
        for table in ("requests", "attempts")
        for name in ("route", "provider", "target", "credential")
    },
    ("attempts", "kind"): "tried or skipped: half of the rows each, found by going through them",
    ("requests", "kind"): "all of them",
    ("cooldowns", "kind"): "all of them",
}
KINDS = {"attempts": "candidate_skipped", "requests": "request_finished", "cooldowns": "cooldown"}
CASES = [
    (table, name)
    for table in TABLES
    for name in FILTERS
    if name not in TIMES and (table, name) not in BY_ID
]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    import asyncio

    async def make(folder: Path) -> Path:
        database = await open_database(Storage(), folder=folder)
        await database.close()
        return database.path

    path = asyncio.run(make(tmp_path_factory.mktemp("plans")))
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def plan(connection: sqlite3.Connection, statement: object) -> list[str]:
    compiled = statement.compile(  # type: ignore[attr-defined]
        dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True}
    )
    values = [compiled.params[name] for name in compiled.positiontup]
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values)]


@pytest.mark.parametrize(("table", "name"), CASES)
def test_a_filter_uses_an_index(connection: sqlite3.Connection, table: str, name: str) -> None:
    value = KINDS.get(table, ASKED[name]) if name == "kind" else ASKED[name]
    where = conditions(table, checked(table, {name: value}, limit=1, order="asc"), whole=False)
    if where is None:
        return  # It has no such thing: no row matches, and none is looked at.
    rows = TABLES[table]
    found = plan(connection, select(rows).where(*where).order_by(rows.c.id).limit(201))
    assert any("USING INDEX" in step for step in found), found
    assert not any(step == f"SCAN {table}" for step in found), found


@pytest.mark.parametrize("table", TABLES)
def test_a_window_of_time_is_found_in_an_index(connection: sqlite3.Connection, table: str) -> None:
    rows = TABLES[table]
    found = plan(connection, select(func.min(rows.c.id)).where(rows.c.ts >= 1, rows.c.ts < 9))
    assert any(f"USING COVERING INDEX ix_{table}_ts" in step for step in found), found
