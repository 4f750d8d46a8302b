"""What a new process takes over from the one before it: rests, holds, penalties and pointers.

A *stated* rest that still has some time goes on: the provider said so, whoever was listening. A
guess of the old process comes back as a trial: one probe decides. Times are wall-clock times, and
are turned into this process's own here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    Event,
    Scope,
    SwitchKind,
)
from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import MICROS, Instant, Moment, Timestamp

STATED_MIN_SECONDS = 120.0
"""A shorter rest is over, or nearly, by the time anybody asks; a probe costs less than the wait."""

Item = Mapping[str, Any]
"""A row of the history, by the names of its columns."""

KEPT = frozenset({CooldownSource.OPERATOR.value, CooldownSource.HOLD.value})
"""An operator's word and a hold stay, however long: a hold only reorders."""


def restore(
    pool: Pool, cooldowns: Sequence[Item], switches: Sequence[Item], now: Moment
) -> list[Event]:
    """To be called once, before the first request. What is not configured any more is left alone."""
    events: list[Event] = []
    for item in cooldowns:
        events += _rest(pool, item, now)
    for item in switches:
        _pointer(pool, item, now)
    return events


def _rest(pool: Pool, item: Item, now: Moment) -> list[Event]:
    spot = _spot(pool, item)
    left = (item["until"] - now.timestamp) / MICROS
    if spot is None or spot.cooldown is not None or left <= 0:
        return []
    stated = item["source"] == CooldownSource.STATED.value and left >= STATED_MIN_SECONDS
    if stated or item["source"] in KEPT:
        spot.adopt(_cooldown(item, left, now))
        pool.rests.watch(spot)
        return []
    spot.unproven = True
    return [_superseded(item, now)]


def _cooldown(item: Item, left: float, now: Moment) -> Cooldown:
    age = max(0.0, (now.timestamp - item["started"]) / MICROS)
    started = Moment(Instant(now.instant - age), Timestamp(item["started"]))
    return Cooldown(
        id=item["cooldown_id"],
        reason=item["reason"],
        source=CooldownSource(item["source"]),
        started=started,
        until=Instant(now.instant + left),
        level=item["level"] or 0,
    )


def _superseded(item: Item, now: Moment) -> CooldownEnded:
    """The old row is closed: what it guessed is now decided by a probe."""
    return CooldownEnded(
        ts=now.timestamp,
        cooldown_id=item["cooldown_id"],
        scope=Scope(item["scope"]),
        route=item["route"],
        provider=item["provider"],
        model=item["model"],
        credential=item["credential"],
        reason=item["reason"],
        source=CooldownSource(item["source"]),
        ended=CooldownEnd.SUPERSEDED,
        ended_at=now.timestamp,
        duration_seconds=(now.timestamp - item["started"]) / MICROS,
    )


def _spot(pool: Pool, item: Item) -> Spot | None:
    provider = pool.providers.get(item["provider"])
    if provider is None:
        return None
    model = item["model"]
    if item["route"]:
        route = pool.routes.get(item["route"])
        hops = route.hops if route is not None else []
        name = f"{item['provider']}/{model}"
        return next((hop.hold for hop in hops if hop.target.name == name), None)
    match Scope(item["scope"]):
        case Scope.PROVIDER:
            return provider.spot
        case Scope.TARGET:
            name = f"{provider.name}/{model}"
            return next((each.spot for each in pool.targets() if each.name == name), None)
        case scope:
            key = next((k for k in provider.credentials if k.name == item["credential"]), None)
            if key is None or scope is Scope.CREDENTIAL:
                return key.spot if key is not None else None
            known = model in provider.groups.values()
            return provider.limit_spot_named(key, model, grouped=known)


def _pointer(pool: Pool, item: Item, now: Moment) -> None:
    """The last switch tells where the pointer stood, and how restless the left target had been."""
    route = pool.routes.get(item["route"])
    if route is None or item["kind"] == SwitchKind.OPERATOR.value:
        return
    hops = {hop.target.name: hop for hop in route.hops}
    to, origin = hops.get(item["to"]), hops.get(item["from"])
    age = max(0.0, (now.timestamp - item["ts"]) / MICROS)
    if to is not None:
        route.active = to
        route.active_since = Instant(now.instant - age)
        route.last_move = (item["from"], item["to"])
    if origin is not None and item["penalty"]:
        half_lives = age / origin.stability.half_life_seconds
        value = item["penalty"] * 2.0**-half_lives
        origin.penalty.restore(value, origin.stability, now.instant)
        _watch(pool, route)


def _watch(pool: Pool, route: RouteState) -> None:
    if any(hop.penalty.suppressed_since is not None for hop in route.hops):
        pool.restless[route] = None
