"""The ten questions on a recorded run that flapped: their answers, and by which way they are found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event

from gateway.config import Storage
from gateway.dry_run import reading
from gateway.dry_run.virtual_time import START_TIMESTAMP
from gateway.events import (
    AttemptFinished,
    CooldownSource,
    CooldownStarted,
    DataGap,
    Event,
    FlappingStarted,
    OperatorActed,
    RequestFinished,
    Switched,
)
from gateway.units import MICROS, Timestamp
from storage.database import open_database
from storage.filters import QueryError
from storage.models import TABLES
from storage.queries import Queries
from storage.questions import QUESTIONS, Answer
from tests.recording import events_of, store
from tests.storage.servers import new_database

HOURS = 1.0
NOW = Timestamp(START_TIMESTAMP + round(HOURS * 3600 * MICROS) + 60 * MICROS)
ACT_AT = Timestamp(START_TIMESTAMP + 1200 * MICROS)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """An hour in which a route flapped, with an operator's act and a gap in it."""
    script = reading.load("busy-mix", cwd=tmp_path_factory.mktemp("empty"))
    heard = events_of(script, hours=HOURS)
    acted = OperatorActed(
        ts=ACT_AT,
        actor="me",
        action="reset",
        route="",
        target="primary/large",
        provider="primary",
        credential="",
        note="their page is green",
        until=None,
    )
    gap = DataGap(ts=ACT_AT, sink="storage", dropped=3, since=ACT_AT)
    return [*heard, acted, gap]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a history is; a fresh one of the same kind is made by `other`."""

    storage: Storage
    folder: Path
    server: str
    """Empty: SQLite."""

    def other(self, folder: Path) -> Place:
        return place(self.server, folder)

    def fill(self, events: list[Event]) -> None:
        asyncio.run(store(events, folder=self.folder, storage=self.storage))


def place(server: str, folder: Path) -> Place:
    url = asyncio.run(new_database(server)) if server else Storage().url
    return Place(Storage(url=url), folder, server)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def recorded(
    request: pytest.FixtureRequest, events: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """The hour, stored; every test that asks it runs on both kinds of database."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    found = place(server, tmp_path_factory.mktemp("recorded"))
    found.fill(events)
    return found


def ask(recorded: Place, question: str, **filters: Any) -> Answer:
    async def answered() -> Answer:
        database = await open_database(recorded.storage, folder=recorded.folder, read_only=True)
        try:
            filters.setdefault("since", START_TIMESTAMP)
            return await Queries(database.reader).answer(question, filters=filters, now=NOW)
        finally:
            await database.close()

    return asyncio.run(answered())


def of(events: list[Event], kind: type[Event]) -> Iterator[Any]:
    return (each for each in events if isinstance(each, kind))


def test_is_it_flapping_or_one_failover(recorded: Place, events: list[Event]) -> None:
    [coder] = ask(recorded, "flapping")["items"]
    switches = list(of(events, Switched))
    assert coder["route"] == "coder"
    assert coder["switches"] == len(switches) > 1
    assert coder["reversals"] == sum(each.reversal for each in switches) > 0
    assert coder["flapping"] == len(list(of(events, FlappingStarted))) == 1
    dwell = sum(each.dwell_seconds for each in switches) / len(switches)
    assert coder["dwell_seconds"] == pytest.approx(dwell)


def test_how_wide_is_it(recorded: Place, events: list[Event]) -> None:
    items = ask(recorded, "scope")["items"]
    rests = [each for each in of(events, CooldownStarted) if each.source != CooldownSource.HOLD]
    assert sum(item["cooldowns"] for item in items) == len(rests)
    assert {(item["scope"], item["provider"]) for item in items} == {("target", "primary")}
    assert all(item["cooled_seconds"] > 0 for item in items)


def test_what_triggers_it(recorded: Place) -> None:
    items = ask(recorded, "triggers")["items"]
    assert {(item["reason"], item["status"], item["source"]) for item in items} == {
        ("overloaded", 503, "ladder"),
        ("server_error", 500, "ladder"),
    }


def test_when_did_it_start_and_what_changed_then(recorded: Place, events: list[Event]) -> None:
    [coder] = ask(recorded, "onset")["items"]
    first = next(of(events, Switched))
    assert (coder["ts"], coder["from"], coder["to"]) == (
        first.ts,
        first.from_target,
        first.to_target,
    )
    assert coder["config_version"] == "recorded"
    assert coder["before"] == []  # Nobody had done anything within ten minutes.


def test_are_users_hurt_or_only_rescued(recorded: Place, events: list[Event]) -> None:
    [coder] = ask(recorded, "users")["items"]
    requests = list(of(events, RequestFinished))
    assert coder["requests"] == len(requests)
    assert (coder["failed"], coder["broken_streams"]) == (0, 0)
    assert coder["rescued"] == sum(each.outcome == "ok" and each.attempts > 1 for each in requests)
    lost = [each.lost_seconds for each in requests if each.lost_seconds is not None]
    assert coder["lost_max_seconds"] == max(lost) > 0


def test_what_does_it_cost(recorded: Place, events: list[Event]) -> None:
    items = {item["provider"]: item for item in ask(recorded, "cost")["items"]}
    spent: dict[str, int] = {}
    for each in of(events, RequestFinished):
        tokens = each.usage.input_tokens if each.usage is not None else 0
        if not each.provider:
            continue  # Nobody served it.
        spent[each.provider] = spent.get(each.provider, 0) + (tokens or 0)
    assert {name: item["input_tokens"] for name, item in items.items()} == spent
    assert all(0.0 <= item["cached_share"] <= 1.0 for item in items.values())


