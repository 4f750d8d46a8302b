"""The decision that a request would get now, with every candidate and its reason. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.events import SkipReason
from gateway.routing.choosing import Choice, Skip, Wanted
from gateway.routing.pool import Pool
from gateway.routing.readiness import credential_look, credential_ready_in, stands_back, target_look
from gateway.routing.seating import Seating
from gateway.routing.state import CredentialState, HopState, RouteState
from gateway.routing.steps import Facts
from gateway.units import Moment, Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One candidate, as it is seen by this request."""

    target: str
    credential: str
    state: str
    """`chosen`, or of the place: `ready`, `trial`, `probing`, `resting`, `disabled`."""
    reason: str
    """Why it is not the chosen one; of the chosen one why it is."""
    until: Timestamp | None
    ready_in_seconds: float | None
    """None: nobody knows, or not without a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    target: str
    credential: str
    probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    route: str
    active: str
    """Where the route's pointer stands."""
    choice: Chosen | None
    candidates: tuple[Considered, ...]
    """In the configured order."""


def explain(pool: Pool, route: RouteState, facts: Facts, now: Moment, rng: Random) -> Explanation:
    """`rng` draws the lots of `balanced` rotation; pass a copy to see what the next draw gives."""
    seat = Seating(route, facts, now.instant, look_only=True).seat
    wanted = Wanted(dialect=facts.dialect, body_tokens=facts.body_tokens, seat=seat)
    choice = pool.explain(route, wanted, now, rng)
    candidates = [
        _considered(pool, route, hop, key, choice, wanted, now)
        for hop in route.hops
        for key in hop.target.provider.credentials
    ]
    candidates += [
        Considered(
            target=hop.target.name,
            credential="",
            state="disabled",
            reason=SkipReason.DISABLED.value,
            until=None,
            ready_in_seconds=None,
        )
        for hop in route.hops
        if not hop.target.provider.credentials
    ]
    chosen = choice.candidate
    return Explanation(
        route=route.chain.name,
        active=route.active.target.name,
        choice=None
        if chosen is None
        else Chosen(
            target=chosen.target.name, credential=chosen.credential.name, probe=choice.probe
        ),
        candidates=tuple(candidates),
    )


def _considered(
    pool: Pool,
    route: RouteState,
    hop: HopState,
    key: CredentialState,
    choice: Choice,
    wanted: Wanted,
    now: Moment,
) -> Considered:
    target = hop.target
    looks = (target_look(target, now.instant), credential_look(target, key, now.instant))
    chosen = choice.candidate
    is_chosen = chosen is not None and chosen.hop is hop and chosen.credential is key
    skip = _skip_of(choice.skips, hop, key)
    state = next((each.admission.value for each in looks if each.rest is not None), "")
    state = state or next(
        (e.admission.value for e in looks if e.admission.value != "ready"), "ready"
    )
    until = skip.until if skip is not None else None
    able = pool.able(route, hop, wanted, now)
    return Considered(
        target=target.name,
        credential=key.name,
        state="chosen" if is_chosen else state,
        reason=_why_chosen(route, hop, wanted, probe=choice.probe)
        if is_chosen
        else _why_not(skip, route, hop, now),
        until=None if until is None else now.at(until),
        ready_in_seconds=credential_ready_in(target, key, now.instant) if able else None,
    )


def _skip_of(skips: list[Skip], hop: HopState, key: CredentialState) -> Skip | None:
    own = [skip for skip in skips if skip.hop is hop and skip.credential in ("", key.name)]
    return own[0] if own else None


def _why_chosen(route: RouteState, hop: HopState, wanted: Wanted, *, probe: bool) -> str:
    if probe:
        return "probe"
    if wanted.seat is not None and wanted.seat.hop is hop:
        return "session"
    if route.pin is not None and route.pin.hop is hop:
        return "pinned"
    return "pointer" if hop is route.active else "first_usable"


def _why_not(skip: Skip | None, route: RouteState, hop: HopState, now: Moment) -> str:
    if skip is None:
        return "held" if stands_back(hop, now.instant) else SkipReason.NOT_PREFERRED.value
    return f"{skip.reason.value}: {skip.cause}" if skip.cause else skip.reason.value
