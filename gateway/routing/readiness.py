"""Whether a target or a credential may be tried, as what, and else for how long not. Questions only."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from gateway.config import Stability
from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.state import Candidate, CredentialState, HopState, ProviderState, TargetState
from gateway.units import Instant

PROBE_SECONDS = 1.0
"""What is told of a place that is just being probed: most probes are decided within a second."""


class Admission(Enum):
    READY = "ready"
    TRIAL = "trial"
    """As the one probe."""
    PROBING = "probing"
    """Another request is the probe."""
    RESTING = "resting"


class Look(Struct, frozen=True, gc=False):
    """What was found at one or several spots; the most limiting of them decides."""

    admission: Admission
    rest: Cooldown | None = None
    """That ends last, where something rests."""


READY = Look(Admission.READY)
TRIAL = Look(Admission.TRIAL)
PROBING = Look(Admission.PROBING)


def look(spots: tuple[Spot | None, ...], now: Instant, *, recheck_seconds: float | None) -> Look:
    """`recheck_seconds`: for a request that may look at long stated rests; else None."""
    trial = probing = False
    last: Cooldown | None = None
    for spot in spots:
        if spot is None or not (spot.unproven or spot.cooldown):
            continue
        rest = spot.running(now)
        if rest is not None:
            if recheck_seconds is not None and spot.recheck_due(recheck_seconds, now):
                trial = True
            elif last is None or rest.until > last.until:
                last = rest
        elif spot.unproven:
            trial = True
        probing = probing or spot.probed(now)
    if last is not None:
        return Look(Admission.RESTING, last)
    if probing and trial:
        return PROBING
    return TRIAL if trial else READY


def target_look(target: TargetState, now: Instant, *, recheck: bool = False) -> Look:
    """Of the target as a whole: itself and its provider."""
    spots = (target.provider.spot, target.spot)
    return look(spots, now, recheck_seconds=_recheck(target, recheck=recheck))


def credential_look(
    target: TargetState, credential: CredentialState, now: Instant, *, recheck: bool = False
) -> Look:
    """Of one credential for this target's model."""
    limit = credential.models.get(target.provider.limit_name(target.model))
    spots = (credential.spot, limit)
    return look(spots, now, recheck_seconds=_recheck(target, recheck=recheck))


def at_peace(credential: CredentialState, limit_name: str) -> bool:
    """Whether it neither rests nor is on trial, for models whose limit is kept under that name. Looks
    at no clock: it stays so until something happens to it."""
    spot = credential.spot
    if spot.cooldown is not None or spot.unproven:
        return False
    if not credential.models:
        return True
    limit = credential.models.get(limit_name)
    return limit is None or (limit.cooldown is None and not limit.unproven)


def all_at_peace(target: TargetState) -> bool:
    """Whether every key of the target is at peace for its model, and there is one. They are looked
    through again only after one of them has changed."""
    provider = target.provider
    looked, peace = target.at_peace
    if looked != provider.unrest.changes:
        keys, name = provider.credentials, provider.limit_name(target.model)
        peace = bool(keys) and all(at_peace(key, name) for key in keys)
        target.at_peace = (provider.unrest.changes, peace)
    return peace


def candidate_spots(candidate: Candidate) -> tuple[Spot, ...]:
    """Every place whose rest or trial concerns this candidate."""
    target, credential = candidate.hop.target, candidate.credential
    spots = (target.provider.spot, target.spot, credential.spot)
    if not credential.models:
        return spots
    limit = credential.models.get(target.provider.limit_name(target.model))
    return spots if limit is None else (*spots, limit)


def open_rest(target: TargetState, now: Instant) -> Cooldown | None:
    """The rest of the whole target or its provider that ends last; None if neither rests."""
    return _last((target.provider.spot, target.spot), now)


def credential_rest(
    target: TargetState, credential: CredentialState, now: Instant
) -> Cooldown | None:
    """What keeps this credential from this target's model, the rest that ends last."""
    limit = credential.models.get(target.provider.limit_name(target.model))
    return _last((credential.spot, limit), now)


def ready_in(hop: HopState, now: Instant) -> float:
    """Seconds until the soonest credential of the target may be tried; 0 if one may now."""
    keys = hop.target.provider.credentials
    return min((credential_ready_in(hop.target, key, now) for key in keys), default=0.0)


def credential_ready_in(target: TargetState, credential: CredentialState, now: Instant) -> float:
    """Seconds until this credential may be tried on this target; 0 if it may now."""
    found = 0.0
    for each in (target_look(target, now), credential_look(target, credential, now)):
        if each.rest is not None:
            found = max(found, each.rest.until - now)
        elif each.admission is Admission.PROBING:
            found = max(found, PROBE_SECONDS)
    return found


def being_probed(target: TargetState, credential: CredentialState, now: Instant) -> bool:
    """Whether nothing but another request's probe is in the way: it may be decided at any moment."""
    looks = {target_look(target, now).admission, credential_look(target, credential, now).admission}
    return Admission.PROBING in looks and Admission.RESTING not in looks


def kept_away_by(hop: HopState, now: Instant) -> Cooldown | None:
    """The rest whose end the target waits for: its own, or the soonest one of its credentials.

    None if some credential may be tried now.
    """
    target = hop.target
    keys = target.provider.credentials
    resting = [rest for key in keys if (rest := credential_rest(target, key, now)) is not None]
    soonest = min(resting, key=_until) if resting and len(resting) == len(keys) else None
    both = [rest for rest in (open_rest(target, now), soonest) if rest is not None]
    return max(both, key=_until, default=None)


def stands_back(hop: HopState, now: Instant) -> bool:
    """Held, or suppressed by damping: it stands behind the others of its route."""
    return hop.hold.rests(now) or hop.penalty.suppresses(hop.stability)


def full(in_flight: int, limit: int | None) -> bool:
    return limit is not None and in_flight >= limit


def has_turn(provider: ProviderState, request: str) -> bool:
    """Whether the provider has room, and nobody else waits for it longer than this request."""
    first = next(iter(provider.queue), request)
    return first == request and not full(provider.in_flight, provider.config.max_in_flight)


def _recheck(target: TargetState, *, recheck: bool) -> float | None:
    stability: Stability = target.provider.stability
    return stability.recheck_seconds if recheck else None


def _last(spots: tuple[Spot | None, ...], now: Instant) -> Cooldown | None:
    running = [rest for spot in spots if spot is not None and (rest := spot.running(now))]
    return max(running, key=_until, default=None)


def _until(rest: Cooldown) -> Instant:
    return rest.until
