"""Who may test what: the duty to probe better targets, and the leases that keep it to one at a time.

A probe is one real request. While it runs everybody else is served as if the tested place still
rested; its outcome decides, and an outcome that blames nobody gives the place back untested.
"""

from __future__ import annotations

from gateway.config import ReturnPolicy
from gateway.events import Event
from gateway.routing.cooldown import Lease
from gateway.routing.readiness import (
    Admission,
    all_at_peace,
    candidate_spots,
    credential_look,
    full,
    has_turn,
    stands_back,
    target_look,
)
from gateway.routing.state import Candidate, HopState, RouteState
from gateway.units import Instant, Moment

SETBACK = 4.0
"""By how much longer warm sessions are spared after each setback: a look that comes to nothing costs
one of them two prefills of its whole conversation."""


def duty(route: RouteState, *, cold: bool, now: Instant) -> HopState | None:
    """The better target that this request shall test, if it is time to.

    Requests with a warm cache are spared, unless no other has come for long.
    """
    if route.chain.route.returns is ReturnPolicy.MANUAL or route.pinned(now) is not None:
        return None
    for hop in route.hops[: route.active.index]:
        due = hop.evidence.next_probe
        if due > now or not _can_be_tested(hop, now):
            continue
        if stands_back(hop, now) and not _hint_is_due(hop, now):
            continue
        waited = now - max(route.last_cold, due, hop.hold.last_end)
        if cold or waited >= _starved(hop):
            return hop
    return None


def _starved(hop: HopState) -> float:
    """Seconds without a cold request after which a warm session is sent to look."""
    stability = hop.stability
    seconds = stability.probe_starvation_seconds * SETBACK ** min(hop.evidence.setbacks, 16)
    return float(min(stability.probe_starvation_max_seconds, seconds))


def _hint_is_due(hop: HopState, now: Instant) -> bool:
    """A long stated rest is looked at though its hold still runs: the hold was made from it."""
    if hop.penalty.suppresses(hop.stability):
        return False
    target, provider = hop.target, hop.target.provider
    spots = [provider.spot, target.spot]
    if not all_at_peace(target):
        name = provider.limit_name(target.model)
        for key in provider.credentials:
            limit = key.models.get(name)
            spots += [key.spot] if limit is None else [key.spot, limit]
    every = provider.stability.recheck_seconds
    return any(spot.recheck_due(every, now) for spot in spots)


def _can_be_tested(hop: HopState, now: Instant) -> bool:
    target = hop.target
    usable = (Admission.READY, Admission.TRIAL)
    if target.probed(now) or target.drained(now) or not has_turn(target.provider, ""):
        return False
    if target_look(target, now, recheck=True).admission not in usable:
        return False
    return any(
        credential_look(target, key, now, recheck=True).admission in usable
        for key in target.provider.credentials
        if not full(key.in_flight, key.config.max_in_flight)
    )


def on_trial(candidate: Candidate, now: Instant) -> bool:
    """Whether an attempt on it now tests anything that is not proved."""
    return any(spot.unproven or spot.rests(now) for spot in candidate_spots(candidate))


def begin(
    route: RouteState, candidate: Candidate, attempt: str, seconds: float, now: Instant
) -> None:
    """Takes the leases of a probe. `seconds`: by when it is decided, one way or another."""
    lease = Lease(attempt, Instant(now + seconds))
    candidate.target.lease = lease
    for spot in candidate_spots(candidate):
        if spot.unproven or spot.rests(now):
            spot.probe(lease, now)
    hop, evidence = candidate.hop, candidate.hop.evidence
    if hop.index < route.active.index:
        gap = evidence.gap or hop.stability.probe_gap_seconds
        evidence.next_probe = Instant(now + gap)


def give_back(candidate: Candidate, attempt: str) -> bool:
    """The attempt is over, or blames nobody. True if it was the probe of its target."""
    for spot in candidate_spots(candidate):
        if spot.lease is not None:
            spot.give_back(attempt)
    target = candidate.hop.target
    lease = target.lease
    if lease is None or lease.attempt != attempt:
        return False
    target.lease = None
    return True


def prove(candidate: Candidate, attempt: str, now: Moment) -> list[Event]:
    """Content came: whatever it tested is proved, and rests that still ran are over."""
    events: list[Event] = []
    for spot in candidate_spots(candidate):
        events += spot.prove(attempt, now)
    give_back(candidate, attempt)
    return events


def failed(route: RouteState, hop: HopState, now: Instant) -> None:
    """A probe of a better target failed: the next one comes after twice the gap."""
    stability, evidence = hop.stability, hop.evidence
    evidence.reset()
    if hop.index < route.active.index:
        gap = (evidence.gap or stability.probe_gap_seconds) * 2
        evidence.gap = min(stability.probe_gap_max_seconds, gap)
        evidence.next_probe = Instant(now + evidence.gap)
