"""Where a route's pointer stands: forced moves down, returns on evidence, and what each one costs.

A hold (fallback cooldown) and a penalty put a target behind the others of its route; neither ever
fails a request. Every move has exactly one `Switched`.
"""

from __future__ import annotations

from random import Random

from gateway.config import ReturnPolicy
from gateway.events import (
    CooldownSource,
    Event,
    Failure,
    FlappingEnded,
    FlappingStarted,
    Switched,
    SwitchKind,
)
from gateway.routing.cooldown import Trigger
from gateway.routing.policy import JITTER, POLICY, Blame
from gateway.routing.readiness import kept_away_by, open_rest, ready_in, stands_back
from gateway.routing.state import HopState, Ramp, RouteState
from gateway.units import Instant, Moment, RequestId

RECOVERED = "recovered"
OPERATOR = "operator"
STRETCH = 1.5
"""A target that was left soon must next time be well for so many times its last good stretch. By
this an incident that comes and goes is outwaited, whatever its period; a fixed time would meet the
one period it returns into just before the next failure."""


def left(
    hop: HopState, failure: Failure, *, now: Moment, trigger: Trigger, rng: Random
) -> list[Event]:
    """A request leaves `hop` for another target: its fallback cooldown, if it deserves one.

    Ill health does at once. A limit does only when no credential will be usable for longer
    than `long_unavailable_seconds`: until then single requests move, the route stays.
    """
    blame = POLICY[failure].blame
    if blame is Blame.NOBODY:
        return []
    away = ready_in(hop, now.instant)
    if blame is Blame.CAPACITY and away <= hop.stability.long_unavailable_seconds:
        return []
    return _hold(hop, now=now, trigger=trigger, rng=rng)


def served(
    route: RouteState, hop: HopState, *, now: Moment, trigger: Trigger, trace: str, rng: Random
) -> list[Event]:
    """`hop` answers with content. The pointer moves to it if its own target is gone.

    A request that only found the pointer's target short of keys moves nothing, nor does a probe.
    An operator who takes a target away makes the route move, and that costs the target nothing.
    """
    active = route.active
    if hop is active or route.pinned(now.instant) is not None:
        return []
    if not _gone(active, now.instant) or _stands_behind(route, hop, now.instant):
        return []
    rest = active.hold.running(now.instant) or kept_away_by(active, now.instant)
    if active.target.drained(now.instant) or (rest and rest.source is CooldownSource.OPERATOR):
        kind, request = SwitchKind.OPERATOR, trigger.request_id
        return move(route, hop, kind, OPERATOR, now=now, request=request, trace=trace)
    reason = rest.reason if rest else "unavailable"
    cause = Trigger(reason, trigger.request_id)  # No attempt of this request is to blame.
    events = _hold(active, now=now, trigger=cause, rng=rng)
    events += penalize(route, active, active.stability.penalty_departure, now=now)
    _judge(active, now.instant)
    active.evidence.gap = 0.0
    return events + move(
        route, hop, SwitchKind.FORCED, reason, now=now, request=trigger.request_id, trace=trace
    )


def answered(
    route: RouteState, hop: HopState, *, now: Moment, request: str, trace: str
) -> list[Event]:
    """A whole good answer of `hop`. If it is better than the pointer's target, that is evidence,
    and with enough of it the route returns."""
    if hop.index >= route.active.index or route.pinned(now.instant) is not None:
        return []
    if route.chain.route.returns is ReturnPolicy.MANUAL or stands_back(hop, now.instant):
        return []  # What comes in while it is held was sent before.
    stability, evidence = hop.stability, hop.evidence
    last_bad = hop.target.health.last_bad
    if evidence.since is not None and last_bad is not None and last_bad >= evidence.since:
        evidence.reset()
    since = evidence.since = now.instant if evidence.since is None else evidence.since
    evidence.good += 1
    evidence.gap = 0.0
    evidence.next_probe = Instant(now.instant + stability.probe_gap_seconds)
    asked = max(stability.return_good_seconds, evidence.asked)
    long_enough = now.instant - since >= asked
    if evidence.good < stability.return_good_answers or not long_enough:
        return []
    if not route.moves.take(route.chain.stability, now.instant):
        return []
    evidence.good, evidence.since, evidence.well_since = 0, None, since
    origin = route.active
    events = move(route, hop, SwitchKind.RETURN, RECOVERED, now=now, request=request, trace=trace)
    route.ramp = Ramp(now.instant, origin)
    return events


