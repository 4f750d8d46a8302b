"""Counting rows into `rollups`, each row once: by spans of ids, with a mark of how far it has come."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.units import MICROS
from storage.models import STREAM
from storage.rollups import ROLLUPS
from storage.rows import USAGE

DAY: Final = 86_400 * MICROS
KEY: Final = ("day", "route", "provider", "model")
SPENT: Final = (*USAGE, "cost_usd")
COUNTS: Final = tuple(
    column.name for column in ROLLUPS.columns if column.name not in (*KEY, *SPENT)
)
REQUESTS: Final = {
    "requests": "true",
    "requests_ok": "outcome = 'ok'",
    "requests_rescued": "outcome = 'ok' AND failure IS NOT NULL",
    "client_errors": "outcome = 'client_error'",
    "upstream_errors": "outcome = 'upstream_error'",
    "exhausted": "outcome = 'exhausted'",
    "shed": "outcome = 'shed'",
    "cancelled": "outcome = 'cancelled'",
}
"""Column → which rows of `requests` it counts."""
ATTEMPTS: Final = {
    "attempts": "outcome <> 'skipped'",
    "attempts_ok": "outcome = 'ok'",
    "failures": "outcome = 'failed'",
    "skipped": "outcome = 'skipped'",
}
SWITCHES: Final = {"switches": "true"}
SLASH: Final = {"sqlite": "instr(\"from\", '/')", "postgresql": "strpos(\"from\", '/')"}

NOTED: Final = text("SELECT value FROM marks WHERE name = 'rollup'")
NOTE: Final = text(
    "INSERT INTO marks (name, value) VALUES ('rollup', :last) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
LAST: Final = text(
    "SELECT coalesce(max(id), 0) FROM ("
    + " UNION ALL ".join(f"SELECT max(id) AS id FROM {table}" for table in STREAM)
    + ") AS each"
)


async def counted(connection: AsyncConnection) -> int:
    """The last id whose row is in `rollups`."""
    return int((await connection.execute(NOTED)).scalar() or 0)


async def count_rows(connection: AsyncConnection, ids: int) -> int:
    """Counts the next so many ids; how many there were. Part of the caller's transaction."""
    after = await counted(connection)
    last = min(after + ids, int((await connection.execute(LAST)).scalar_one()))
    if last <= after:
        return 0
    for statement in statements(connection.dialect.name):
        await connection.execute(statement, {"after": after, "last": last})
    await connection.execute(NOTE, {"last": last})
    return last - after


@cache
def statements(dialect: str) -> list[TextClause]:
    """What counts the rows behind the id `after` up to `last`."""
    slash = SLASH[dialect]
    left = (
        f"CASE WHEN {slash} > 0 THEN substr(\"from\", 1, {slash} - 1) ELSE '' END",
        f'CASE WHEN {slash} > 0 THEN substr("from", {slash} + 1) ELSE "from" END',
    )
    return [
        _statement("requests", REQUESTS, ("provider", "model"), spent=False),
        _statement("attempts", ATTEMPTS, ("provider", "model"), spent=True),
        _statement("switches", SWITCHES, left, spent=False),
    ]


def _statement(
    table: str, counts: dict[str, str], target: tuple[str, str], *, spent: bool
) -> TextClause:
    day = f"ts - ts % {DAY}"
    numbers = [
        f"count(*) FILTER (WHERE {counts[name]})" if name in counts else "0" for name in COUNTS
    ]
    spends = [f"sum({name})" if spent else "CAST(NULL AS bigint)" for name in SPENT]
    added = [f"{name} = rollups.{name} + excluded.{name}" for name in COUNTS]
    added += [
        f"{name} = CASE WHEN excluded.{name} IS NULL THEN rollups.{name} "
        f"ELSE coalesce(rollups.{name}, 0) + excluded.{name} END"
        for name in SPENT
    ]
    return text(
        f"INSERT INTO rollups ({', '.join((*KEY, *COUNTS, *SPENT))}) "
        f"SELECT {', '.join((day, 'route', *target, *numbers, *spends))} "
        f"FROM {table} WHERE id > :after AND id <= :last GROUP BY 1, 2, 3, 4 "
        f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {', '.join(added)}"
    )
