"""What is asked about cooldowns: how wide, why, how well chosen, what is left."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import ColumnElement, Integer, and_, cast, distinct, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.events import AttemptOutcome, CooldownEnd, CooldownSource, Scope
from gateway.units import MICROS
from storage.models import TABLES
from storage.questions_window import (
    ATTEMPTS,
    COOLDOWNS,
    DAY_MICROS,
    Item,
    Window,
    count_of,
    least,
    rows_of,
)

RESTS_MAX: Final = 200
"""Whose traffic is looked at, the newest first: a statement has its limits."""


async def scope(connection: AsyncConnection, window: Window) -> list[Item]:
    end = func.coalesce(COOLDOWNS.ended_at, least(COOLDOWNS.until, window.now))
    place = (COOLDOWNS.scope, COOLDOWNS.provider, COOLDOWNS.model, COOLDOWNS.credential)
    statement = (
        select(
            *place,
            func.count().label("cooldowns"),
            count_of(COOLDOWNS.ended.is_(None)).label("running"),
            (func.sum(end - COOLDOWNS.started) / float(MICROS)).label("cooled_seconds"),
        )
        .where(*window.of(COOLDOWNS), COOLDOWNS.source != CooldownSource.HOLD.value)
        .group_by(*place)
        .order_by(func.count().desc())
    )
    return await rows_of(connection, statement)


async def triggers(connection: AsyncConnection, window: Window) -> list[Item]:
    places = (COOLDOWNS.provider, COOLDOWNS.model, COOLDOWNS.reason, COOLDOWNS.source)
    trigger = and_(
        ATTEMPTS.request_id == COOLDOWNS.request_id,
        ATTEMPTS.attempt_id == COOLDOWNS.trigger_attempt_id,
    )
    statement = (
        select(
            *places,
            ATTEMPTS.status,
            ATTEMPTS.reason.label("said"),
            func.count().label("cooldowns"),
            func.avg(COOLDOWNS.duration_seconds).label("planned_seconds"),
        )
        .select_from(TABLES["cooldowns"].outerjoin(TABLES["attempts"], trigger))
        .where(*window.of(COOLDOWNS), COOLDOWNS.source != CooldownSource.HOLD.value)
        .group_by(*places, ATTEMPTS.status, ATTEMPTS.reason)
        .order_by(func.count().desc())
    )
    return await rows_of(connection, statement)


async def cooldowns(connection: AsyncConnection, window: Window) -> list[Item]:
    place = (COOLDOWNS.provider, COOLDOWNS.model, COOLDOWNS.credential, COOLDOWNS.source)
    over = {
        "ended_by_probe": CooldownEnd.PROBE,
        "ended_by_operator": CooldownEnd.OPERATOR,
        "expired": CooldownEnd.EXPIRED,
    }
    statement = (
        select(
            *place,
            func.count().label("cooldowns"),
            count_of(COOLDOWNS.relapse).label("relapses"),
            *(count_of(COOLDOWNS.ended == how.value).label(name) for name, how in over.items()),
            func.avg(COOLDOWNS.duration_seconds).label("planned_seconds"),
            func.max(COOLDOWNS.level).label("level"),
        )
        .where(*window.of(COOLDOWNS))
        .group_by(*place)
        .order_by(func.count().desc())
    )
    items = await rows_of(connection, statement)
    for item in items:
        item["relapse_share"] = (item["relapses"] or 0) / item["cooldowns"]
    return items


async def amplification(connection: AsyncConnection, window: Window) -> list[Item]:
    """Attempts beside requests; one that is no probe, and began while its place rested, is odd."""
    resting = await _resting(connection, window)
    place = (ATTEMPTS.provider, ATTEMPTS.model)
    statement = (
        select(
            *place,
            func.count().label("sent"),
            func.count(distinct(ATTEMPTS.request_id)).label("requests"),
            count_of(ATTEMPTS.outcome == AttemptOutcome.FAILED.value).label("failed"),
            count_of(ATTEMPTS.probe).label("probes"),
            count_of(and_(cast(ATTEMPTS.probe, Integer) == 0, resting)).label("sent_while_cooling"),
        )
        .where(*window.of(ATTEMPTS), ATTEMPTS.attempt_id.is_not(None))
        .group_by(*place)
        .order_by(func.count().desc())
    )
    items = await rows_of(connection, statement)
    for item in items:
        item["attempts_per_request"] = item["sent"] / item["requests"]
    return items


async def _resting(connection: AsyncConnection, window: Window) -> ColumnElement[bool]:
    """Whether the attempt's place rested when it began. Known rests are put into the statement: a
    join would look for them anew with each attempt."""
    end = func.coalesce(COOLDOWNS.ended_at, COOLDOWNS.until)
    names = ("provider", "model", "credential", "started")
    statement = (
        select(*(COOLDOWNS[name] for name in names), end.label("over"))
        .where(
            COOLDOWNS.source != CooldownSource.HOLD.value,
            # Which models share a quota is the configuration's to say.
            COOLDOWNS.scope != Scope.QUOTA_GROUP.value,
            COOLDOWNS.ts < window.until,
            or_(COOLDOWNS.ts >= window.since - DAY_MICROS, _runs_at(window.since)),
            end > window.since,
        )
        .order_by(COOLDOWNS.ts.desc())
        .limit(RESTS_MAX)
    )
    spans: dict[tuple[str, str, str], list[ColumnElement[bool]]] = defaultdict(list)
    for row in await rows_of(connection, statement):
        inside = and_(ATTEMPTS.started > row["started"], ATTEMPTS.started < row["over"])
        spans[(row["provider"], row["model"], row["credential"])].append(inside)
    return or_(false(), *(_at(*place, or_(*inside)) for place, inside in spans.items()))


def _at(
    provider: str, model: str, credential: str, inside: ColumnElement[bool]
) -> ColumnElement[bool]:
    """An empty name is every one."""
    found = [ATTEMPTS.provider == provider]
    found += [ATTEMPTS.model == model] if model else []
    found += [ATTEMPTS.credential == credential] if credential else []
    return and_(*found, inside)


def _runs_at(ts: int) -> ColumnElement[bool]:
    return and_(COOLDOWNS.ended.is_(None), COOLDOWNS.until > ts)


async def capacity(connection: AsyncConnection, window: Window) -> list[Item]:
    names = ("scope", "route", "provider", "model", "credential", "reason", "source", "until")
    statement = (
        select(*(COOLDOWNS[name] for name in names))
        .where(COOLDOWNS.ended.is_(None), COOLDOWNS.until > window.now)
        .order_by(COOLDOWNS.until)
    )
    items = await rows_of(connection, statement)
    for item in items:
        item["seconds_left"] = (item["until"] - window.now) / MICROS
    return items