def test_are_the_cooldowns_too_short(recorded: Place, events: list[Event]) -> None:
    items = ask(recorded, "cooldowns")["items"]
    started = list(of(events, CooldownStarted))
    assert sum(item["cooldowns"] for item in items) == len(started)
    assert sum(item["relapses"] for item in items) == sum(each.relapse for each in started)
    assert all(item["ended_by_operator"] == 0 for item in items)


def test_are_we_making_it_worse(recorded: Place, events: list[Event]) -> None:
    items = ask(recorded, "amplification")["items"]
    attempts = list(of(events, AttemptFinished))
    assert sum(item["sent"] for item in items) == len(attempts)
    assert sum(item["probes"] for item in items) == sum(each.probe for each in attempts) > 0
    assert [item["sent_while_cooling"] for item in items] == [0] * len(items)


def test_traffic_to_what_rests_is_seen(
    recorded: Place, events: list[Event], tmp_path: Path
) -> None:
    """The same run, with an attempt in the middle of a rest that no probe explains."""
    rest = next(each for each in of(events, CooldownStarted) if each.source == "ladder")
    some = next(each for each in of(events, AttemptFinished) if each.provider == rest.provider)
    sent = replace(some, started=rest.ts + MICROS, ts=rest.ts + 2 * MICROS, probe=False)
    other = recorded.other(tmp_path)
    other.fill([*events, sent])
    items = ask(other, "amplification")["items"]
    assert {item["provider"]: item["sent_while_cooling"] for item in items}[rest.provider] == 1


def test_what_capacity_is_left(recorded: Place, events: list[Event], tmp_path: Path) -> None:
    assert ask(recorded, "capacity")["items"] == []
    rest = next(of(events, CooldownStarted))
    until = Timestamp(NOW + 90 * MICROS)
    other = recorded.other(tmp_path)
    other.fill([*events, replace(rest, cooldown_id="new", until=until)])
    [item] = ask(other, "capacity")["items"]
    assert (item["provider"], item["seconds_left"]) == (rest.provider, 90.0)


def test_did_what_was_done_help(recorded: Place, events: list[Event]) -> None:
    [act] = ask(recorded, "acts")["items"]
    moves = [each.ts for each in of(events, Switched)]
    around = 600 * MICROS
    assert (act["actor"], act["note"]) == ("me", "their page is green")
    assert act["switches_before"] == sum(ACT_AT - around <= ts < ACT_AT for ts in moves)
    assert act["switches_after"] == sum(ACT_AT <= ts < ACT_AT + around for ts in moves)


def test_every_answer_says_whether_events_were_lost(recorded: Place) -> None:
    for question in QUESTIONS:
        assert ask(recorded, question)["gaps"] == 1
        assert ask(recorded, question, since=int(ACT_AT) + 1)["gaps"] == 0


def test_another_route_or_time_has_nothing(recorded: Place) -> None:
    for question in ("flapping", "onset", "users", "cost", "amplification"):
        assert ask(recorded, question, route="other")["items"] == []
        assert ask(recorded, question, until=int(START_TIMESTAMP))["items"] == []


@pytest.mark.parametrize(
    ("question", "filters"),
    [("weather", {}), ("users", {"outcome": "ok"}), ("users", {"since": "yesterday"})],
)
def test_what_is_no_question_is_told(recorded: Place, question: str, filters: Any) -> None:
    with pytest.raises(QueryError):
        ask(recorded, question, **filters)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_no_table_is_read_whole(recorded: Place, question: str) -> None:
    async def plans() -> list[str]:
        database = await open_database(recorded.storage, folder=recorded.folder, read_only=True)
        told: list[tuple[str, Any]] = []
        try:

            def heard(_c: Any, _k: Any, statement: str, values: Any, _x: Any, _m: bool) -> None:
                told.append((statement, values))

            engine = database.reader.sync_engine
            event.listen(engine, "before_cursor_execute", heard)
            window = {"since": int(NOW) - 600 * MICROS}
            await Queries(database.reader).answer(question, filters=window, now=NOW)
            event.remove(engine, "before_cursor_execute", heard)
            async with database.reader.connect() as connection:
                if recorded.server:
                    # A table this small would be read whole, wherever an index could serve too.
                    await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = "EXPLAIN" if recorded.server else "EXPLAIN QUERY PLAN"
                found = []
                for statement, values in told:
                    if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                        continue
                    rows = await connection.exec_driver_sql(f"{explain} {statement}", values)
                    found += [str(row[-1]) for row in rows]
                return found
        finally:
            await database.close()

    found = asyncio.run(plans())
    assert any("SEARCH" in step or "Index" in step for step in found), found
    whole = [step for step in found if step in {f"SCAN {name}" for name in TABLES}]
    whole += [step for step in found if "Seq Scan" in step]
    assert whole == [], found


def test_numbers_are_of_the_same_kind_on_every_database(recorded: Place) -> None:
    for question in QUESTIONS:
        for item in ask(recorded, question)["items"]:
            for name, value in item.items():
                whole = name.endswith(("_tokens", "requests", "cooldowns", "sent", "failed"))
                if whole and value is not None:
                    assert type(value) is int, (question, name)
