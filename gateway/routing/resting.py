"""What a failure lets rest, and the list of all that rests now. Holds are listed here too.

Which failures rest at once and which only count against the target is the table in `policy`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from gateway.events import CooldownSource, Event, Failure, Scope
from gateway.routing.cooldown import Spot, Trigger
from gateway.routing.policy import POLICY, Blame, ladder, stated_rest
from gateway.routing.readiness import credential_rest
from gateway.routing.state import Candidate
from gateway.units import Instant, Moment

NEVER = Instant(float("inf"))


@dataclass(frozen=True, slots=True)
class Blamed:
    """What the pool has to know of a failure: its class, whom it blames, the stated rest."""

    failure: Failure
    scope: Scope | None
    """None: the failure's own scope."""
    stated_seconds: float | None


class Rests:
    """Everything that rests, holds included, with the moment at which the first of it is over."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        # By identity, not by place: a direct chain that was dropped and made anew has a second
        # spot at the same place, and the end of either must be told.
        self._spots: dict[Spot, None] = {}
        self._next_end = NEVER

    def all(self) -> Iterable[Spot]:
        return self._spots.keys()

    def watch(self, spot: Spot) -> None:
        """To be called after anything that may have started or extended its rest."""
        if spot.cooldown is not None:
            self._spots[spot] = None
            self._next_end = min(self._next_end, spot.cooldown.until)

    def expire(self, now: Moment) -> list[Event]:
        """Tell of every rest that is over. Cheap when there is none; call it often."""
        if now.instant < self._next_end:
            return []
        events: list[Event] = []
        for spot in list(self._spots):
            events += spot.expire(now)
            if spot.cooldown is None:
                del self._spots[spot]
        ends = (spot.cooldown.until for spot in self._spots if spot.cooldown)
        self._next_end = min(ends, default=NEVER)
        return events

    def fail(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        """Lets rest what the failure blames, and nothing else."""
        match POLICY[blamed.failure].blame:
            case Blame.NOBODY:
                return []
            case Blame.HEALTH:
                spot = candidate.target.spot
                opens = not spot.rests(now.instant) and _trips(candidate, now.instant)
                return self._rest(spot, candidate, blamed, climbs=opens, now=now, trigger=trigger)
            case Blame.CAPACITY | Blame.SETUP:
                spot = _spot(candidate, blamed)
                climbs = blamed.stated_seconds is None
                return self._rest(spot, candidate, blamed, climbs=climbs, now=now, trigger=trigger)

    def _rest(
        self,
        spot: Spot,
        candidate: Candidate,
        blamed: Blamed,
        *,
        climbs: bool,
        now: Moment,
        trigger: Trigger,
    ) -> list[Event]:
        """The ladder's next step, the stated time, or the later of the two."""
        stability = candidate.target.provider.stability
        events: list[Event] = []
        if climbs:
            steps = ladder(blamed.failure, stability)
            events += spot.climb(steps, trigger=trigger, now=now, rng=self._rng)
        if blamed.stated_seconds is not None:
            seconds = stated_rest(blamed.stated_seconds, stability, self._rng.random())
            events += spot.rest(
                seconds, source=CooldownSource.STATED, trigger=trigger, now=now, rng=self._rng
            )
        self.watch(spot)
        return events


def blamed_scope(candidate: Candidate, failure: Failure, scope: Scope | None) -> Scope | None:
    """The smallest thing that has to rest; None if nobody is to blame.

    A used-up quota belongs to the model's quota group where one is configured: the credential's
    other models go on.
    """
    rule = POLICY[failure]
    if rule.blame is Blame.NOBODY:
        return None
    if rule.blame is Blame.HEALTH:
        return Scope.TARGET
    scope = scope or rule.scope
    grouped = candidate.target.model in candidate.target.provider.groups
    if scope is Scope.CREDENTIAL_MODEL or failure is Failure.QUOTA_EXHAUSTED:
        return Scope.QUOTA_GROUP if grouped else scope
    return scope


def _spot(candidate: Candidate, blamed: Blamed) -> Spot:
    target = candidate.target
    match blamed_scope(candidate, blamed.failure, blamed.scope):
        case Scope.CREDENTIAL:
            return candidate.credential.spot
        case Scope.TARGET:
            return target.spot
        case Scope.PROVIDER:
            return target.provider.spot
        case _:
            return target.provider.limit_spot(candidate.credential, target.model)


def _trips(candidate: Candidate, now: Instant) -> bool:
    """Counts a failure of health; True if the target opens, and its counts start afresh."""
    target = candidate.target
    keys = target.provider.credentials
    opens = target.breaker.bad(
        credential=candidate.credential.name,
        credentials=sum(credential_rest(target, key, now) is None for key in keys),
        stability=target.provider.stability,
        now=now,
    )
    if opens:
        target.breaker.reset()
    return opens
