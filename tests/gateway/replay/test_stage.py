"""Recorded runs of the dry runs' world, replayed: they come out as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Storage
from gateway.dry_run import reading
from gateway.events import Event
from gateway.replay.figures import agreement, figures, happened
from gateway.replay.recorded import Recorded, read
from gateway.replay.stage import replay
from gateway.replay.weather import Known, Unseen
from gateway.units import MICROS, Timestamp
from storage.database import open_database
from storage.queries import Queries
from tests.gateway.replay.building import attempt, config, recorded, request, speaks
from tests.recording import events_of, store

KINDS = (
    "cooldown_started,cooldown_extended,cooldown_ended,operator_acted,flapping_started,"
    "process_started"
)
ALIKE_SHARE = 0.99


async def history(events: Sequence[Event], folder: Path) -> Recorded:
    await store(events, folder=folder)
    database = await open_database(Storage(), folder=folder, read_only=True)
    queries = Queries(database.reader)

    async def rows(table: str, **filters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await queries.page(table, filters=filters, limit=1000, cursor=cursor)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    try:
        return read(
            since=Timestamp(0),
            until=Timestamp(max(event.ts for event in events) + MICROS),
            requests=await rows("requests"),
            attempts=await rows("attempts"),
            switches=await rows("switches"),
            events=await rows("events", kind=KINDS),
        )
    finally:
        await database.close()


@pytest.mark.parametrize(
    "name", ["busy-mix", "flapping", "rate-limit", "stream-breaks", "operator", "all-down"]
)
def test_the_same_configuration_decides_as_it_did(name: str, tmp_path: Path) -> None:
    script = reading.load(name, cwd=tmp_path)
    found = asyncio.run(history(events_of(script, hours=0.75), tmp_path))
    assert len(found.requests) > 500

    played = replay(found, script.config, speaks=speaks)
    really = happened(found, played.told.first)
    agreed = agreement(really.decisions.values(), played.told.decisions)
    assert agreed.decisions == len(found.requests)
    assert agreed.share >= ALIKE_SHARE, agreed.examples
    window = {"since": found.since, "until": found.until}
    then, now = figures(really, **window), figures(played.told, **window)
    assert (then.switches, then.reversals) == (now.switches, now.reversals)


def test_another_configuration_decides_otherwise(tmp_path: Path) -> None:
    """The order of the targets turned round: the other one serves, and nothing is known of less."""
    script = reading.load("outage", cwd=tmp_path)
    found = asyncio.run(history(events_of(script, hours=0.75), tmp_path))
    names = [each.target for each in script.config.routes[0].targets]
    played = replay(found, config(*reversed(names)), speaks=speaks)
    mine = figures(played.told, since=found.since, until=found.until)
    assert mine.switches == 0
    assert played.known[Known.HELD] > 0


def test_a_model_that_is_not_offered_any_more_is_counted() -> None:
    found = recorded([request(1.0, requested_model="gone")], [attempt(1.0)])
    played = replay(found, config("a/model"), speaks=speaks)
    assert (played.without_route, played.told.decisions) == (1, {})


def test_what_is_assumed_of_an_unseen_target_decides() -> None:
    found = recorded([request(1.0)], [attempt(1.0)])
    good = replay(found, config("new/model"), speaks=speaks)
    bad = replay(found, config("new/model"), speaks=speaks, unseen=Unseen.BAD)
    assert good.known[Known.UNSEEN] == 1
    assert good.told.decisions["r1"].outcome == "ok"
    assert bad.told.decisions["r1"].outcome == "exhausted"


def test_progress_is_told() -> None:
    shares: list[float] = []
    found = recorded([request(n) for n in range(10)], [attempt(n) for n in range(10)])
    replay(found, config("a/model"), speaks=speaks, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 10
