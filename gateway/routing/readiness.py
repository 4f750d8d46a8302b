"""What keeps a target or a credential from being tried, and for how long. Questions only."""

from __future__ import annotations

from gateway.routing.cooldown import Cooldown, Spot
from gateway.routing.state import CredentialState, HopState, TargetState
from gateway.units import Instant


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
    rests = (open_rest(target, now), credential_rest(target, credential, now))
    return max((rest.until - now for rest in rests if rest is not None), default=0.0)


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


def _last(spots: tuple[Spot | None, ...], now: Instant) -> Cooldown | None:
    running = [rest for spot in spots if spot is not None and (rest := spot.running(now))]
    return max(running, key=_until, default=None)


def _until(rest: Cooldown) -> Instant:
    return rest.until
