"""What is old goes, what is too much goes, and nothing goes uncounted: on both kinds of database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from gateway import config
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    Event,
    ProcessStarted,
    RequestFinished,
    RequestOutcome,
    SessionMoved,
    Switched,
    Usage,
)
from gateway.units import MICROS, Timestamp
from storage.database import Database
from storage.queries import Queries
from storage.retention import SIZE, Pace, Retention
from storage.rollups_counting import DAY
from storage.writer import Writer
from tests.storage.samples import NOON, ONLY_SQLITE, batch, example

LIMITS = config.Retention(attempts_days=14, switches_days=180, max_bytes=50_000_000)
NOW = Timestamp(NOON + 200 * DAY)
KINDS: tuple[type[Event], ...] = (
    RequestFinished,
    AttemptFinished,
    CandidateSkipped,
    SessionMoved,
    Switched,
    CooldownStarted,
    ProcessStarted,
)


def days_ago(days: float) -> int:
    return round(NOW - days * DAY)


async def settle(retention: Retention, now: Timestamp = NOW) -> None:
    for _ in range(1000):
        if not await retention.step(now):
            return
    pytest.fail("it never comes to an end")


async def table(database: Database, query: str) -> Sequence[tuple[object, ...]]:
    async with database.reader.connect() as connection:
        return [tuple(row) for row in (await connection.execute(text(query))).all()]


def retention_of(database: Database, limits: config.Retention = LIMITS) -> Retention:
    assert database.writer is not None
    return Retention(database.writer, limits)


async def test_each_tier_has_its_age(database: Database, writer: Writer, queries: Queries) -> None:
    ages = (0.5, 13.0, 15.0, 179.0, 181.0)
    events = [
        example(kind, ts=days_ago(age), **over)
        for age in ages
        for kind in KINDS
        for over in (
            [{"cooldown_id": str(age), "until": days_ago(age) + 1}]
            if kind is CooldownStarted
            else [{}]
        )
    ]
    await writer.take(batch(*events))
    retention = retention_of(database)
    await settle(retention)
    left = await queries.events_after(0, 1000)
    found = {
        kind.kind: [
            round((NOW - item["ts"]) / DAY, 1) for item in left if item["kind"] == kind.kind
        ]
        for kind in KINDS
    }
    of_requests, others = [0.5, 13.0], [0.5, 13.0, 15.0, 179.0]
    assert found == {kind.kind: of_requests if kind in KINDS[:4] else others for kind in KINDS}
    cooldowns = await table(database, "SELECT cooldown_id FROM cooldowns ORDER BY id")
    assert cooldowns == [(str(age),) for age in others]
    assert round((NOW / MICROS - retention.oldest["attempts"]) * MICROS / DAY, 1) == 13.0
    assert round((NOW / MICROS - retention.oldest["switches"]) * MICROS / DAY, 1) == 179.0


async def test_a_cooldown_that_still_runs_is_kept_however_old_it_is(
    database: Database, writer: Writer
) -> None:
    old = days_ago(300)
    await writer.take(
        batch(
            example(CooldownStarted, ts=old, cooldown_id="runs", until=NOW + 1),
            example(CooldownStarted, ts=old, cooldown_id="over", until=old + 1),
            example(CooldownStarted, ts=old, cooldown_id="ended", until=NOW + 1),
            example(CooldownEnded, ts=old + 2, cooldown_id="ended", ended_at=old + 2),
        )
    )
    await settle(retention_of(database))
    assert await table(database, "SELECT cooldown_id FROM cooldowns") == [("runs",)]


async def test_what_is_deleted_was_counted_once(database: Database, writer: Writer) -> None:
    old = days_ago(100)
    spent = Usage(input_tokens=10, output_tokens=5)
    where = {"route": "coder", "provider": "p", "model": "m/1"}
    events: list[Event] = [
        example(RequestFinished, ts=old, outcome=RequestOutcome.OK, failure=None, **where),
        example(RequestFinished, ts=old + 1, outcome=RequestOutcome.OK, **where),
        example(RequestFinished, ts=old, outcome=RequestOutcome.EXHAUSTED, **where),
        example(
            AttemptFinished,
            ts=old,
            outcome=AttemptOutcome.OK,
            usage=spent,
            cost_usd=0.5,
            **where,
        ),
        example(
            AttemptFinished,
            ts=old,
            outcome=AttemptOutcome.FAILED,
            usage=None,
            cost_usd=None,
            **where,
        ),
        example(CandidateSkipped, ts=old, **where),
        example(Switched, ts=old, route="coder", from_target="p/m/1", to_target="q/n"),
        example(AttemptFinished, ts=old + DAY, outcome=AttemptOutcome.OK, usage=None, **where),
    ]
    retention = retention_of(database)
    for number, event in enumerate(events, 1):
        await writer.take(batch(event, first=number))
        await settle(retention)
    await settle(retention_of(database))
    assert await table(database, "SELECT count(*) FROM attempts") == [(0,)]
    assert await table(database, "SELECT count(*) FROM switches") == [(1,)]
    rows = await table(
        database,
        "SELECT day, route, provider, model, requests, requests_ok, requests_rescued, exhausted, "
        "attempts, attempts_ok, failures, skipped, switches, input_tokens, output_tokens, "
        "reasoning_tokens FROM rollups ORDER BY day",
    )
    day = old - old % DAY
    assert rows == [
        (day, "coder", "p", "m/1", 3, 2, 1, 1, 2, 1, 1, 1, 1, 10, 5, None),
        (day + DAY, "coder", "p", "m/1", 0, 0, 0, 0, 1, 1, 0, 0, 0, None, None, None),
    ]
    ((cost,), (other,)) = await table(database, "SELECT cost_usd FROM rollups ORDER BY day")
    assert (cost, other) == (0.5, 1.5)
    await settle(retention_of(database, config.Retention(rollups_days=90)))
    assert await table(database, "SELECT day FROM rollups") == []


async def test_above_the_size_the_oldest_requests_and_attempts_go_and_no_switch(
    database: Database, writer: Writer, queries: Queries
) -> None:
    for turn in range(20):
        attempts = [example(AttemptFinished, ts=days_ago(0.5), n=n) for n in range(300)]
        await writer.take(
            batch(
                example(Switched, ts=days_ago(0.5)),
                *attempts,
                example(CooldownStarted, ts=days_ago(0.5), cooldown_id=str(turn), until=NOW + 1),
                first=1 + 400 * turn,
            )
        )
    before = retention_of(database)
    await settle(before)
    if database.checkpoints is None:  # PostgreSQL counts its rows when a transaction is over.
        async with database.reader.connect() as connection:
            await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        await settle(before, Timestamp(NOW + 10 * MICROS))
    assert before.used_bytes > 500_000
    cap = before.used_bytes * 6 // 10
    small = retention_of(database, config.Retention(max_bytes=cap))
    for _ in range(100):
        await small.step(NOW)
        if small.used_bytes < cap * 0.9:
            break
    assert small.deleted > 500, (small.used_bytes, cap, small.deleted)
    assert await table(database, "SELECT count(*) FROM switches") == [(20,)]
    assert await table(database, "SELECT count(*) FROM cooldowns") == [(20,)]
    ((kept, first),) = await table(database, "SELECT count(*), min(id) FROM attempts")
    assert 0 < int(str(kept)) < 5500
    assert int(str(first)) > 500
    assert small.used_bytes > cap * 0.5
    assert await queries.last_id() == 20 * 302
    ((counted,),) = await table(database, "SELECT sum(attempts) FROM rollups")
    assert int(str(counted)) == 6000


@ONLY_SQLITE
async def test_a_file_gets_smaller_again(database: Database, writer: Writer) -> None:
    for turn in range(80):
        rows = [example(AttemptFinished, ts=days_ago(20), reason="x" * 600) for _ in range(200)]
        await writer.take(batch(*rows, first=1 + 200 * turn))
    size = await table(database, "PRAGMA page_count")
    retention = retention_of(database)
    await settle(retention)
    assert await table(database, "SELECT count(*) FROM attempts") == [(0,)]
    ((pages,),) = await table(database, "PRAGMA page_count")
    assert int(str(pages)) < int(str(size[0][0])) // 2


def test_the_size_of_a_step_follows_the_time_it_takes() -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(0.001, full=True)
    assert pace.size == SIZE[1]
    pace.learn(0.5, full=True)
    assert pace.size == SIZE[1] // 5
    for _ in range(50):
        pace.learn(0.5, full=True)
    assert pace.size == SIZE[0]
    pace.learn(0.001, full=False)
    assert pace.size == SIZE[0]
