"""What a new process must know of the one before it, read from the history."""

from __future__ import annotations

from typing import Final, TypedDict

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.events import FlappingEnded, FlappingStarted, OperatorActed
from gateway.units import MICROS, Timestamp
from storage.models import TABLES
from storage.reading import rows_of
from storage.rows import Item, item

RESTORED_SECONDS: Final = 86_400
"""How far a restart looks back for what a route's budget of moves has spent."""
RESTORED_MAX: Final = 5000
"""Rows of one kind that a restart reads: a route that moved more often has no budget to respect."""


class Restored(TypedDict):
    """All but the cooldowns oldest first."""

    cooldowns: list[Item]
    """Those that still run."""
    switches: list[Item]
    """Of the last day, and of each route the last one from each target."""
    flapping: list[Item]
    """What `flapping_started` told and no `flapping_ended` after it."""
    acts: list[Item]
    """The last acts of operators."""


async def restored(connection: AsyncConnection, now: Timestamp) -> Restored:
    return Restored(
        cooldowns=await _cooldowns_open(connection, now),
        switches=await _switches_lately(connection, now),
        flapping=await _flapping(connection),
        acts=await _acts(connection),
    )


async def _cooldowns_open(connection: AsyncConnection, now: Timestamp) -> list[Item]:
    cooldowns = TABLES["cooldowns"]
    statement = (
        select(cooldowns)
        .where(cooldowns.c.ended.is_(None), cooldowns.c.until > now)
        .order_by(cooldowns.c.until)
    )
    return [item("cooldowns", row) for row in await rows_of(connection, statement)]


async def _switches_lately(connection: AsyncConnection, now: Timestamp) -> list[Item]:
    switches = TABLES["switches"]
    last = select(func.max(switches.c.id)).group_by(switches.c.route, switches.c["from"])
    lately = switches.c.ts > now - RESTORED_SECONDS * MICROS
    statement = (
        select(switches)
        .where(switches.c.id.in_(last) | lately)
        .order_by(switches.c.id.desc())
        .limit(RESTORED_MAX)
    )
    return [item("switches", row) for row in reversed(await rows_of(connection, statement))]


async def _flapping(connection: AsyncConnection) -> list[Item]:
    events = TABLES["events"]
    last = (
        select(func.max(events.c.id))
        .where(events.c.kind.in_((FlappingStarted.kind, FlappingEnded.kind)))
        .group_by(events.c.route, events.c.target)
    )
    statement = select(events).where(events.c.id.in_(last), events.c.kind == FlappingStarted.kind)
    rows = await rows_of(connection, statement.order_by(events.c.id))
    return [item("events", row) for row in rows]


async def _acts(connection: AsyncConnection) -> list[Item]:
    events = TABLES["events"]
    statement = (
        select(events)
        .where(events.c.kind == OperatorActed.kind)
        .order_by(events.c.id.desc())
        .limit(RESTORED_MAX)
    )
    return [item("events", row) for row in reversed(await rows_of(connection, statement))]
