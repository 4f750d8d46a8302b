"""Reading the history: pages, tails, one request's story, and what a restart needs.

Everything is read through connections that cannot write, each call in one snapshot and under a
time limit. Pages and tails go by `id`, the order of commits, so that nothing can appear behind a
reader; times only narrow which ids are looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import merge
from typing import Any, Final, TypedDict

from sqlalchemy import ColumnElement, Integer, Select, Table, cast, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.events import CooldownExtended
from gateway.units import MICROS, Timestamp
from storage.filters import (
    LIMIT_DEFAULT,
    Asked,
    Condition,
    Cursor,
    Filters,
    Order,
    QueryError,
    checked,
    conditions,
    read_cursor,
    write_cursor,
)
from storage.models import STREAM, TABLES, StorageError
from storage.queries_restoring import Restored, restored
from storage.questions import QUESTIONS, TAKEN, Answer, answered
from storage.reading import Row, alarm, interrupted, rows_of, unstorable
from storage.rows import Item, event_item, item

BUCKETS_MAX: Final = 5000
"""Rows of one aggregate: more points than any chart shows."""
TIMEOUT_SECONDS: Final = 5.0
"""A page of a large table takes milliseconds; longer is a scan that nobody should wait for."""
TAIL_IDS: Final = 20_000
"""Rows that a step of a tail looks at: few match a narrow filter, and a step must be short."""

Wheres = dict[str, list[Condition]]
"""Table → what its rows must meet; tables without a match are left out."""


class QueryTimeout(StorageError):
    """The question took too long and was stopped."""


class Page(TypedDict):
    items: list[Item]
    next_cursor: str | None


class Step(TypedDict):
    """What a tail has found, oldest first."""

    items: list[Item]
    last_id: int
    """Where the next step goes on: up to here nothing more will match."""
    behind: bool
    """Rows beyond that are committed already."""


class Story(TypedDict):
    request: Item | None
    """None while the request runs, or where the process died first."""
    candidates: list[Item]


@dataclass(frozen=True, slots=True)
class _Span:
    """The ids a page may hold, both ends included; None is no limit."""

    first: int | None = None
    last: int | None = None


class Queries:
    """`engine` is the database's reading one. Raises `QueryError` and `StorageError` only."""

    def __init__(self, engine: AsyncEngine, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._engine = engine
        self._timeout_seconds = timeout_seconds

    async def page(
        self,
        table: str,
        *,
        filters: Filters | None = None,
        limit: int = LIMIT_DEFAULT,
        order: Order = "asc",
        cursor: str | None = None,
    ) -> Page:
        """Rows of one table; of everything that happened for `events`.

        `since` and `until` are Unix microseconds, the second excluded. A cursor is good for the
        same table, filters and order only. With `until`, pages show the window as it was at the
        first of them; without, also what came meanwhile.
        """
        asked = checked(table, filters or {}, limit=limit, order=order)
        at = None
        if cursor is not None:
            at = read_cursor(cursor, table=table, asked=asked, order=order)
        whole = table == "events"
        wheres = _wheres(STREAM if whole else (table,), asked, whole=whole)
        async with self._snapshot() as connection:
            span = await _window(connection, wheres, asked) if at is None else _after(at, order)
            rows = await _rows(connection, wheres, span, order=order, limit=limit + 1)
        show = event_item if whole else item
        items = [show(source, row) for source, row in rows[:limit]]
        if len(rows) <= limit:
            return Page(items=items, next_cursor=None)
        end = Cursor(items[-1]["id"], span.last if order == "asc" else span.first)
        return Page(
            items=items, next_cursor=write_cursor(end, table=table, asked=asked, order=order)
        )

    async def events_after(self, last_id: int, limit: int = LIMIT_DEFAULT) -> list[Item]:
        """What was committed after that id, oldest first."""
        asked = checked("events", {}, limit=limit, order="asc")
        wheres = _wheres(STREAM, asked, whole=True)
        async with self._snapshot() as connection:
            span = _Span(first=last_id + 1)
            rows = await _rows(connection, wheres, span, order="asc", limit=limit)
        return [event_item(source, row) for source, row in rows]

    async def tail(
        self, last_id: int, *, filters: Filters | None = None, limit: int = LIMIT_DEFAULT
    ) -> Step:
        """What was committed after that id and meets the filters of a page of `events`.

        Ids are in commit order, so what is read below the newest one is all there will ever be.
        """
        asked = checked("events", filters or {}, limit=limit, order="asc")
        wheres = _wheres(STREAM, asked, whole=True)
        async with self._snapshot() as connection:
            newest = await _last_id(connection)
            if newest <= last_id:
                return Step(items=[], last_id=last_id, behind=False)
            end = min(newest, last_id + TAIL_IDS)
            span = _Span(first=last_id + 1, last=end)
            rows = await _rows(connection, wheres, span, order="asc", limit=limit)
        reached: int = rows[-1][1]["id"] if len(rows) == limit else end
        items = [event_item(source, row) for source, row in rows]
        return Step(items=items, last_id=reached, behind=reached < newest)

    async def last_id(self) -> int:
        """Where a tail of what comes next begins."""
        async with self._snapshot() as connection:
            return await _last_id(connection)

    async def request(self, request_id: str) -> Story | None:
        """A request and its candidates in the order they were looked at; None if unknown."""
        requests, attempts, cooldowns = (
            TABLES["requests"],
            TABLES["attempts"],
            TABLES["cooldowns"],
        )
        events = TABLES["events"]
        async with self._snapshot() as connection:
            found = await rows_of(
                connection, _of(requests, request_id).order_by(requests.c.id.desc()).limit(1)
            )
            tried = await rows_of(
                connection, _of(attempts, request_id).order_by(attempts.c.n, attempts.c.id)
            )
            begun = await rows_of(connection, _of(cooldowns, request_id))
            prolonged = await rows_of(
                connection, _of(events, request_id).where(events.c.kind == CooldownExtended.kind)
            )
        if not found and not tried:
            return None
        caused = [item("cooldowns", row) for row in begun]
        caused += [item("events", row) for row in prolonged]
        return Story(
            request=item("requests", found[0]) if found else None,
            candidates=[_candidate(row, caused) for row in tried],
        )

    async def restore(self, now: Timestamp) -> Restored:
        """What a new process must know of the one before it."""
        async with self._snapshot() as connection:
            return await restored(connection, now)

    async def switch_pairs(
        self, *, filters: Filters | None = None, bucket_seconds: int
    ) -> list[Item]:
        """How often which target followed which: per bucket, its start as `ts`."""
        if bucket_seconds < 1:
            message = f"bucket_seconds must be 1 or more, not {bucket_seconds}"
            raise QueryError(message)
        asked = checked("switches", filters or {}, limit=1, order="asc")
        where = conditions("switches", asked, whole=False)
        if where is None:
            return []
        columns, width = TABLES["switches"].c, bucket_seconds * MICROS
        start = (columns.ts - columns.ts % width).label("ts")
        statement = (
            select(
                start,
                columns["from"],
                columns["to"],
                func.count().label("switches"),
                func.sum(cast(columns.reversal, Integer)).label("reversals"),
            )
            .where(*where)
            .group_by(start, columns["from"], columns["to"])
            .order_by(start, columns["from"], columns["to"])
            .limit(BUCKETS_MAX)
        )
        async with self._snapshot() as connection:
            return [dict(row) for row in await rows_of(connection, statement)]

    async def answer(
        self, question: str, *, filters: Filters | None = None, now: Timestamp
    ) -> Answer:
        """One of `QUESTIONS`, about the window of `since` and `until` (else the last hour), on one
        `route` if the filters name it."""
        asked = checked("requests", filters or {}, limit=1, order="asc")
        if question not in QUESTIONS or asked.keys() - TAKEN:
            message = (
                f"{question!r} is none of {', '.join(QUESTIONS)}, or takes only since, until, route"
            )
            raise QueryError(message)
        async with self._snapshot() as connection:
            return await answered(connection, question, asked, now)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                if connection.dialect.name == "sqlite":
                    with alarm(driver._conn.interrupt, self._timeout_seconds):
                        yield connection
                else:  # PostgreSQL keeps the time itself.
                    milliseconds = round(self._timeout_seconds * 1000)
                    await connection.exec_driver_sql(
                        f"SET LOCAL statement_timeout = {milliseconds}"
                    )
                    yield connection
        except (OverflowError, UnicodeError) as error:
            message = "a value of the query is none that the store could hold"
            raise QueryError(message) from error
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if unstorable(error):
                message = "a value of the query is none that the store could hold"
                raise QueryError(message) from error
            if interrupted(cause):
                message = (
                    f"the query took more than {self._timeout_seconds:g} s and was stopped; "
                    "narrow `since` and `until`"
                )
                raise QueryTimeout(message) from error
            message = f"could not read {self._engine.url.database!r}: {cause}"
            raise StorageError(message) from error


def _wheres(tables: Sequence[str], asked: Asked, *, whole: bool) -> Wheres:
    found = {name: conditions(name, asked, whole=whole) for name in tables}
    return {name: where for name, where in found.items() if where is not None}


async def _window(connection: AsyncConnection, wheres: Wheres, asked: Asked) -> _Span:
    """The ids between `since` and `until`, from the index of `ts`, so that no page reads others.

    Ids follow the time only roughly (a journal is replayed, a clock is set), so that the times
    are compared as well. Where the window reaches the newest row it may still grow: no last id.
    """
    since, until = asked.get("since"), asked.get("until")
    if since is None and until is None:
        return _Span()
    first, last = [], []
    for name in wheres:
        columns = TABLES[name].c
        statement = select(func.min(columns.id), func.max(columns.id))
        if since is not None:
            statement = statement.where(columns.ts >= since)
        if until is not None:
            statement = statement.where(columns.ts < until)
        low, high = (await connection.execute(statement)).one()
        first += [low] * (low is not None)
        last += [high] * (high is not None)
    if not first:
        return _Span(first=0, last=0)
    grows = until is None or max(last) == await _last_id(connection)
    return _Span(first=min(first), last=None if grows else max(last))


async def _last_id(connection: AsyncConnection) -> int:
    found = [
        (await connection.execute(select(func.max(TABLES[name].c.id)))).scalar() for name in STREAM
    ]
    return max(number or 0 for number in found)


def _after(cursor: Cursor, order: Order) -> _Span:
    if order == "asc":
        return _Span(first=cursor.position + 1, last=cursor.far)
    return _Span(first=cursor.far, last=cursor.position - 1)


async def _rows(
    connection: AsyncConnection, wheres: Wheres, span: _Span, *, order: Order, limit: int
) -> list[tuple[str, Row]]:
    """The first rows in the order of `id`, each with its table's name."""
    found = []
    for name, where in wheres.items():
        table = TABLES[name]
        key: ColumnElement[int] = table.c.id
        statement = select(table).where(*where).limit(limit)
        if span.first is not None:
            statement = statement.where(key >= span.first)
        if span.last is not None:
            statement = statement.where(key <= span.last)
        statement = statement.order_by(key.desc() if order == "desc" else key)
        found.append([(name, row) for row in await rows_of(connection, statement)])
    merged = merge(*found, key=lambda pair: pair[1]["id"], reverse=order == "desc")
    return [pair for pair, _ in zip(merged, range(limit), strict=False)]


def _of(table: Table, request_id: str) -> Select[Any]:
    return select(table).where(table.c.request_id == request_id)


def _candidate(row: Row, caused: Sequence[Item]) -> Item:
    """A candidate, with the ids of the cooldowns that its failure started or prolonged."""
    found = item("attempts", row)
    attempt = found["attempt_id"]
    triggered = (
        cooldown["cooldown_id"]
        for cooldown in caused
        if attempt is not None and cooldown["trigger_attempt_id"] == attempt
    )
    found["cooldowns"] = list(dict.fromkeys(triggered))
    return found
