"""Where a route's pointer stands, and the fallback cooldown (hold) of the targets it left.

A hold is part of choosing a target: it puts the target behind the others on this route, and never
fails a request. Probing and damping join at the two moves in `served`.
"""

from __future__ import annotations

from random import Random

from gateway.events import CooldownSource, Event, Failure, Switched, SwitchKind
from gateway.routing.cooldown import Trigger
from gateway.routing.policy import JITTER, POLICY, Blame
from gateway.routing.readiness import kept_away_by, open_rest, ready_in
from gateway.routing.state import HopState, RouteState
from gateway.units import Instant, Moment, RequestId


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
    route: RouteState, hop: HopState, *, now: Moment, request: RequestId, trace: str, rng: Random
) -> list[Event]:
    """`hop` answers with content: does the route's pointer move to it?

    Down, when the pointer's target is gone; up, when nothing holds the better target any more. A
    request that only found the pointer's target short of keys moves nothing.
    """
    active = route.active
    gone = _gone(active, now.instant)
    better = hop.index < active.index
    if hop is active or not (gone or better) or _stands_behind(route, hop, now.instant):
        return []
    events: list[Event] = []
    if gone:
        rest = active.hold.running(now.instant) or kept_away_by(active, now.instant)
        trigger = Trigger(rest.reason if rest else "unavailable", request)
        events += _hold(active, now=now, trigger=trigger, rng=rng)
    hold = active.hold.running(now.instant)
    events.append(
        Switched(
            ts=now.timestamp,
            request_id=request,
            trace_id=trace,
            route=route.chain.label,
            from_target=active.target.name,
            to_target=hop.target.name,
            switch=SwitchKind.FORCED if gone else SwitchKind.RETURN,
            reason=hold.reason if gone and hold else "hold_ended",
            dwell_seconds=now.instant - route.active_since,
            hold_seconds=hold.until - now.instant if hold else 0.0,
            penalty=0.0,
            reversal=route.last_move == (hop.target.name, active.target.name),
        )
    )
    route.last_move = (active.target.name, hop.target.name)
    route.active = hop
    route.active_since = now.instant
    return events


def _hold(hop: HopState, *, now: Moment, trigger: Trigger, rng: Random) -> list[Event]:
    """max(minimum, multiplier × the cooldown that causes the move); one that runs stays as it is."""
    if hop.hold.rests(now.instant):
        return []
    cause = hop.stability.cooldown_multiplier * ready_in(hop, now.instant)
    seconds = max(hop.stability.cooldown_min_seconds, cause) * rng.uniform(1.0, 1.0 + JITTER)
    return hop.hold.rest(seconds, source=CooldownSource.HOLD, trigger=trigger, now=now, rng=rng)


def _gone(hop: HopState, now: Instant) -> bool:
    """Whether the pointer has reason to leave `hop`: held, open, or without a key for long."""
    if hop.hold.rests(now) or open_rest(hop.target, now) is not None:
        return True
    return ready_in(hop, now) > hop.stability.long_unavailable_seconds


def _stands_behind(route: RouteState, hop: HopState, now: Instant) -> bool:
    """A held target that answers late, or for want of room elsewhere, takes no pointer."""
    others = (each for each in route.hops if each is not hop and not each.hold.rests(now))
    return hop.hold.rests(now) and any(ready_in(each, now) == 0.0 for each in others)
