"""A day of flapping with a million attempts, and how long each question of it takes.

`python -m tests.benchmarks.million FOLDER [ATTEMPTS]` builds the database in FOLDER, unless one is
there, and prints the slowest of five answers of each question about the last hour.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.config import Storage
from gateway.dry_run import reading
from gateway.events import Event
from gateway.units import MICROS, Timestamp
from storage.database import Database, open_database
from storage.models import TABLES
from storage.queries import Queries
from storage.questions import QUESTIONS
from tests.recording import events_of, store

ATTEMPTS: Final = 1_000_000
HOURS: Final = 24
OVERLAY_MICROS: Final = MICROS
"""Requests of one hour are laid over each other, so far apart; switches and cooldowns are not."""
TIMES: Final = frozenset({"ts", "started", "until", "ended_at"})
NAMES: Final = frozenset({"request_id", "trigger_attempt_id", "attempt_id", "cooldown_id"})
ROUNDS: Final = 5


async def build(folder: Path, attempts: int, hour: Sequence[Event]) -> None:
    await store(hour, folder=folder)
    database = await open_database(Storage(), folder=folder)
    assert database.writer is not None
    try:
        async with database.writer.begin() as connection:
            await _multiply(connection, attempts)
            await connection.exec_driver_sql("ANALYZE")
    finally:
        await database.close()


async def _multiply(connection: AsyncConnection, attempts: int) -> None:
    rows = (await connection.execute(select(func.count()).select_from(TABLES["attempts"]))).scalar()
    last = [
        (await connection.execute(select(func.max(table.c.id)))).scalar() or 0
        for table in TABLES.values()
    ]
    overlays = -(-attempts // (HOURS * (rows or 1)))
    place = 0
    for hour in range(HOURS):
        for overlay in range(overlays):
            if place:
                shift = hour * 3600 * MICROS + overlay * OVERLAY_MICROS
                names = TABLES if overlay == 0 else ("requests", "attempts")
                for name in names:
                    await _copy(connection, TABLES[name], place, shift, max(last) + 1)
            place += 1


async def _copy(
    connection: AsyncConnection, table: Table, place: int, shift: int, step: int
) -> None:
    origin = table.alias("origin")

    def values() -> Iterator[ColumnElement[Any]]:
        for column in origin.c:
            if column.name in TIMES:
                yield column + shift
            elif column.name in ("id", "seq"):
                yield column + place * step
            elif column.name in NAMES:
                yield column + literal(f"-{place}")
            else:
                yield column

    # Rows of the first hour only: copies have higher ids.
    source = select(*values()).where(origin.c.id < step)
    await connection.execute(insert(table).from_select([each.name for each in table.c], source))


async def measure(folder: Path) -> list[tuple[str, float, int]]:
    """Question, the slowest of some answers in milliseconds, its items."""
    database = await open_database(Storage(), folder=folder, read_only=True)
    try:
        return await _measured(database)
    finally:
        await database.close()


async def _measured(database: Database) -> list[tuple[str, float, int]]:
    queries = Queries(database.reader)
    newest = (await queries.page("requests", limit=1, order="desc"))["items"][0]
    now, found = Timestamp(newest["ts"] + 1), []
    for name in QUESTIONS:
        took = []
        for _ in range(ROUNDS):
            began = perf_counter()
            answer = await queries.answer(name, now=now)
            took.append((perf_counter() - began) * 1000)
        found.append((name, max(took), len(answer["items"])))
    began = perf_counter()
    await queries.request(newest["request_id"])
    found.append(("requests/{id}", (perf_counter() - began) * 1000, 1))
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    attempts = int(sys.argv[2]) if len(sys.argv) > 2 else ATTEMPTS
    if not (folder / "evenkeel.db").exists():
        folder.mkdir(parents=True, exist_ok=True)
        hour = events_of(reading.load("busy-mix", cwd=folder), hours=1.0)
        asyncio.run(build(folder, attempts, hour))
    for name, milliseconds, items in asyncio.run(measure(folder)):
        sys.stdout.write(f"{name:16} {milliseconds:7.1f} ms  {items:4} items\n")


if __name__ == "__main__":
    main()
