"""The pool as people and programs may see it: names, states, times; no secret, nothing live.

Read by the status API, the console and the gauges of the metrics. Deciding uses the pool itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.events import CooldownSource, Scope
from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.pool import Pool
from gateway.routing.readiness import kept_away_by
from gateway.routing.state import CredentialState, HopState, RouteState
from gateway.units import Moment, Timestamp


class State(StrEnum):
    """Of a target on its route, or of a credential, the most limiting one first."""

    DISABLED = "disabled"
    """By an operator, or it has no credential at all."""
    COOLING = "cooling"
    """Nothing of it may be tried now."""
    HELD = "held"
    """Usable, but its fallback cooldown puts it behind the others."""
    READY = "ready"


STATE_CODES = {State.READY: 0, State.HELD: 1, State.COOLING: 2, State.DISABLED: 3}
"""The values of `evenkeel_target_state`; stable once released, new states get new numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """One running cooldown."""

    cooldown_id: str
    scope: Scope
    route: str
    """Only of a hold; else empty."""
    provider: str
    model: str
    credential: str
    reason: str
    source: CooldownSource
    started: Timestamp
    until: Timestamp
    remaining_seconds: float
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    credential: str
    priority: int
    state: State
    reason: str
    until: Timestamp | None
    in_flight: int
    used: int
    """Attempts since the start of the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderView:
    provider: str
    dialect: str
    in_flight: int
    credentials: tuple[CredentialView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A target's place on one route."""

    target: str
    provider: str
    model: str
    active: bool
    """The route's pointer stands here."""
    state: State
    reason: str
    until: Timestamp | None
    """End of what `state` tells of; None if it is ready."""
    ready_in_seconds: float
    credentials_ready: int
    credentials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    route: str
    active: str
    active_since: Timestamp
    dwell_seconds: float
    targets: tuple[TargetView, ...]
    """In the configured order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    now: Timestamp
    routes: tuple[RouteView, ...]
    """The configured ones; chains of direct names are many and short-lived."""
    providers: tuple[ProviderView, ...]
    rests: tuple[Rest, ...]
    """Soonest end first."""


def snapshot(pool: Pool, now: Moment) -> Snapshot:
    rests = [_rest(spot, now) for spot in pool.resting() if spot.rests(now.instant)]
    return Snapshot(
        now=now.timestamp,
        routes=tuple(_route(pool, route, now) for route in pool.routes.values()),
        providers=tuple(
            ProviderView(
                provider=provider.name,
                dialect=provider.config.dialect.value,
                in_flight=provider.in_flight,
                credentials=tuple(_credential(each, now) for each in provider.credentials),
            )
            for provider in pool.providers.values()
        ),
        rests=tuple(sorted(rests, key=lambda rest: rest.until)),
    )


def _rest(spot: Spot, now: Moment) -> Rest:
    cooldown, place = spot.cooldown, spot.place
    assert cooldown is not None
    return Rest(
        cooldown_id=cooldown.id,
        scope=place.scope,
        route=place.route,
        provider=place.provider,
        model=place.model,
        credential=place.credential,
        reason=cooldown.reason,
        source=cooldown.source,
        started=cooldown.started.timestamp,
        until=now.at(cooldown.until),
        remaining_seconds=cooldown.until - now.instant,
        level=cooldown.level,
    )


def _credential(credential: CredentialState, now: Moment) -> CredentialView:
    rest = credential.spot.running(now.instant)
    return CredentialView(
        credential=credential.name,
        priority=credential.config.priority,
        state=State.COOLING if rest else State.READY,
        reason=rest.reason if rest else "",
        until=now.at(rest.until) if rest else None,
        in_flight=credential.in_flight,
        used=credential.used,
    )


def _route(pool: Pool, route: RouteState, now: Moment) -> RouteView:
    return RouteView(
        route=route.chain.name,
        active=route.active.target.name,
        active_since=now.at(route.active_since),
        dwell_seconds=now.instant - route.active_since,
        targets=tuple(_target(pool, route, hop, now) for hop in route.hops),
    )


def _target(pool: Pool, route: RouteState, hop: HopState, now: Moment) -> TargetView:
    target = hop.target
    state, rest = _state(hop, now)
    keys = target.provider.credentials
    ready = [pool.credential_rest(target, key, now) is None for key in keys]
    return TargetView(
        target=target.name,
        provider=target.provider.name,
        model=target.model,
        active=hop is route.active,
        state=state,
        reason=rest.reason if rest else "",
        until=now.at(rest.until) if rest else None,
        ready_in_seconds=pool.ready_in(hop, now),
        credentials_ready=sum(ready),
        credentials=len(ready),
    )


def _state(hop: HopState, now: Moment) -> tuple[State, Cooldown | None]:
    """The state, and the rest that makes it so."""
    if not hop.target.provider.credentials:
        return State.DISABLED, None
    rest = kept_away_by(hop, now.instant)
    if rest is not None:
        return State.COOLING, rest
    held = hop.hold.running(now.instant)
    return (State.HELD, held) if held is not None else (State.READY, None)
