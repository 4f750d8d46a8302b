"""Deleting what is old or too much, in steps so small that nobody has to wait for them.

Each step is one short transaction of the writing connection, between the writer's. Rows are
counted into `rollups` before they may go. What a step takes is measured, and the next one is made
larger or smaller by it: the write lock is held for hundredths of a second.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway import config
from gateway.units import MICROS, Timestamp
from storage.models import TABLES
from storage.rollups_counting import DAY, count_rows, counted

GOAL_SECONDS: Final = (0.008, 0.02)
"""Of a step: shorter ones grow, longer ones shrink. A tenth of a second is the promise."""
SIZE: Final = (20, 2000)
"""Rows, or pages, of a step: least and most."""
COUNTED: Final = (500, 1000)
"""Rows of a step of counting: least, and at first. Fewer would cost more than they bring: most of
such a step is the price of its statements, and a busy loop makes any step look slow."""
MEASURE_SECONDS: Final = 1.0
"""While counting is behind; else each step measures."""
HIGH: Final = 0.85
LOW: Final = 0.80
"""Shares of `max_bytes`: above the first rows are deleted until it is the second. The rest is for
the write-ahead log and for what comes meanwhile."""
EVICTIONS: Final = 8
"""Steps of deleting before it is measured again: a writer in a hurry has its turn between two, and
must not be faster."""
ROW_BYTES_LEAST: Final = 500
"""With its part of the indexes: so many rows are not deleted in vain."""
AGES_EVERY_SECONDS: Final = 60.0
FREE_PAGES: Final = (500, 1500)
"""Of an SQLite file: with more than the second it is made smaller until it has the first."""
POSTGRES_ROW_BYTES: Final = 900
"""Of a row with its part of the indexes. A deleted row's space is used again there and not given
back, so that the size of the tables does not say how much is in them."""
ROWS_EVERY_SECONDS: Final = 5.0
"""PostgreSQL's own count of its rows lags behind; until it is asked again, ours goes on."""
POSTGRES_LOCK: Final = 4_847_666
"""Number of the advisory lock: one gateway at a time."""
OF_SESSIONS: Final = "kind IN ('session_moved', 'history_adapted')"
"""Events that come with requests, as many of them, and are kept as long."""
OVER: Final = "(ended IS NOT NULL OR until IS NULL OR until < :now)"
"""A cooldown that still runs is needed, however old it is."""
SHORT: Final = {"attempts": "true", "requests": "true", "events": OF_SESSIONS}
LONG: Final = {"switches": "true", "cooldowns": OVER, "events": f"NOT {OF_SESSIONS}"}
"""Table → which of its rows belong to this tier."""

