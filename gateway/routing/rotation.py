"""Which credential of a target is next: tiers by priority, inside a tier by the provider's way.

`sequential` drains one key and keeps its cache warm; `balanced` draws by the usage gap;
`least_in_flight` takes the idlest.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gateway.config import Rotation
from gateway.routing.state import CredentialState, TargetState


def rotate(
    target: TargetState, ready: Sequence[CredentialState], *, rng: Random
) -> CredentialState:
    """The one to use, of usable credentials in order (best tier first); there is at least one."""
    if ready is target.provider.credentials:
        return of_tier(target, target.provider.best_tier, rng=rng)
    best = ready[0].config.priority
    return of_tier(target, [each for each in ready if each.config.priority == best], rng=rng)


def of_tier(
    target: TargetState, tier: Sequence[CredentialState], *, rng: Random
) -> CredentialState:
    """The same, of usable credentials that all are of the best tier."""
    match target.provider.config.rotation:
        case Rotation.SEQUENTIAL:
            current = target.current
            return current if current is not None and current in tier else tier[0]
        case Rotation.LEAST_IN_FLIGHT:
            return min(tier, key=lambda each: (each.in_flight, each.used, each.order))
        case Rotation.BALANCED:
            most = max(each.used for each in tier)
            tolerance = target.provider.config.rotation_tolerance
            weights = [most - each.used + tolerance + 1.0 for each in tier]
            return rng.choices(tier, weights)[0]
