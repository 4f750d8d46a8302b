"""The database is away: requests go on as if nothing were, and no event is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from tests.end_to_end.gateways import (
    DATABASE,
    FILE,
    Served,
    client_of,
    eventually,
    gateway,
    openai,
    program,
    settings_of,
    write,
)
from tests.upstream import Answer, ScriptedUpstream

STREAM = ("requests", "attempts", "switches", "events")
FAST_SECONDS = 1.0
"""For one request on a busy machine; a locked database would hold it for seconds."""


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(status=500, json={})
        settings = settings_of(
            {"a": openai(a), "b": openai(b)}, {"coder": ["a/model-a", "b/model-b"]}
        )
        async with gateway(folder, settings) as g:
            yield g


def seqs(path: Path) -> list[int]:
    """Of all events in the database."""
    with closing(sqlite3.connect(path)) as connection:
        found = [
            number
            for table in STREAM
            for (number,) in connection.execute(f"SELECT seq FROM {table}")
        ]
    return sorted(found)


def a_folder(path: Path) -> Callable[[], None]:
    path.mkdir()
    return path.rmdir


def garbage(path: Path) -> Callable[[], None]:
    path.write_bytes(b"This is no database. " * 500)
    return path.unlink


def somebody_else_s(path: Path) -> Callable[[], None]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    return path.unlink


@pytest.mark.parametrize("spoil", [a_folder, garbage, somebody_else_s])
async def test_a_store_that_cannot_be_opened_catches_up_once_it_can(
    tmp_path: Path, spoil: Callable[[Path], Callable[[], None]]
) -> None:
    path = tmp_path / DATABASE
    journal = tmp_path / f"{DATABASE}.rescued.jsonl"
    repair = spoil(path)
    async with served(tmp_path) as g:
        for n in range(10):
            assert (await g.client.chat(stream=n % 2 == 0)).status == 200
        status = await g.client.api("status")
        assert status["store"]["ok"] is False
        assert DATABASE in status["store"]["last_error"]
        ready = await g.client.get("/readyz")
        assert (ready.status, ready.json["store"]) == (200, "failing")
        history = await g.client.get("/api/v1/requests")
        assert (history.status, history.json["error"]["code"]) == (503, "history_unavailable")

        async def rescued() -> bool:
            return (await g.client.metrics()).total("evenkeel_journal_bytes") > 0

        await eventually(rescued)
        assert journal.exists()
        repair()
        await g.client.until("status", lambda found: found["store"]["ok"], 10)
        await g.settled()
        assert len(await g.client.all("requests")) == 10
        assert not journal.exists()
        series = await g.client.metrics()
        assert series.total("evenkeel_events_dropped_total") == 0
        assert series.total("evenkeel_journal_bytes") == 0
    assert seqs(path) == list(range(1, len(seqs(path)) + 1))


async def test_what_waits_at_the_end_is_in_the_next_process_s_database(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    repair = a_folder(path)
    async with served(tmp_path) as g:
        assert (await g.client.chat()).status == 200
        first = g.context.boot_id
    repair()
    async with served(tmp_path) as g:
        await g.settled()
        kinds = [each["kind"] for each in await g.client.all("events") if each["boot_id"] == first]
        assert kinds[0] == "process_started"
        assert kinds[-1] == "process_stopped"
        assert "request_finished" in kinds


async def test_a_locked_database_slows_no_request_and_loses_nothing(tmp_path: Path) -> None:
    clock = SystemClock()
    async with served(tmp_path) as g:
        await g.client.chat()
        await g.settled()
        other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None, check_same_thread=False)
        with closing(other) as connection:
            # In a thread: a transaction under way needs the loop to come to its end.
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            began = clock.now().instant
            slowest, sent = 0.0, 0
            while clock.now().instant - began < 2.0:
                before = clock.now().instant
                assert (await g.client.chat(stream=sent % 2 == 0)).status == 200
                slowest = max(slowest, clock.now().instant - before)
                sent += 1
            connection.execute("ROLLBACK")
        assert slowest < FAST_SECONDS
        await g.settled()
        assert len(await g.client.all("requests")) == sent + 1
        assert (await g.client.metrics()).total("evenkeel_events_dropped_total") == 0
    found = seqs(tmp_path / DATABASE)
    assert found == list(range(1, len(found) + 1))


async def test_a_killed_process_leaves_a_sound_database(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        write(tmp_path, settings_of({"a": openai(a)}, {"coder": ["a/model-a"]}))
        arguments = ("serve", "--config", FILE, "--port", "0")
        async with program(tmp_path, *arguments) as p, client_of(await p.url()) as client:
            for _ in range(20):
                assert (await client.chat()).status == 200
            await client.api("events")  # Waits for the store.
            await client.chat()
            p.process.kill()
            await p.ended()
        with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            [(rows,)] = connection.execute("SELECT count(*) FROM requests").fetchall()
        assert rows >= 20
        async with program(tmp_path, *arguments) as p, client_of(await p.url()) as client:
            assert (await client.chat()).status == 200
            assert len(await client.all("requests")) == rows + 1
