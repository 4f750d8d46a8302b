"""Which candidate a request tries next, and why the others before it are not tried. Changes nothing.

Choosing and stickiness are one thing here: a target under its fallback cooldown (a hold) stands
behind the unheld ones, so the route is served by the fallback while it lasts. Rests remove a
candidate, holds only reorder: they can never remove the last one. Probing, damping and session
homes join the order in `_ordered`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from gateway.events import SkipReason
from gateway.routing.readiness import credential_rest, open_rest
from gateway.routing.rotation import rotate
from gateway.routing.state import BILLING_RANK, Candidate, CredentialState, HopState, RouteState
from gateway.units import Instant, Moment

SKIPS_REPORTED_MAX = 8
"""Skipped credentials reported for one target and request; a pool of 200 would flood the rows."""

Speaks: TypeAlias = Callable[[str, str], bool]
"""Whether a provider's dialect can serve a client's."""


@dataclass(slots=True)
class Wanted:
    """What one request needs of a candidate, and what it has used up."""

    dialect: str
    body_tokens: int = 0
    """A rough guess, for `context_tokens`."""
    tried: set[tuple[str, str]] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    """Targets whose failure another credential cannot cure."""
    spent: set[str] = field(default_factory=set)
    """Providers with no attempt left in this request."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A candidate passed over, with the reason."""

    hop: HopState
    credential: str
    """Empty where the whole target was passed over."""
    reason: SkipReason
    cause: str = ""
    until: Instant | None = None


def choose(
    route: RouteState, wanted: Wanted, now: Moment, *, speaks: Speaks, rng: Random
) -> tuple[Candidate | None, list[Skip]]:
    """The candidate for the next attempt, and those passed over for it, in route order."""
    skips: list[Skip] = []
    chosen: Candidate | None = None
    for hop in _ordered(route, now.instant):
        blocked = _hop_blocked(route, hop, wanted, now.instant, speaks=speaks)
        if blocked is not None:
            skips.append(blocked)
            continue
        credential, passed = _pick(hop, wanted, now.instant, rng=rng)
        skips += passed
        if credential is not None:
            chosen = Candidate(hop, credential)
            break
    if chosen is not None and not chosen.hop.hold.rests(now.instant):
        before = route.hops[: chosen.hop.index]
        known = {skip.hop.index for skip in skips}
        held = [hop for hop in before if hop.hold.rests(now.instant) and hop.index not in known]
        skips += [_held(hop) for hop in held]
    skips.sort(key=lambda skip: skip.hop.index)
    return chosen, skips


def _ordered(route: RouteState, now: Instant) -> list[HopState]:
    """Unheld targets in the route's order, then held ones in the route's order."""
    return sorted(route.hops, key=lambda hop: (hop.hold.rests(now), hop.index))


def _hop_blocked(
    route: RouteState, hop: HopState, wanted: Wanted, now: Instant, *, speaks: Speaks
) -> Skip | None:
    """Why no credential of this target may be tried; None if one might."""
    target = hop.target
    provider = target.provider
    if not provider.credentials:
        return Skip(hop, "", SkipReason.DISABLED)
    if not speaks(provider.config.dialect, wanted.dialect):
        return Skip(hop, "", SkipReason.DIALECT)
    limit = hop.config.context_tokens
    if limit is not None and wanted.body_tokens > limit:
        return Skip(hop, "", SkipReason.CONTEXT_SIZE)
    first = route.hops[0].target.provider.config.billing
    dearer = BILLING_RANK[provider.config.billing] > BILLING_RANK[first]
    if dearer and not route.chain.route.allow_metered_fallback:
        return Skip(hop, "", SkipReason.BILLING_CLASS)
    rest = open_rest(target, now)
    if rest is not None:
        return Skip(hop, "", SkipReason.COOLING, rest.reason, rest.until)
    if target.name in wanted.given_up:
        return Skip(hop, "", SkipReason.SAME_FAULT)
    if provider.name in wanted.spent:
        return Skip(hop, "", SkipReason.ATTEMPTS_SPENT)
    if full(provider.in_flight, provider.config.max_in_flight):
        return Skip(hop, "", SkipReason.AT_CAPACITY)
    return None


def _pick(
    hop: HopState, wanted: Wanted, now: Instant, *, rng: Random
) -> tuple[CredentialState | None, list[Skip]]:
    """A credential of the target, and those before it that may not be tried."""
    target = hop.target
    ready: list[CredentialState] = []
    skips: list[tuple[int, Skip]] = []
    for credential in target.provider.credentials:
        if (target.name, credential.name) in wanted.tried:
            continue
        skip = _credential_blocked(hop, credential, now)
        if skip is None:
            ready.append(credential)
        else:
            skips.append((credential.order, skip))
    if not ready:
        return None, _soonest(skips)
    chosen = rotate(target, ready, rng=rng)
    return chosen, _soonest([each for each in skips if each[0] < chosen.order])


def _soonest(skips: list[tuple[int, Skip]]) -> list[Skip]:
    """Those to report, in the provider's order: of too many, the ones that are ready first."""
    if len(skips) > SKIPS_REPORTED_MAX:
        by_end = sorted(skips, key=lambda each: each[1].until or 0.0)
        skips = sorted(by_end[:SKIPS_REPORTED_MAX], key=lambda each: each[0])
    return [skip for _, skip in skips]


def _credential_blocked(hop: HopState, credential: CredentialState, now: Instant) -> Skip | None:
    rest = credential_rest(hop.target, credential, now)
    if rest is not None:
        return Skip(hop, credential.name, SkipReason.COOLING, rest.reason, rest.until)
    if full(credential.in_flight, credential.config.max_in_flight):
        return Skip(hop, credential.name, SkipReason.AT_CAPACITY)
    return None


def full(in_flight: int, limit: int | None) -> bool:
    return limit is not None and in_flight >= limit


def _held(hop: HopState) -> Skip:
    cooldown = hop.hold.cooldown
    assert cooldown is not None
    return Skip(hop, "", SkipReason.HELD, cooldown.reason, cooldown.until)
