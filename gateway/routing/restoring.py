"""What a new process takes over from the one before it: rests, holds, penalties, pointers, acts.

A *stated* rest goes on: the provider said so, whoever was listening. A guess of the old process
comes back as a trial: one probe decides. What an operator did stays done. Times are wall-clock
times, and are turned into this process's own here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    Event,
    FlappingEnded,
    Scope,
    SwitchKind,
)
from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.pool import Pool
from gateway.routing.state import FOR_GOOD, HopState, Pin, RouteState, first_able
from gateway.units import MICROS, Instant, Moment, Timestamp

STATED_MIN_SECONDS = 60.0
"""A shorter rest is over, or nearly, by the time anybody asks; a probe costs less than the wait."""

Item = Mapping[str, Any]
"""A row of the history, by the names of its columns."""

KEPT = frozenset({CooldownSource.OPERATOR.value, CooldownSource.HOLD.value})
"""An operator's word and a hold stay, however long: a hold only reorders."""


def restore(
    pool: Pool,
    cooldowns: Sequence[Item],
    switches: Sequence[Item],
    now: Moment,
    *,
    flapping: Sequence[Item] = (),
    acts: Sequence[Item] = (),
) -> list[Event]:
    """To be called once, before the first request; all but the cooldowns oldest first.

    Of what is not configured any more only the open rows are closed.
    """
    events: list[Event] = []
    # Should one place have two rests, the later end stands.
    for item in sorted(cooldowns, key=lambda each: -each["until"]):
        events += _rest(pool, item, now)
    for item in switches:
        _switch(pool, item, now)
    for item in flapping:
        events += _flapping(pool, item, now)
    last = {item["route"]: item for item in switches}
    for item in acts:
        _act(pool, item, last.get(item["route"]), now)
    return events


# -- rests ---------------------------------------------------------------------------------------


def _rest(pool: Pool, item: Item, now: Moment) -> list[Event]:
    spot = _spot(pool, item, now)
    left = (item["until"] - now.timestamp) / MICROS
    if spot is None or spot.cooldown is not None or left <= 0:
        return [_superseded(item, now)]
    stated = item["source"] == CooldownSource.STATED.value
    whole = (item["until"] - item["started"]) / MICROS
    if item["source"] in KEPT or (stated and whole >= STATED_MIN_SECONDS):
        spot.adopt(_cooldown(item, left, now))
        pool.rests.watch(spot)
        return []
    spot.doubt(item["level"] or 0, now.instant)
    return [_superseded(item, now)]


def _cooldown(item: Item, left: float, now: Moment) -> Cooldown:
    return Cooldown(
        id=item["cooldown_id"],
        reason=item["reason"],
        source=CooldownSource(item["source"]),
        started=Moment(_instant(item["started"], now), Timestamp(item["started"])),
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
        duration_seconds=max(0.0, (now.timestamp - item["started"]) / MICROS),
    )


def _spot(pool: Pool, item: Item, now: Moment) -> Spot | None:
    provider = pool.providers.get(item["provider"])
    if provider is None:
        return None
    model = item["model"]
    target = f"{provider.name}/{model}"
    if item["route"]:
        hop = _hop(pool.route(item["route"], now), target)
        return hop.hold if hop is not None else None
    match Scope(item["scope"]):
        case Scope.PROVIDER:
            return provider.spot
        case Scope.TARGET:
            found = pool.target(target, now)
            return found.spot if found is not None else None
        case scope:
            key = next((k for k in provider.credentials if k.name == item["credential"]), None)
            if key is None or scope is Scope.CREDENTIAL:
                return key.spot if key is not None else None
            grouped = model in provider.groups.values()
            if grouped is not (scope is Scope.QUOTA_GROUP):
                return None  # The groups are others now: nobody would look there.
            return provider.limit_spot_named(key, model, grouped=grouped)


# -- routes --------------------------------------------------------------------------------------


def _switch(pool: Pool, item: Item, now: Moment) -> None:
    """Where the pointer stood, how restless the left target was, and what the move used up."""
    route = pool.routes.get(item["route"])
    if route is None:
        return
    to, origin = _hop(route, item["to"]), _hop(route, item["from"])
    at = _instant(item["ts"], now)
    route.active = first_able(route.hops) if to is None else to
    route.active_since = now.instant if to is None else at
    route.last_move = (item["from"], item["to"])
    if item["kind"] == SwitchKind.RETURN.value:
        route.moves.take(route.chain.stability, at)
    if origin is not None:
        origin.penalty.restore(_decayed(item, origin, now), origin.stability, now.instant)
        _watch(pool, route)


def _flapping(pool: Pool, item: Item, now: Moment) -> list[Event]:
    """It goes on, with its time so far; or its end is told."""
    route = pool.routes.get(item["route"])
    hop = _hop(route, item["target"])
    since = _instant(item["ts"], now)
    if route is not None and hop is not None:
        value = max(hop.penalty.value(hop.stability, now.instant), _decayed(item, hop, now))
        hop.penalty.restore(value, hop.stability, now.instant, since=since)
        _watch(pool, route)
        if hop.penalty.suppressed_since is not None:
            return []
    return [
        FlappingEnded(
            ts=now.timestamp,
            route=item["route"],
            target=item["target"],
            penalty=hop.penalty.value(hop.stability, now.instant) if hop is not None else 0.0,
            duration_seconds=now.instant - since,
        )
    ]


def _decayed(item: Item, hop: HopState, now: Moment) -> float:
    age = now.instant - _instant(item["ts"], now)
    return float((item["penalty"] or 0.0) * 2.0 ** (-age / hop.stability.half_life_seconds))


def _watch(pool: Pool, route: RouteState) -> None:
    if any(hop.penalty.suppressed_since is not None for hop in route.hops):
        pool.restless[route] = None


# -- acts ----------------------------------------------------------------------------------------


def _act(pool: Pool, item: Item, last: Item | None, now: Moment) -> None:
    """What an operator did and no row of its own tells: drains and pins."""
    match item["action"]:
        case "drain" | "enable":
            target = pool.target(item["target"], now)
            if target is not None:
                runs = item["action"] == "drain" and _runs(item, now)
                target.drained_until = _until(item, now) if runs else None
        case "pin" | "unpin":
            route = pool.routes.get(item["route"])
            if route is not None:
                _pin(pool, route, item, last, now)
        case _:
            pass


def _pin(pool: Pool, route: RouteState, item: Item, last: Item | None, now: Moment) -> None:
    route.pin = None
    hop = _hop(route, item.get("target", "")) if item["action"] == "pin" else None
    if hop is None:
        return
    moved = last is not None and last["reason"] == "pin" and last["to"] == hop.target.name
    if not moved and not _runs(item, now):
        return
    # One that ran out meanwhile is undone, and told, as if it ran out now.
    before = _hop(route, last["from"]) if moved and last is not None else None
    route.pin = Pin(hop, _until(item, now), before or hop)
    pool.restless[route] = None


def _runs(item: Item, now: Moment) -> bool:
    return _until(item, now) > now.instant


def _until(item: Item, now: Moment) -> Instant:
    until = item.get("until")
    if until is None:
        return FOR_GOOD
    return Instant(now.instant + (until - now.timestamp) / MICROS)


# -- both ----------------------------------------------------------------------------------------


def _hop(route: RouteState | None, target: str) -> HopState | None:
    hops = route.hops if route is not None else []
    return next((hop for hop in hops if hop.target.name == target), None)


def _instant(ts: int, now: Moment) -> Instant:
    """When that was, on this process's clock; never in the future."""
    return Instant(now.instant - max(0.0, (now.timestamp - ts) / MICROS))
