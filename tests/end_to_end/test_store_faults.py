"""Everything that can be wrong with the database's disk, one after the other, under load.

A phase takes `EVENKEEL_TROUBLE_SECONDS` (`make trouble-test` takes 10). What the requests took is
printed beside a run without trouble; nothing is asserted of it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.app_store import Store
from gateway.clock import SystemClock
from tests.end_to_end.gateways import DATABASE, Served, gateway, openai, settings_of
from tests.end_to_end.test_store_trouble import seqs
from tests.upstream import Answer, ScriptedUpstream

SECONDS = float(os.environ.get("EVENKEEL_TROUBLE_SECONDS", "1.5"))
PER_SECOND = 50
QUEUE_BYTES_MAX = 32 * 1024 * 1024
SIZE = "24m"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path | None]:
    """A volume of its own for the database; None where none can be made."""
    folder = tmp_path / "volume"
    folder.mkdir()
    made = sys.platform == "linux" and os.geteuid() == 0
    if made:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        made = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield folder if made else None
    if made:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@asynccontextmanager
async def locked(folder: Path, _served: Served) -> AsyncIterator[None]:
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@asynccontextmanager
async def read_only(_folder: Path, served: Served) -> AsyncIterator[None]:
    await pragma(served, "query_only = ON")
    yield
    await pragma(served, "query_only = OFF")


@asynccontextmanager
async def full(folder: Path, served: Served) -> AsyncIterator[None]:
    """The volume with the rescue file on it; elsewhere the database may not grow."""
    if not os.path.ismount(folder):  # noqa: ASYNC240
        await pragma(served, "max_page_count = 1")
        yield
        await pragma(served, "max_page_count = 1000000")
        return
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    yield
    filler.unlink()


async def pragma(served: Served, text: str) -> None:
    store = served.context.history
    assert isinstance(store, Store)
    assert store._database is not None
    assert store._database.writer is not None
    async with store._database.writer.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute_fetchall(f"PRAGMA {text}")


class Load:
    """So many requests a second, each begun when it is due, whatever became of the others."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.clock = SystemClock()
        self.seconds: list[float] = []
        self.queued_bytes = 0

    async def one(self, n: int) -> None:
        began = self.clock.now().instant
        got = await self.served.client.chat(stream=n % 2 == 0)
        assert got.status == 200, got.body
        self.seconds.append(self.clock.now().instant - began)

    async def phase(self) -> float:
        """The 99th percentile of what its requests took."""
        first = len(self.seconds)
        begun = self.clock.now().instant
        async with asyncio.TaskGroup() as group:
            for n in range(round(SECONDS * PER_SECOND)):
                due = begun + n / PER_SECOND - self.clock.now().instant
                await asyncio.sleep(max(0.0, due))
                group.create_task(self.one(n))
                stats = self.served.context.spine.stats()["storage"]
                self.queued_bytes = max(self.queued_bytes, stats.queued_bytes)
        took = sorted(self.seconds[first:])
        return took[round(len(took) * 0.99) - 1]


async def test_locked_then_read_only_then_full_then_repaired(
    tmp_path: Path, volume: Path | None
) -> None:
    folder = volume or tmp_path
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(status=500, json={})
        settings = settings_of(
            {"a": openai(a), "b": openai(b)}, {"coder": ["a/model-a", "b/model-b"]}
        )
        async with gateway(folder, settings) as g:
            load = Load(g)
            took = {"well": await load.phase()}
            for trouble in (locked, read_only, full):
                async with trouble(folder, g):
                    took[trouble.__name__] = await load.phase()
                    assert (await g.client.get("/readyz")).status == 200
            took["repaired"] = await load.phase()
            await g.settled()
            series = await g.client.metrics()
            requests = len(await g.client.all("requests"))
    assert requests == len(load.seconds) == round(SECONDS * PER_SECOND) * 5
    assert series.total("evenkeel_events_dropped_total") == 0
    assert series.total("evenkeel_journal_bytes") == 0
    assert load.queued_bytes < QUEUE_BYTES_MAX
    found = seqs(folder / DATABASE)
    assert found == list(range(1, len(found) + 1))
    assert not (folder / f"{DATABASE}.rescued.jsonl").exists()
    told = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in took.items())
    sys.stderr.write(f"\n99th percentile: {told}; longest queue {load.queued_bytes} bytes\n")
