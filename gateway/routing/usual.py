"""The usual choice: the pointer's target takes the request, and nothing of it rests.

It is what `choosing` would choose, found without a look at every target and key; None where anything is
out of the ordinary. The tests compare the two at every choice of every simulated request.
"""

from __future__ import annotations

from random import Random

from gateway.config import Rotation
from gateway.routing.choosing import Speaks, Wanted, always_can
from gateway.routing.readiness import all_at_peace, full
from gateway.routing.rotation import of_tier
from gateway.routing.state import Candidate, CredentialState, HopState, RouteState, TargetState


def usual(route: RouteState, wanted: Wanted, speaks: Speaks, rng: Random) -> Candidate | None:
    """For a request's first attempt on the first target of its route, nothing passed over for it."""
    hop = route.active
    if hop is not route.hops[0] or route.pin is not None or wanted.tried or wanted.only is not None:
        return None
    seat = wanted.seat
    if seat is None:
        if route.ramp is not None and wanted.new_session:
            return None
    elif seat.hop is not hop:
        return None
    target = hop.target
    if not _ready(hop, target, wanted, speaks):
        return None
    credential = _credential(target, seat.credential if seat is not None else None, rng)
    return None if credential is None else Candidate(hop, credential)


def _ready(hop: HopState, target: TargetState, wanted: Wanted, speaks: Speaks) -> bool:
    """Nothing speaks against the target as a whole, now or later."""
    provider = target.provider
    own, theirs = target.spot, provider.spot
    if (
        hop.hold.cooldown is not None
        or hop.penalty.suppressed_since is not None
        or target.drained_until is not None
        or own.cooldown is not None
        or own.unproven
        or theirs.cooldown is not None
        or theirs.unproven
        or provider.queue
        or wanted.given_up
        or wanted.spent
    ):
        return False
    config, limit = provider.config, hop.config.context_tokens
    if config.max_in_flight is not None and full(provider.in_flight, config.max_in_flight):
        return False
    if limit is not None and wanted.body_tokens > limit:
        return False
    if not all_at_peace(target) or not speaks(config, wanted.dialect):
        return False
    return wanted.cannot is always_can or not wanted.cannot(config, target.model)


def _credential(
    target: TargetState, seated: CredentialState | None, rng: Random
) -> CredentialState | None:
    """The key that is next, all of them being at peace; None where one before it has no room."""
    provider = target.provider
    keys = provider.credentials
    if seated is not None:
        chosen = seated if _listed(seated, keys) else None
    elif provider.config.rotation is Rotation.SEQUENTIAL:
        chosen, current = keys[0], target.current
        if current is not None and current is not chosen and _listed(current, keys):
            chosen = current if current.config.priority == chosen.config.priority else chosen
    else:
        return None if provider.capped else of_tier(target, provider.best_tier, rng=rng)
    if chosen is not None and provider.capped:
        before = keys[: chosen.order + 1]
        if any(full(key.in_flight, key.config.max_in_flight) for key in before):
            return None
    return chosen


def _listed(key: CredentialState, keys: list[CredentialState]) -> bool:
    """A reload may have taken it away."""
    return key.order < len(keys) and keys[key.order] is key
