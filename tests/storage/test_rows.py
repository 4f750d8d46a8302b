from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from gateway.config import Storage
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownStarted,
    Event,
    OperatorActed,
    Scope,
    Stamped,
    Switched,
    SwitchKind,
    Usage,
)
from storage.database import open_database
from storage.models import STREAM, TABLES
from storage.rows import KINDS, clean, event_item, fold, item, layout, stamped
from storage.statements import INSERTS, UPSERTS
from tests.storage.samples import ALL_KINDS, any_event, batch, example


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    async def make() -> Path:
        database = await open_database(Storage(), folder=tmp_path_factory.mktemp("rows"))
        await database.close()
        return database.path

    return asyncio.run(make())


@pytest.fixture
def file(tables: Path) -> Iterator[sqlite3.Connection]:
    """The real tables; what is put into them is rolled back."""
    connection = sqlite3.connect(tables, isolation_level=None)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def read_back(connection: sqlite3.Connection, given: Stamped) -> dict[str, object]:
    """The item the history API would show of this event, by way of its table."""
    statement = INSERTS[type(given.event)]
    place = statement.layout
    connection.execute("BEGIN")
    try:
        connection.execute(statement.sqlite(), place.values(7, given))
        (row,) = connection.execute(f"SELECT * FROM {place.table}").fetchall()
    finally:
        connection.execute("ROLLBACK")
    told = dict(row)
    for column in TABLES[place.table].columns:
        if type(column.type).__name__ == "Flag" and told[column.name] is not None:
            told[column.name] = bool(told[column.name])
    return event_item(place.table, told)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: str(kind.kind))
def test_every_kind_of_event_has_a_place_for_all_its_fields(kind: type[Event]) -> None:
    place = layout(kind)
    assert place.table in STREAM
    columns = {column.name for column in TABLES[place.table].columns}
    assert set(place.columns) <= columns
    assert len(place.columns) == len(set(place.columns))
    assert len(place.values(1, *batch(example(kind)))) == len(place.columns)
    assert KINDS[kind.kind] is kind


@pytest.mark.parametrize("kind", UPSERTS, ids=lambda kind: str(kind.kind))
def test_what_an_event_tells_of_its_cooldown_fits_the_table(kind: type[Event]) -> None:
    place = fold(kind)
    assert set(place.columns) <= {column.name for column in TABLES["cooldowns"].columns}
    assert len(place.values(1, *batch(example(kind)))) == len(place.columns)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: str(kind.kind))
def test_an_event_comes_back_as_it_went_in(file: sqlite3.Connection, kind: type[Event]) -> None:
    (given,) = batch(example(kind))
    found = read_back(file, given)
    assert stamped(found) == given
    assert found["id"] == 7
    assert found["kind"] == kind.kind


def test_whatever_its_values(tables: Path) -> None:
    connection = sqlite3.connect(tables, isolation_level=None)
    connection.row_factory = sqlite3.Row

    @settings(deadline=None)
    @given(any_event())
    def check(event: Event) -> None:
        (given_,) = batch(event)
        assert stamped(read_back(connection, given_)) == given_

    try:
        check()
    finally:
        connection.close()


def test_a_usage_that_says_nothing_is_none(file: sqlite3.Connection) -> None:
    (given,) = batch(example(AttemptFinished, usage=Usage()))
    assert stamped(read_back(file, given)).event == example(AttemptFinished, usage=None)


def test_rows_name_the_target_beside_provider_and_model() -> None:
    attempt = {"provider": "openai", "model": "org/gpt", "attempt_id": "r1.1"}
    assert item("attempts", attempt)["target"] == "openai/org/gpt"
    assert item("attempts", attempt | {"attempt_id": None})["kind"] == CandidateSkipped.kind
    for about_more in ({"model": ""}, {"scope": Scope.QUOTA_GROUP.value}):
        assert item("cooldowns", attempt | about_more)["target"] == ""


def test_an_operators_own_target_is_kept(file: sqlite3.Connection) -> None:
    (given,) = batch(example(OperatorActed, target="a/b", provider=""))
    assert read_back(file, given)["target"] == "a/b"


def test_a_switch_shows_its_kind_under_its_own_table(file: sqlite3.Connection) -> None:
    (given,) = batch(example(Switched, switch=SwitchKind.FORCED))
    found = read_back(file, given)
    assert (found["kind"], found["switch"]) == ("switched", "forced")
    row = {"kind": "forced", "from": "a/b", "to": "c/d"}
    assert item("switches", row)["kind"] == "forced"


def test_values_that_sqlite_refuses_can_be_made_acceptable() -> None:
    given = ("\ud800x", 2**70, -(2**70), math.nan, 1.5, None, True, [1])
    limit = 2**63 - 1
    assert clean(given) == ("?x", limit, -limit, 0.0, 1.5, None, 1, "[1]")


def test_a_cooldowns_start_is_found_from_its_end_and_length() -> None:
    place = fold(CooldownStarted)
    event = example(CooldownStarted, ts=5_000_000)
    assert dict(zip(place.columns, place.values(1, *batch(event)), strict=True))["started"] == (
        5_000_000
    )
