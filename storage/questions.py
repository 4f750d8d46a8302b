"""What an operator on call asks of a window of the history, each question answered by one read.

Every statement goes by an index into the window, however long the history is. Times are Unix
microseconds; `since` is included, `until` is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypedDict

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.events import (
    ConfigReloaded,
    DataGap,
    FlappingStarted,
    OperatorActed,
    ProcessStarted,
    RequestOutcome,
    StreamEnd,
)
from gateway.units import MICROS, Timestamp
from storage.questions_rests import amplification, capacity, cooldowns, scope, triggers
from storage.questions_window import (
    ATTEMPTS,
    EVENTS,
    ITEMS_MAX,
    REQUESTS,
    SWITCHES,
    Item,
    Window,
    count_of,
    rows_of,
)

TAKEN: Final = frozenset({"since", "until", "route"})
ASKED_MICROS: Final = 3600 * MICROS
"""The window of a question that names none."""
AROUND_MICROS: Final = 600 * MICROS
"""Before and after an act, or before the first switch: where causes and effects are looked for."""


class Answer(TypedDict):
    question: str
    asks: str
    since: int
    until: int
    gaps: int
    """How often events of that time were lost: before trusting the items."""
    items: list[Item]


Answering = Callable[[AsyncConnection, Window], Awaitable[list[Item]]]


@dataclass(frozen=True, slots=True)
class Question:
    asks: str
    answer: Answering


async def gaps(connection: AsyncConnection, window: Window) -> int:
    """How often events were lost in that time: before trusting any answer."""
    statement = select(func.count()).where(
        EVENTS.kind == DataGap.kind, EVENTS.ts >= window.since, EVENTS.ts < window.until
    )
    return int((await connection.execute(statement)).scalar() or 0)


async def _flapping(connection: AsyncConnection, window: Window) -> list[Item]:
    switches = (
        select(
            SWITCHES.route,
            func.count().label("switches"),
            count_of(SWITCHES.reversal).label("reversals"),
            func.avg(SWITCHES.dwell_seconds).label("dwell_seconds"),
            func.max(SWITCHES.penalty).label("penalty"),
            func.max(SWITCHES.ts).label("ts"),
        )
        .where(*window.of(SWITCHES))
        .group_by(SWITCHES.route)
    )
    began = (
        select(EVENTS.route, func.count().label("flapping"))
        .where(EVENTS.kind == FlappingStarted.kind, *window.of(EVENTS))
        .group_by(EVENTS.route)
    )
    began_by_route = {row["route"]: row["flapping"] for row in await rows_of(connection, began)}
    found = {row["route"]: row for row in await rows_of(connection, switches)}
    for route in began_by_route:
        none = {"switches": 0, "reversals": 0, "dwell_seconds": None, "penalty": None, "ts": None}
        found.setdefault(route, {"route": route, **none})
    items = [{**row, "flapping": began_by_route.get(route, 0)} for route, row in found.items()]
    return sorted(items, key=lambda item: (-item["reversals"], -item["switches"]))


async def _onset(connection: AsyncConnection, window: Window) -> list[Item]:
    first = select(func.min(SWITCHES.id)).where(*window.of(SWITCHES)).group_by(SWITCHES.route)
    names = ("ts", "route", "from", "to", "kind", "reason", "config_version")
    statement = (
        select(*(SWITCHES[name] for name in names))
        .where(SWITCHES.id.in_(first))
        .order_by(SWITCHES.ts)
    )
    items = await rows_of(connection, statement)
    for item in items:
        item["before"] = await _causes(connection, item["ts"])
    return items


async def _causes(connection: AsyncConnection, ts: int) -> list[Item]:
    """What was done, reloaded or started shortly before."""
    kinds = (OperatorActed.kind, ConfigReloaded.kind, ProcessStarted.kind)
    names = ("ts", "kind", "actor", "target", "route", "note", "config_version")
    statement = (
        select(*(EVENTS[name] for name in names))
        .where(EVENTS.kind.in_(kinds), EVENTS.ts >= ts - AROUND_MICROS, EVENTS.ts <= ts)
        .order_by(EVENTS.ts)
    )
    return await rows_of(connection, statement)


async def _users(connection: AsyncConnection, window: Window) -> list[Item]:
    ok = REQUESTS.outcome == RequestOutcome.OK.value
    bad = (RequestOutcome.UPSTREAM_ERROR, RequestOutcome.EXHAUSTED, RequestOutcome.SHED)
    statement = (
        select(
            REQUESTS.route,
            func.count().label("requests"),
            count_of(REQUESTS.outcome.in_([each.value for each in bad])).label("failed"),
            count_of(and_(ok, REQUESTS.attempts > 1)).label("rescued"),
            count_of(REQUESTS.stream_end == StreamEnd.BROKEN.value).label("broken_streams"),
            func.avg(REQUESTS.lost_seconds).label("lost_seconds"),
            func.max(REQUESTS.lost_seconds).label("lost_max_seconds"),
            func.avg(REQUESTS.waited_seconds).label("waited_seconds"),
        )
        .where(*window.of(REQUESTS))
        .group_by(REQUESTS.route)
        .order_by(func.count().desc())
    )
    return await rows_of(connection, statement)


async def _cost(connection: AsyncConnection, window: Window) -> list[Item]:
    place = (REQUESTS.provider, REQUESTS.model, REQUESTS.billing)
    statement = (
        select(
            *place,
            func.count().label("requests"),
            func.sum(REQUESTS.cost_usd).label("cost_usd"),
            func.sum(REQUESTS.input_tokens).label("input_tokens"),
            func.sum(REQUESTS.cached_tokens).label("cached_tokens"),
            func.sum(REQUESTS.output_tokens).label("output_tokens"),
        )
        .where(*window.of(REQUESTS), REQUESTS.provider != "")
        .group_by(*place)
        .order_by(func.count().desc())
    )
    items = await rows_of(connection, statement)
    for item in items:
        cached, whole = item["cached_tokens"], item["input_tokens"]
        item["cached_share"] = cached / whole if whole and cached is not None else None
    return items


async def _acts(connection: AsyncConnection, window: Window) -> list[Item]:
    names = ("ts", "kind", "actor", "route", "target", "provider", "credential", "note")
    statement = (
        select(*(EVENTS[name] for name in names))
        .where(
            EVENTS.kind.in_((OperatorActed.kind, ConfigReloaded.kind)),
            EVENTS.ts >= window.since,
            EVENTS.ts < window.until,
        )
        .order_by(EVENTS.ts.desc())
        .limit(ITEMS_MAX // 10)
    )
    items = await rows_of(connection, statement)
    for item in items:
        ts = item["ts"]
        for name, span in (
            ("before", (ts - AROUND_MICROS, ts)),
            ("after", (ts, ts + AROUND_MICROS)),
        ):
            around = Window(since=span[0], until=span[1], now=window.now, route=window.route)
            item[f"switches_{name}"] = await _count(connection, SWITCHES, around)
            item[f"failures_{name}"] = await _count(
                connection, ATTEMPTS, around, ATTEMPTS.failure.is_not(None)
            )
    return items


async def _count(
    connection: AsyncConnection,
    columns: Any,  # noqa: ANN401
    window: Window,
    *more: ColumnElement[bool],
) -> int:
    statement = select(func.count()).where(*window.of(columns), *more)
    return int((await connection.execute(statement)).scalar() or 0)


QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "flapping": Question("Is it flapping, or one clean failover?", _flapping),
        "scope": Question("How wide is it: a key, a model, a provider, all?", scope),
        "triggers": Question("What triggers it?", triggers),
        "onset": Question("When did it start, and what changed then?", _onset),
        "users": Question("Are users hurt, or only rescued?", _users),
        "cost": Question("What does it cost in money and cache?", _cost),
        "cooldowns": Question("Are the cooldowns too short or too long?", cooldowns),
        "amplification": Question("Are we making it worse?", amplification),
        "capacity": Question("What capacity is left, and when does more come back?", capacity),
        "acts": Question("Did what was done help?", _acts),
    }
)


async def answered(
    connection: AsyncConnection, question: str, asked: Mapping[str, Any], now: Timestamp
) -> Answer:
    """`question` is one of `QUESTIONS`. Without `until`, up to now; without `since`, the hour before
    the end."""
    until = asked.get("until", now)
    since = asked.get("since", until - ASKED_MICROS)
    window = Window(since=since, until=until, now=now, route=asked.get("route", ""))
    known = QUESTIONS[question]
    return Answer(
        question=question,
        asks=known.asks,
        since=since,
        until=until,
        gaps=await gaps(connection, window),
        items=await known.answer(connection, window),
    )
