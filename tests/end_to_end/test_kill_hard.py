"""`kill -9` at random moments under load, again and again, on one database.

What must hold is told by numbers: `seq` counts the events of a process without gaps, so that what
is missing is seen. `EVENKEEL_KILLS` is how often (`make kill-test` does it 30 times).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from gateway.clock import SystemClock
from tests.end_to_end.gateways import (
    DATABASE,
    FILE,
    Client,
    client_of,
    openai,
    program,
    settings_of,
    write,
)
from tests.upstream import Answer, ScriptedUpstream

KILLS = int(os.environ.get("EVENKEEL_KILLS", "10"))
CLIENTS = 6
STREAM = ("requests", "attempts", "switches", "events")
LOST_SECONDS = 1.0
"""No answer older than this may be lost; what was measured is far less and is printed."""
ARGUMENTS = ("serve", "--config", FILE, "--port", "0")
GONE = (aiohttp.ClientError, ConnectionError, TimeoutError, asyncio.IncompleteReadError)


@dataclass(slots=True)
class Witness:
    """What clients and an operator saw with their own eyes."""

    rng: Random
    answers: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Request id → which life, and when its answer was whole."""
    acts: list[dict[str, Any]] = field(default_factory=list)
    """Switches and cooldown events that the gateway has confirmed."""
    lives: int = 0
    some: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, client: Client, clock: SystemClock) -> None:
        with suppress(*GONE):
            while True:
                got = await client.chat(stream=self.rng.random() < 0.5)
                assert got.status == 200, got.body
                self.answers[got.request_id] = (self.lives, clock.now().instant)
                self.some.set()

    async def operator(self, client: Client) -> None:
        with suppress(*GONE):
            while True:
                for path, body in (
                    ("routes/coder/pin", {"target": "b/m"}),
                    ("targets/a/m/rest", {"expires_seconds": 600}),
                    ("routes/coder/unpin", {}),
                    ("cooldowns/reset", {}),
                    ("routes/coder/pin", {"target": "a/m"}),
                ):
                    got = await client.post(f"/api/v1/{path}", body)
                    assert got.status == 200, got.body
                    told = got.json["events"]
                    self.acts += [
                        each
                        for each in told
                        if each["kind"].startswith("cooldown_") or each["kind"] == "switched"
                    ]
                    await asyncio.sleep(self.rng.uniform(0.0, 0.03))

    async def one_life(self, folder: Path) -> None:
        clock = SystemClock()
        async with program(folder, *ARGUMENTS) as p, client_of(await p.url()) as client:
            self.some.clear()
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(self.client(client, clock))
                group.create_task(self.operator(client))
                await self.some.wait()
                await asyncio.sleep(self.rng.uniform(0.0, 0.5))
                p.process.kill()
            await p.ended()
        self.lives += 1

    def lost(self, known: set[str]) -> list[float]:
        """How long before the last answer of their life those were whole whose rows are missing.

        Not before the kill: a machine that stood still meanwhile has lost nothing by that.
        """
        last: dict[int, float] = {}
        for life, at in self.answers.values():
            last[life] = max(last.get(life, at), at)
        return [
            last[life] - at
            for request_id, (life, at) in self.answers.items()
            if request_id not in known
        ]


def stored(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


@asynccontextmanager
async def upstreams(folder: Path, durability: str) -> AsyncIterator[None]:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = b.default = Answer(text=("one", "two"))
        settings = settings_of({"a": openai(a), "b": openai(b)}, {"coder": ["a/m", "b/m"]})
        write(folder, {**settings, "storage": {"durability": durability}})
        yield


@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_killed_again_and_again_it_loses_no_switch_and_no_cooldown(
    tmp_path: Path, durability: str
) -> None:
    witness = Witness(Random(KILLS))
    async with upstreams(tmp_path, durability):
        for _ in range(KILLS):
            await witness.one_life(tmp_path)
        async with program(tmp_path, *ARGUMENTS) as p, client_of(await p.url()) as client:
            await client.api("events")  # Waits for the store.
    assert stored(tmp_path, "PRAGMA integrity_check") == [("ok",)]

    # Every switch and cooldown that anybody was told of.
    switches = set(stored(tmp_path, 'SELECT ts, route, "from", "to" FROM switches'))
    cooldowns = set(stored(tmp_path, "SELECT ts, kind, cooldown_id FROM events"))
    assert len(witness.acts) > KILLS
    for act in witness.acts:
        if act["kind"] == "switched":
            assert (act["ts"], act["route"], act["from"], act["to"]) in switches
        else:
            assert (act["ts"], act["kind"], act["cooldown_id"]) in cooldowns

    # Of each process all events up to one: what is missing are its very last moments.
    union = " UNION ALL ".join(f"SELECT boot_id, seq FROM {table}" for table in STREAM)
    boots: dict[str, list[int]] = {}
    for boot, seq in stored(tmp_path, f"SELECT boot_id, seq FROM ({union}) ORDER BY seq"):
        boots.setdefault(boot, []).append(seq)
    assert len(boots) == KILLS + 1
    for seqs in boots.values():
        assert seqs == list(range(1, len(seqs) + 1))

    # Answers that were whole.
    known = {request_id for (request_id,) in stored(tmp_path, "SELECT request_id FROM requests")}
    lost = witness.lost(known)
    oldest = max(lost, default=0.0) * 1000
    sys.stderr.write(
        f"\n{durability}: {len(boots) - 1} kills, {len(witness.answers)} answers, "
        f"{len(witness.acts)} switches and cooldown events told, {len(lost)} answers without a "
        f"row, the oldest of them whole {oldest:.0f} ms before the last one\n"
    )
    if durability == "strict":
        assert lost == []
    assert all(seconds < LOST_SECONDS for seconds in lost)