def move(
    route: RouteState,
    hop: HopState,
    kind: SwitchKind,
    reason: str,
    *,
    now: Moment,
    request: str = "",
    trace: str = "",
) -> list[Event]:
    """Sets the pointer on another hop, and tells of it."""
    origin = route.active
    hold = origin.hold.running(now.instant)
    event = Switched(
        ts=now.timestamp,
        request_id=RequestId(request),
        trace_id=trace,
        route=route.chain.label,
        from_target=origin.target.name,
        to_target=hop.target.name,
        switch=kind,
        reason=reason,
        dwell_seconds=now.instant - route.active_since,
        hold_seconds=hold.until - now.instant if hold else 0.0,
        penalty=origin.penalty.value(origin.stability, now.instant),
        reversal=route.last_move == (hop.target.name, origin.target.name),
    )
    route.last_move = (origin.target.name, hop.target.name)
    route.active = hop
    route.active_since = now.instant
    route.ramp = None
    return [event]


def penalize(route: RouteState, hop: HopState, amount: float, *, now: Moment) -> list[Event]:
    """Adds to the penalty; the event if with it the route is flapping."""
    if not hop.penalty.add(amount, hop.stability, now.instant):
        return []
    return [
        FlappingStarted(
            ts=now.timestamp,
            route=route.chain.label,
            target=hop.target.name,
            penalty=hop.penalty.value(hop.stability, now.instant),
            until=now.at(hop.penalty.latest_end(hop.stability, now.instant)),
        )
    ]


def relax(route: RouteState, now: Moment) -> list[Event]:
    """Tells of every suppression of the route that is over."""
    events: list[Event] = []
    for hop in route.hops:
        since = hop.penalty.suppressed_since
        if since is not None and hop.penalty.relax(hop.stability, now.instant):
            events.append(calmed(route, hop, since, now))
    return events


def unpin_over(route: RouteState, now: Moment) -> list[Event]:
    """A pin that has run out: the route goes back to where it stood before."""
    pin = route.pin
    if pin is None or pin.until > now.instant:
        return []
    return unpin(route, "pin_expired", now=now)


def unpin(route: RouteState, reason: str, *, now: Moment) -> list[Event]:
    """The pointer goes back to where it stood, unless there is a reason against that by now."""
    pin, route.pin = route.pin, None
    if pin is None or route.active is not pin.hop or pin.before is pin.hop:
        return []
    if stands_back(pin.before, now.instant) or _gone(pin.before, now.instant):
        return []
    return move(route, pin.before, SwitchKind.OPERATOR, reason, now=now)


def calmed(route: RouteState, hop: HopState, since: Instant, now: Moment) -> FlappingEnded:
    return FlappingEnded(
        ts=now.timestamp,
        route=route.chain.label,
        target=hop.target.name,
        penalty=hop.penalty.value(hop.stability, now.instant),
        duration_seconds=now.instant - since,
    )


def _hold(hop: HopState, *, now: Moment, trigger: Trigger, rng: Random) -> list[Event]:
    """max(minimum, multiplier × the cooldown that causes the move); one that runs stays as it is."""
    if hop.hold.rests(now.instant):
        return []
    cause = hop.stability.cooldown_multiplier * ready_in(hop, now.instant)
    least = max(hop.stability.cooldown_min_seconds, cause)
    seconds = rng.uniform(least, least * (1.0 + JITTER))
    if seconds <= 0.0:
        return []  # Switched off.
    return hop.hold.rest(seconds, source=CooldownSource.HOLD, trigger=trigger, now=now, rng=rng)


def _judge(hop: HopState, now: Instant) -> None:
    """The route leaves `hop`: what its last good stretch was worth, for the next return."""
    evidence, trusted = hop.evidence, hop.stability.return_good_max_seconds
    if evidence.well_since is not None:
        stretch = now - evidence.well_since
        if stretch >= trusted:
            evidence.asked, evidence.setbacks = 0.0, 0
        else:
            evidence.asked = min(trusted, STRETCH * stretch)
            evidence.setbacks += 1
    evidence.good, evidence.since, evidence.well_since = 0, None, None


def _gone(hop: HopState, now: Instant) -> bool:
    """Whether the pointer has reason to leave `hop`: held, open, drained, or long without a key."""
    if hop.hold.rests(now) or open_rest(hop.target, now) is not None or hop.target.drained(now):
        return True
    rest = kept_away_by(hop, now)
    return rest is not None and rest.until - now > hop.stability.long_unavailable_seconds


def _stands_behind(route: RouteState, hop: HopState, now: Instant) -> bool:
    """A target that stands back, and answers late or for want of room elsewhere, takes no pointer."""
    others = (each for each in route.hops if each is not hop and not stands_back(each, now))
    return stands_back(hop, now) and any(ready_in(each, now) == 0.0 for each in others)