Work = Callable[[AsyncConnection, int], Awaitable[int]]
"""Does so much in a transaction, and says how much there was to do."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """How much a step of one kind does, learned from how long the last ones took."""

    size: int = 100
    least: int = SIZE[0]

    def learn(self, seconds: float, *, full: bool) -> None:
        fast, slow = GOAL_SECONDS
        if seconds > slow:
            self.size = max(self.least, int(self.size * max(0.2, 0.7 * slow / seconds)))
        elif seconds < fast and full:
            self.size = min(SIZE[1], int(self.size * 1.5))


class Retention:
    """`step` is to be called again and again, by one task."""

    def __init__(self, engine: AsyncEngine, limits: config.Retention) -> None:
        self._engine = engine
        self._limits = limits
        self._sqlite = engine.dialect.name == "sqlite"
        self._counting = Pace(size=COUNTED[1], least=COUNTED[0])
        self._deleting, self._shrinking = Pace(), Pace()
        self._evicting = self._shrinks = self._told = False
        self._ages_at = self._rows_at = self._measured_at = 0.0
        self.oldest: dict[str, float] = {}
        """Table → when its oldest row happened, in Unix seconds; without the empty ones."""
        self.used_bytes = 0
        """Of rows and indexes; on PostgreSQL reckoned from the number of rows."""
        self.total_bytes = 0
        """Of PostgreSQL's tables; 0 for SQLite, whose file can be looked at."""
        self.deleted = 0
        self.longest_seconds = 0.0
        """The longest that a step has held the write lock."""

    async def step(self, now: Timestamp) -> bool:
        """A small piece of work; whether there is more to do at once."""
        behind = await self._timed(count_rows, self._counting)
        busy = self._evicting or self._shrinks
        if behind and not busy and now / MICROS < self._measured_at + MEASURE_SECONDS:
            return True
        self._measured_at = now / MICROS
        free = await self._measure(now)
        self._evicting = self.used_bytes > self._limits.max_bytes * (
            LOW if self._evicting else HIGH
        )
        if self._evicting:
            return await self._evict_some(now) or behind
        self._shrinks = free > FREE_PAGES[0 if self._shrinks else 1]
        if self._shrinks:
            return await self._shrink()
        if not behind and now / MICROS >= self._ages_at:
            return await self._by_age(now)
        return behind

    # -- by size -------------------------------------------------------------------------------

    async def _evict_some(self, now: Timestamp) -> bool:
        """Until it is time to measure, or about enough is gone; whether there is more to do."""
        over = self.used_bytes - self._limits.max_bytes * LOW
        of_a_row = ROW_BYTES_LEAST if self._sqlite else POSTGRES_ROW_BYTES
        enough = self.deleted + over / of_a_row
        for _ in range(EVICTIONS):
            if not await self._evict(now, most=1 + int(enough - self.deleted)):
                return False
            if self.deleted >= enough:
                break
        return True

    async def _evict(self, now: Timestamp, *, most: int) -> bool:
        """The oldest requests and attempts, then events, then cooldowns that are over."""
        if await self._timed(self._oldest_span, self._deleting, most=most):
            return True
        for table in ("events", "cooldowns"):
            which = LONG[table]

            async def delete(connection: AsyncConnection, rows: int) -> int:
                return await self._delete(connection, table, which, rows, order="id", now=now)  # noqa: B023

            if await self._timed(delete, self._deleting, most=most):
                return True
        if not self._told:
            self._told = True
            extra = {"bytes": self.used_bytes, "max_bytes": self._limits.max_bytes}
            log.warning("the history is above its size, and only switches are left", extra=extra)
        return False

    async def _oldest_span(self, connection: AsyncConnection, ids: int) -> int:
        """All of the short tier in the next so many ids: they are given out across its tables."""
        lowest = await connection.execute(
            text(
                "SELECT min(id) FROM (SELECT min(id) AS id FROM requests "
                "UNION ALL SELECT min(id) FROM attempts) AS each"
            )
        )
        first, end = lowest.scalar(), await counted(connection)
        if first is None or first > end:
            return 0
        last = min(first + ids - 1, end)
        for table, which in SHORT.items():
            done = await connection.execute(
                text(f"DELETE FROM {table} WHERE id <= :last AND {which}"), {"last": last}
            )
            self._gone(done.rowcount)
        return ids

    # -- by age --------------------------------------------------------------------------------

    async def _by_age(self, now: Timestamp) -> bool:
        more = False
        for tier, days in (
            (SHORT, self._limits.attempts_days),
            (LONG, self._limits.switches_days),
        ):
            for table, which in tier.items():
                before = now - days * DAY

                async def delete(connection: AsyncConnection, rows: int) -> int:
                    older = f"ts < {before} AND {which}"  # noqa: B023
                    return await self._delete(connection, table, older, rows, order="ts", now=now)  # noqa: B023

                more = await self._timed(delete, self._deleting) or more
        if more:
            return True
        oldest_day = now - self._limits.rollups_days * DAY
        async with self._engine.begin() as connection:
            await connection.execute(
                text("DELETE FROM rollups WHERE day < :day"), {"day": oldest_day}
            )
            self.oldest = await _oldest(connection)
        self._ages_at = now / MICROS + AGES_EVERY_SECONDS
        return False

    async def _delete(
        self,
        connection: AsyncConnection,
        table: str,
        which: str,
        rows: int,
        *,
        order: str,
        now: Timestamp,
    ) -> int:
        """So many of the oldest of these rows, if they are in `rollups` already."""
        values = {"rows": rows, "end": await counted(connection)}
        if ":now" in which:
            values["now"] = now
        done = await connection.execute(
            text(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "
                f"WHERE {which} AND id <= :end ORDER BY {order} LIMIT :rows)"
            ),
            values,
        )
        self._gone(done.rowcount)
        return done.rowcount

    def _gone(self, rows: int) -> None:
        self.deleted += rows
        if not self._sqlite:
            self.used_bytes = max(0, self.used_bytes - rows * POSTGRES_ROW_BYTES)

    # -- the database --------------------------------------------------------------------------

    async def _timed(self, work: Work, pace: Pace, *, most: int = SIZE[1]) -> bool:
        """Does it in a transaction of its own; whether there was as much to do as it may."""
        async with self._engine.begin() as connection:
            if not self._sqlite and not await _turn(connection):
                return False
            began, size = perf_counter(), min(pace.size, most)
            done = await work(connection, size)
        seconds = perf_counter() - began
        self._learn(pace, seconds, full=done >= pace.size)
        return done >= size

    async def _measure(self, now: Timestamp) -> int:
        """Notes what is used; how many pages of an SQLite file are free."""
        if not self._sqlite and now / MICROS < self._rows_at:
            return 0
        async with self._engine.connect() as connection:
            if self._sqlite:
                pages, free, size = [
                    int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())
                    for name in ("page_count", "freelist_count", "page_size")
                ]
                self.used_bytes = (pages - free) * size
                return free
            found = await connection.execute(
                text(
                    "SELECT coalesce(sum(n_live_tup), 0), "
                    "coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_stat_user_tables "
                    "WHERE relname IN ('requests', 'attempts', 'switches', 'cooldowns', 'events')"
                )
            )
            rows, self.total_bytes = (int(number) for number in found.one())
        self.used_bytes = min(self.total_bytes, rows * POSTGRES_ROW_BYTES)
        self._rows_at = now / MICROS + ROWS_EVERY_SECONDS
        return 0

    async def _shrink(self) -> bool:
        """Gives so many free pages back; there are more."""
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            began = perf_counter()
            # A script, since `execute` stops behind the first page.
            await driver.executescript(f"PRAGMA incremental_vacuum({self._shrinking.size})")
        self._learn(self._shrinking, perf_counter() - began, full=True)
        return True

    def _learn(self, pace: Pace, seconds: float, *, full: bool) -> None:
        self.longest_seconds = max(self.longest_seconds, seconds)
        pace.learn(seconds, full=full)


async def _turn(connection: AsyncConnection) -> bool:
    """Whether no other gateway is at it."""
    asked = await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({POSTGRES_LOCK})"))
    return bool(asked.scalar())


async def _oldest(connection: AsyncConnection) -> dict[str, float]:
    found: dict[str, float] = {}
    for table in TABLES:
        oldest = (await connection.execute(text(f"SELECT min(ts) FROM {table}"))).scalar()
        if oldest is not None:
            found[table] = oldest / MICROS
    return found
