from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import UniqueConstraint

from gateway.config import Storage
from storage.database import open_database
from storage.models import STREAM, TABLES
from storage.rollups import MARKS, METADATA, ROLLUPS
from storage.rows import RENAMED
from tests.storage.samples import ALL_KINDS

HISTORY = (Path(__file__).parents[2] / "docs" / "history.md").read_text()
OF_THE_STORE = {
    "id",
    "seq",
    "boot_id",
    "config_version",
    "payload",
    "started",
    "ended_actor",
    "ended_note",
    "outcome",
}


def test_no_column_could_hold_a_prompt_an_answer_or_a_secret() -> None:
    told = {RENAMED.get(name, name) for kind in ALL_KINDS for name in kind.__struct_fields__} | {
        "kind",
        "input_tokens",
        "cached_tokens",
        "cache_write_tokens",
    }
    told |= {"output_tokens", "reasoning_tokens"}
    for table in TABLES.values():
        assert {column.name for column in table.columns} <= told | OF_THE_STORE
        for column in table.columns:
            if column.name == "body_tokens":
                continue  # A size.
            for word in ("prompt", "answer", "secret", "header", "body", "message"):
                assert word not in column.name


def test_every_table_is_strict_and_never_uses_an_id_twice() -> None:
    assert set(TABLES) == {*STREAM, "cooldowns"}
    for table in (ROLLUPS, MARKS):
        assert table.dialect_options["sqlite"]["strict"]
    for table in TABLES.values():
        assert table.dialect_options["sqlite"]["strict"]
        assert table.dialect_options["sqlite"]["autoincrement"]


def test_an_event_is_stored_once_per_boot_and_number() -> None:
    for name in STREAM:
        unique = [
            [column.name for column in constraint.columns]
            for constraint in TABLES[name].constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        assert unique == [["boot_id", "seq"]]


@pytest.mark.parametrize("name", [*TABLES, "rollups", "marks"])
def test_the_documentation_names_every_column(name: str) -> None:
    (section,) = re.findall(rf"^### `{name}`.*?(?=^##)", HISTORY, re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"`(\w+)`", section))
    assert {column.name for column in METADATA.tables[name].columns} <= told


async def test_the_documented_sql_runs(tmp_path: Path) -> None:
    database = await open_database(Storage(), folder=tmp_path)
    await database.close()
    statements = re.findall(r"^```sql$(.*?)^```$", HISTORY, re.MULTILINE | re.DOTALL)
    assert len(statements) == 5
    with closing(sqlite3.connect(database.path)) as connection:
        for statement in statements:
            assert connection.execute(statement).fetchall() == []
