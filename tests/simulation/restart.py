"""A process that dies and one that follows it: the new pool gets what the history would give it."""

from __future__ import annotations

from typing import Any

from gateway.events import (
    FlappingEnded,
    FlappingStarted,
    OperatorActed,
    RequestOutcome,
    Switched,
)
from gateway.routing.restoring import restore
from gateway.units import MICROS
from tests.gateway.routing.comparing import ComparingPool
from tests.simulation.books import Books, Rest
from tests.simulation.world import EPOCH, World


def restart(world: World, books: Books) -> None:
    """kill -9 and start: requests under way are gone, unreported."""
    for asked in list(world.open.values()):
        asked.turn += 1
        asked.outcome = RequestOutcome.CANCELLED
        del world.open[asked.name]
    now = world.moment
    books.reborn()
    cooldowns = [_row(world, rest) for rest in books.rests.values()]
    world.pool = ComparingPool(world.config, rng=world.core_rng, now=now, speaks=lambda *_: True)
    events = restore(
        world.pool,
        cooldowns,
        _switches(world),
        now,
        flapping=_flapping(world),
        acts=_acts(world),
    )
    world.restarted(events)
    books.running_again()


def _row(world: World, rest: Rest) -> dict[str, Any]:
    scope, provider, model, credential, route = rest.place
    return {
        "cooldown_id": rest.id,
        "scope": scope.value,
        "provider": provider,
        "model": model,
        "credential": credential,
        "route": route,
        "reason": rest.reason,
        "source": rest.source.value,
        "level": rest.level,
        "started": EPOCH + round((rest.started + world.wall) * MICROS),
        "until": EPOCH + round((rest.until + world.wall) * MICROS),
    }


def _switches(world: World) -> list[dict[str, Any]]:
    return [
        {
            "route": event.route,
            "kind": event.switch.value,
            "reason": event.reason,
            "from": event.from_target,
            "to": event.to_target,
            "ts": event.ts,
            "penalty": event.penalty,
        }
        for event in world.events
        if isinstance(event, Switched)
    ]


def _flapping(world: World) -> list[dict[str, Any]]:
    """Those without an end."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for event in world.events:
        if isinstance(event, FlappingStarted):
            found[event.route, event.target] = {
                "route": event.route,
                "target": event.target,
                "ts": event.ts,
                "penalty": event.penalty,
            }
        elif isinstance(event, FlappingEnded):
            found.pop((event.route, event.target), None)
    return list(found.values())


def _acts(world: World) -> list[dict[str, Any]]:
    return [
        {
            "action": event.action,
            "route": event.route,
            "target": event.target,
            "until": event.until,
            "ts": event.ts,
        }
        for event in world.events
        if isinstance(event, OperatorActed)
    ]
