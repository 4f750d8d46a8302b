"""The pool as people and programs may see it: names, states, times; no secret, nothing live.

Read by the status API, the console and the gauges of the metrics. Deciding uses the pool itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.events import CooldownSource, Scope
from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.pool import Pool
from gateway.routing.readiness import Admission, credential_look, kept_away_by, target_look
from gateway.routing.state import CredentialState, HopState, RouteState, known_end
from gateway.units import Instant, Moment, Timestamp


class State(StrEnum):
    """Of a target on its route, or of a credential, the most limiting one first."""

    DISABLED = "disabled"
    """It has no credential at all."""
    DRAINED = "drained"
    """An operator lets it take no new requests."""
    COOLING = "cooling"
    """Nothing of it may be tried now."""
    PROBING = "probing"
    """Its rest is over, and one request is testing it."""
    TRIAL = "trial"
    """Its rest is over, and the next request that may test it will."""
    SUPPRESSED = "suppressed"
    """Usable, but it makes its route flap and stands behind the others."""
    HELD = "held"
    """Usable, but its fallback cooldown puts it behind the others."""
    READY = "ready"


STATE_CODES = {
    State.READY: 0,
    State.HELD: 1,
    State.COOLING: 2,
    State.DISABLED: 3,
    State.SUPPRESSED: 4,
    State.TRIAL: 5,
    State.PROBING: 6,
    State.DRAINED: 7,
}
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
    models_resting: int
    """Models and quota groups that rest for it alone."""


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
    """End of what `state` tells of; None if it is ready, or nobody knows."""
    ready_in_seconds: float | None
    """None: not before somebody does something."""
    credentials_ready: int
    credentials: int
    penalty: float
    suppress_at: float
    reuse_at: float
    """The lines between which the penalty keeps a suppressed target behind the others."""
    suppressed: bool
    """Above the line of damping, whether or not damping is obeyed."""
    good_answers: int
    """Evidence for a return to it, so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    route: str
    active: str
    active_since: Timestamp
    dwell_seconds: float
    flapping: bool
    pinned: str
    """Target an operator has pinned it to; else empty."""
    pinned_until: Timestamp | None
    moves_left: float
    """Voluntary moves it may make now."""
    sessions: int
    waiting: int
    """Requests that wait for a candidate."""
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
    spot = credential.spot
    rest = spot.running(now.instant)
    state = State.COOLING if rest else State.TRIAL if spot.unproven else State.READY
    return CredentialView(
        credential=credential.name,
        priority=credential.config.priority,
        state=state,
        reason=rest.reason if rest else "",
        until=now.at(rest.until) if rest else None,
        in_flight=credential.in_flight,
        used=credential.used,
        models_resting=sum(each.rests(now.instant) for each in credential.models.values()),
    )


def _route(pool: Pool, route: RouteState, now: Moment) -> RouteView:
    pin = route.pin if route.pinned(now.instant) is not None else None
    return RouteView(
        route=route.chain.name,
        active=route.active.target.name,
        active_since=now.at(route.active_since),
        dwell_seconds=now.instant - route.active_since,
        flapping=any(hop.penalty.suppressed_since is not None for hop in route.hops),
        pinned=pin.hop.target.name if pin is not None else "",
        pinned_until=_shown(pin.until, now) if pin is not None else None,
        moves_left=route.moves.left(route.chain.stability, now.instant),
        sessions=len(route.sessions),
        waiting=route.waiting,
        targets=tuple(_target(pool, route, hop, now) for hop in route.hops),
    )


def _target(pool: Pool, route: RouteState, hop: HopState, now: Moment) -> TargetView:
    target = hop.target
    state, rest = _state(hop, now)
    until, reason = (rest.until, rest.reason) if rest is not None else (None, "")
    ready_in: float | None = pool.ready_in(hop, now)
    match state:
        case State.DISABLED:
            ready_in = None
        case State.DRAINED:
            until, reason = known_end(target.drained_until), "operator"
            ready_in = None if until is None else until - now.instant
        case State.SUPPRESSED:
            until, reason = hop.penalty.latest_end(hop.stability, now.instant), "flapping"
        case _:
            pass
    looks = [credential_look(target, key, now.instant) for key in target.provider.credentials]
    return TargetView(
        target=target.name,
        provider=target.provider.name,
        model=target.model,
        active=hop is route.active,
        state=state,
        reason=reason,
        until=_shown(until, now),
        ready_in_seconds=ready_in,
        credentials_ready=sum(look.admission is not Admission.RESTING for look in looks),
        credentials=len(looks),
        penalty=hop.penalty.value(hop.stability, now.instant),
        suppress_at=hop.stability.suppress_at,
        reuse_at=hop.stability.reuse_at,
        suppressed=hop.penalty.suppressed_since is not None,
        good_answers=hop.evidence.good,
    )


def _state(hop: HopState, now: Moment) -> tuple[State, Cooldown | None]:
    """The state, and the rest that makes it so."""
    target = hop.target
    if not target.provider.credentials:
        return State.DISABLED, None
    if target.drained(now.instant):
        return State.DRAINED, None
    rest = kept_away_by(hop, now.instant)
    if rest is not None:
        return State.COOLING, rest
    if target.probed(now.instant):
        return State.PROBING, None
    look = target_look(target, now.instant)
    keys = (credential_look(target, key, now.instant) for key in target.provider.credentials)
    if look.admission is Admission.TRIAL or not any(k.admission is Admission.READY for k in keys):
        return State.TRIAL, None
    hold = hop.hold.running(now.instant)
    if hold is not None:
        return State.HELD, hold
    if hop.penalty.suppresses(hop.stability):
        return State.SUPPRESSED, None
    return State.READY, None


def _shown(until: Instant | None, now: Moment) -> Timestamp | None:
    end = known_end(until)
    return None if end is None else now.at(end)
