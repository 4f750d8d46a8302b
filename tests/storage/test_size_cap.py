"""A history much larger than its cap. `EVENKEEL_ATTEMPTS` is how many attempts (`make size-test`
takes a million under a cap of 50 MB)."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from gateway.app_store import Store
from gateway.clock import SystemClock
from gateway.config import Retention, Storage
from gateway.events import (
    AttemptFinished,
    CooldownStarted,
    Event,
    RequestFinished,
    Stamped,
    Switched,
)
from gateway.units import MICROS, RequestId
from tests.storage.samples import example

ATTEMPTS = int(os.environ.get("EVENKEEL_ATTEMPTS", "15000"))
CAP = 50_000_000 if ATTEMPTS >= 1_000_000 else 10_000_000
OVER = 10_000_000
"""For the write-ahead log, and what comes while rows are deleted."""
BATCH = 100
DAY = 86_400 * MICROS


async def test_the_file_and_its_log_stay_near_the_cap_and_all_switches_stay(
    tmp_path: Path,
) -> None:
    clock = SystemClock()
    store = Store(Storage(retention=Retention(max_bytes=CAP)), folder=tmp_path)
    assert await store.open()
    largest = attempts = switches = seq = 0
    keeper = asyncio.ensure_future(store.keep_house(clock))
    now = clock.now().timestamp
    attempt, request = example(AttemptFinished, ts=now), example(RequestFinished, ts=now)
    while attempts < ATTEMPTS:
        events: list[Event] = [
            replace(attempt, request_id=RequestId(f"r{attempts + n:026}")) for n in range(60)
        ]
        events += [
            replace(request, request_id=RequestId(f"r{attempts + n:026}")) for n in range(38)
        ]
        events += [
            example(Switched, ts=now),
            example(CooldownStarted, ts=now, cooldown_id=f"c{switches}", until=now + DAY),
        ]
        stamped = [Stamped(seq + n, "boot", "config", event) for n, event in enumerate(events)]
        await store.take(stamped)
        seq, attempts, switches = seq + BATCH, attempts + 60, switches + 1
        largest = max(largest, store.bytes())
        assert not keeper.done()
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    assert store._retention is not None
    longest = store._retention.longest_seconds
    await store.close()
    with closing(sqlite3.connect(tmp_path / "evenkeel.db")) as connection:

        def one(query: str) -> int:
            return int(connection.execute(query).fetchone()[0])

        assert one("SELECT count(*) FROM switches") == switches
        assert one("SELECT count(*) FROM cooldowns") == switches
        kept = one("SELECT count(*) FROM attempts")
        counted = one("SELECT value FROM marks WHERE name = 'rollup'")
        assert (
            one("SELECT sum(attempts) FROM rollups")
            + one(f"SELECT count(*) FROM attempts WHERE id > {counted}")
            == attempts
        )
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert largest < CAP + OVER
    sys.stderr.write(
        f"\n{attempts} attempts, {switches} switches; largest file and log {largest / 1e6:.1f} MB "
        f"under {CAP / 1e6:.0f} MB; {kept} attempts kept; longest lock {longest * 1000:.0f} ms\n"
    )
