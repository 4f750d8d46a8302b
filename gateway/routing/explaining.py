"""The decision that a request would get now, with every candidate and its reason. Changes nothing.

It is made by the same functions that make the real one, so that the two cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from gateway.events import SkipReason
from gateway.routing.choosing import Choice, Skip, Wanted
from gateway.routing.clocks import deadline_seconds
from gateway.routing.cooldown import Cooldown
from gateway.routing.patience import Patience
from gateway.routing.pool import Pool
from gateway.routing.readiness import (
    Admission,
    Look,
    credential_look,
    credential_ready_in,
    stands_back,
    target_look,
)
from gateway.routing.seating import Seating, session_key
from gateway.routing.snapshot import State
from gateway.routing.state import Candidate, CredentialState, HopState, RouteState
from gateway.routing.steps import Facts
from gateway.units import Instant, Moment, Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One candidate, as it is seen by this request."""

    target: str
    credential: str
    """Empty where the target has none."""
    state: State
    reason: str
    """Why it is chosen, or why not."""
    until: Timestamp | None
    """End of what keeps it away; None if nobody knows, or nothing does."""
    ready_in_seconds: float | None
    """None: it cannot serve this request, however long one waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    target: str
    credential: str
    probe: bool
    """It would be tested by this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    route: str
    active: str
    """Where the route's pointer stands."""
    choice: Chosen | None
    """None: the request would be refused, unless something becomes ready while it waits."""
    wait_seconds: float | None
    """Something better is worth waiting for so long first; `choice` is who serves if it is in vain.
    None: it would be sent, or refused, at once."""
    candidates: tuple[Considered, ...]
    """In the configured order."""


def explain(pool: Pool, route: RouteState, facts: Facts, now: Moment, rng: Random) -> Explanation:
    """`rng` draws the lots of `balanced` rotation and of ramps; pass a copy of the pool's.

    A session's `body_tokens` of 0 stands for as many as it had last.
    """
    known = route.sessions.peek(session_key(facts))
    if known is not None and not facts.body_tokens:
        facts = replace(facts, body_tokens=known.body_tokens)
    seating = Seating(route, facts, now.instant, look_only=True)
    wanted = Wanted(
        dialect=facts.dialect,
        body_tokens=facts.body_tokens,
        seat=seating.seat,
        new_session=seating.new_session,
        arrived=not seating.new_session,
    )
    choice = pool.explain(route, wanted, now, rng)
    candidate, probe, why = choice.candidate, choice.probe, ""
    if candidate is None:
        candidate = pool.least_bad(route, wanted, now)
        probe, why = candidate is not None, "least_bad_probe"
    elif probe:
        why = "probe"
    chosen = None
    if candidate is not None:
        target, credential = candidate.target.name, candidate.credential.name
        chosen = Chosen(target=target, credential=credential, probe=probe)
    view = _View(pool, route, wanted, now, choice, candidate, why)
    return Explanation(
        route=route.chain.name,
        active=route.active.target.name,
        choice=chosen,
        wait_seconds=_wait_seconds(pool, route, facts, seating, wanted, choice, now),
        candidates=tuple(each for hop in route.hops for each in view.of(hop)),
    )


def _wait_seconds(
    pool: Pool,
    route: RouteState,
    facts: Facts,
    seating: Seating,
    wanted: Wanted,
    choice: Choice,
    now: Moment,
) -> float | None:
    limit = deadline_seconds(
        route.chain.stability,
        stream=facts.stream,
        reasoning=facts.reasoning,
        asked=facts.deadline_seconds,
    )
    deadline = Instant(now.instant + limit)
    patience = Patience(pool, route, wanted, seating.binding, deadline=deadline)
    worth = patience.worth(choice, now)
    if worth is None or not pool.waiting.has_room(route, worth[1]):
        return None
    return worth[0]


@dataclass(frozen=True, slots=True)
class _View:
    """The candidates of a route as one request sees them."""

    pool: Pool
    route: RouteState
    wanted: Wanted
    now: Moment
    choice: Choice
    candidate: Candidate | None
    why: str
    """Of the chosen candidate, where it is a test."""

    def of(self, hop: HopState) -> list[Considered]:
        keys = hop.target.provider.credentials
        if keys:
            return [self._considered(hop, key) for key in keys]
        return [
            Considered(
                target=hop.target.name,
                credential="",
                state=State.DISABLED,
                reason=SkipReason.DISABLED.value,
                until=None,
                ready_in_seconds=None,
            )
        ]

    def _considered(self, hop: HopState, key: CredentialState) -> Considered:
        target, now = hop.target, self.now
        state, rest = _state(hop, key, now.instant)
        skip = self._skip(hop, key)
        if state is State.COOLING and skip is not None and skip.reason is SkipReason.HELD:
            skip = None  # It rests as well, and that weighs more than standing behind.
        until = skip.until if skip is not None else rest.until if rest is not None else None
        able = self.pool.able(self.route, hop, self.wanted, now)
        mine = self.candidate
        chosen = mine is not None and mine.hop is hop and mine.credential is key
        return Considered(
            target=target.name,
            credential=key.name,
            state=state,
            reason=self._why(hop) if chosen else _why_not(state, rest, skip),
            until=None if until is None else now.at(until),
            ready_in_seconds=credential_ready_in(target, key, now.instant) if able else None,
        )

    def _skip(self, hop: HopState, key: CredentialState) -> Skip | None:
        skips = self.choice.skips
        own = (skip for skip in skips if skip.hop is hop and skip.credential in ("", key.name))
        return next(own, None)

    def _why(self, hop: HopState) -> str:
        seat = self.wanted.seat
        if self.why:
            why = self.why
        elif hop is self.route.pinned(self.now.instant):
            why = "pin"
        elif seat is not None and seat.hop is hop:
            why = "session"
        else:
            why = "pointer" if hop is self.route.active else "first_usable"
        return f"chosen: {why}"


def _state(hop: HopState, key: CredentialState, now: Instant) -> tuple[State, Cooldown | None]:
    """Of target and credential together, in the words of the status; and the rest behind it."""
    target = hop.target
    looks: tuple[Look, ...] = (target_look(target, now), credential_look(target, key, now))
    rests = [look.rest for look in looks if look.rest is not None]
    if target.drained(now):
        return State.DRAINED, None
    if rests:
        return State.COOLING, max(rests, key=lambda rest: rest.until)
    if any(look.admission is Admission.PROBING for look in looks):
        return State.PROBING, None
    if any(look.admission is Admission.TRIAL for look in looks):
        return State.PROBING if target.probed(now) else State.TRIAL, None
    hold = hop.hold.running(now)
    if hold is not None:
        return State.HELD, hold
    return State.SUPPRESSED if stands_back(hop, now) else State.READY, None


def _why_not(state: State, rest: Cooldown | None, skip: Skip | None) -> str:
    if skip is not None:
        reason, cause = skip.reason.value, skip.cause
    elif state in (State.READY, State.TRIAL):
        reason, cause = SkipReason.NOT_PREFERRED.value, ""
    else:
        reason, cause = state.value, rest.reason if rest is not None else ""
    return f"{reason}: {cause}" if cause else reason
