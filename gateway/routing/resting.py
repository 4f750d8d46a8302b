"""What a failure lets rest, and the list of all that rests now. Holds are listed here too.

Which failures rest at once and which only count against the target is the table in `policy`. Where
many places fail for one cause (`guard`) the one cause rests and the many do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from random import Random

from msgspec import Struct

from gateway.events import (
    CooldownEnd,
    CooldownSource,
    Event,
    Failure,
    LocalNetwork,
    PoolWideFailure,
    Scope,
)
from gateway.routing.cooldown import Spot, Trigger
from gateway.routing.guard import GUARDED, LOCAL_REST_SECONDS, SILENT, NetworkGuard
from gateway.routing.policy import POLICY, Blame, Ladder, ladder, stated_rest
from gateway.routing.readiness import credential_rest
from gateway.routing.state import Candidate, ProviderState
from gateway.units import Instant, Moment

POOL_WIDE = "pool_wide"
NETWORK = "local_network"
GUARD_STATED_SECONDS = 60.0
"""A longer stated rest is a key's own limit, however many keys have reached theirs."""
NEVER = Instant(float("inf"))


class Blamed(Struct, frozen=True, gc=False):
    """What the pool has to know of a failure: its class, whom it blames, the stated rest."""

    failure: Failure
    scope: Scope | None
    """None: the failure's own scope."""
    stated_seconds: float | None
    alone: bool = False
    """The route has no other provider: the whole pool of keys is worth walking."""


class Rests:
    """Everything that rests, holds included, with the moment at which the first of it is over."""

    def __init__(self, rng: Random, *, providers: frozenset[str], window_seconds: float) -> None:
        self._rng = rng
        self._providers = providers
        self._window_seconds = window_seconds
        self.network = NetworkGuard()
        # By identity, not by place: a direct chain that was dropped and made anew has a second
        # spot at the same place, and the end of either must be told.
        self._spots: dict[Spot, None] = {}
        self._next_end = NEVER

    def watch_providers(self, providers: frozenset[str], *, window_seconds: float) -> None:
        """All that must be out of reach within the window for the network to be away."""
        self._providers, self._window_seconds = providers, window_seconds

    def forget(self, spots: Set[Spot], now: Moment) -> list[Event]:
        """Ends the rests of all other places: they are no longer there."""
        events: list[Event] = []
        for spot in [spot for spot in self._spots if spot not in spots]:
            events += spot.end(CooldownEnd.SUPERSEDED, now=now)
            del self._spots[spot]
        return events

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
        if POLICY[blamed.failure].blame is Blame.NOBODY:
            return []
        if blamed.failure is Failure.CONNECT:
            away = self._unreachable(candidate, now=now, trigger=trigger)
            if away is not None:
                return away
        back: list[Event] = []
        if blamed.failure is not Failure.CONNECT and blamed.failure not in SILENT:
            back = self.reached(candidate.target.provider.name, now)
        return back + self._blame(candidate, blamed, now=now, trigger=trigger)

    def reached(self, provider: str, now: Moment) -> list[Event]:
        """Somebody answered. If the network was away, all targets are back with it: their rests
        were the network's, and no route may leave a target for one."""
        back = self.network.reached(provider)
        return self._acquit_all(NETWORK, now) if back else []

    def _acquit_all(self, reason: str, now: Moment) -> list[Event]:
        """Ends every rest with this reason, as if it had never been."""
        events: list[Event] = []
        for spot in list(self._spots):
            if spot.cooldown is not None and spot.cooldown.reason == reason:
                events += spot.end(CooldownEnd.SUPERSEDED, now=now)
        return events

    def _blame(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        steps = ladder(blamed.failure, candidate.target.provider.stability)
        if POLICY[blamed.failure].blame is Blame.HEALTH:
            candidate.target.health.bad(now.instant)
            spot = _spot(candidate, blamed)
            opens = not spot.rests(now.instant) and _trips(candidate, now.instant)
            climbed = steps if opens else None
            return self._rest(spot, candidate, blamed, steps=climbed, now=now, trigger=trigger)
        together = self._alike(candidate, blamed, now=now, trigger=trigger)
        if together is not None:
            return together
        spot = _spot(candidate, blamed)
        climbed = steps if blamed.stated_seconds is None else None
        return self._rest(spot, candidate, blamed, steps=climbed, now=now, trigger=trigger)

    def _alike(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, trigger: Trigger
    ) -> list[Event] | None:
        """Where a whole pool of keys is refused alike: its provider rests, its keys do not.

        While that is known and nothing better is proved, one more refusal is no news of its key.
        """
        provider = candidate.target.provider
        stated = blamed.stated_seconds
        wide = blamed_scope(candidate, blamed.failure, blamed.scope) in (
            Scope.TARGET,
            Scope.PROVIDER,
        )
        if blamed.alone or wide or blamed.failure not in GUARDED:
            return None
        if stated is not None and stated > GUARD_STATED_SECONDS:
            return None
        events: list[Event] = []
        if not provider.spot.unproven:
            keys = provider.guard.alike(
                candidate.credential.name, blamed.failure, provider.stability, now.instant
            )
            if not keys:
                return None
            events.append(
                PoolWideFailure(
                    ts=now.timestamp,
                    request_id=trigger.request_id,
                    provider=provider.name,
                    failure=blamed.failure,
                    credentials=len(keys),
                )
            )
            events += _acquit(provider, keys, blamed.failure, now)
        cause = Trigger(POOL_WIDE, trigger.request_id, trigger.attempt_id)
        steps = ladder(Failure.UNKNOWN, provider.stability)
        return events + self._rest(
            provider.spot, candidate, blamed, steps=steps, now=now, trigger=cause
        )

    def _unreachable(
        self, candidate: Candidate, *, now: Moment, trigger: Trigger
    ) -> list[Event] | None:
        """Where nothing at all can be connected to: short rests, and nobody is to blame."""
        events: list[Event] = []
        name = candidate.target.provider.name
        if self.network.failed(name, self._providers, self._window_seconds, now.instant):
            events.append(
                LocalNetwork(
                    ts=now.timestamp,
                    request_id=trigger.request_id,
                    providers=len(self._providers),
                )
            )
            events += self._acquit_all(Failure.CONNECT.value, now)
        if not self.network.away:
            return None
        candidate.target.breaker.reset()
        cause = Trigger(NETWORK, trigger.request_id, trigger.attempt_id)
        events += candidate.target.spot.rest(
            LOCAL_REST_SECONDS, source=CooldownSource.LADDER, trigger=cause, now=now, rng=self._rng
        )
        self.watch(candidate.target.spot)
        return events

    def _rest(
        self,
        spot: Spot,
        candidate: Candidate,
        blamed: Blamed,
        *,
        steps: Ladder | None,
        now: Moment,
        trigger: Trigger,
    ) -> list[Event]:
        """The ladder's next step, the stated time, or the later of the two."""
        stability = candidate.target.provider.stability
        events: list[Event] = []
        if steps is not None:
            events += spot.climb(steps, trigger=trigger, now=now, rng=self._rng)
        if blamed.stated_seconds is not None:
            least, most = (stated_rest(blamed.stated_seconds, stability, draw) for draw in (0, 1))
            seconds = self._rng.uniform(least, most)
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
        return Scope.PROVIDER if scope is Scope.PROVIDER else Scope.TARGET
    scope = scope or rule.scope
    grouped = candidate.target.model in candidate.target.provider.groups
    if scope is Scope.CREDENTIAL_MODEL or failure is Failure.QUOTA_EXHAUSTED:
        return Scope.QUOTA_GROUP if grouped else scope
    return scope


def _acquit(
    provider: ProviderState, keys: frozenset[str], failure: Failure, now: Moment
) -> list[Event]:
    """Ends the guessed rests that these keys got for what was not their fault."""
    provider.guard.clear()
    oldest = now.instant - provider.stability.guard_window_seconds
    events: list[Event] = []
    for key in provider.credentials:
        if key.name not in keys:
            continue
        for spot in (key.spot, *key.models.values()):
            rest = spot.running(now.instant)
            if rest is None or rest.started.instant < oldest or rest.reason != failure.value:
                continue
            if rest.source is CooldownSource.LADDER:  # What was stated is kept.
                events += spot.end(CooldownEnd.SUPERSEDED, now=now)
    return events


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
    """Counts a failure of health; True if the target opens, and its counts start afresh.

    A target on trial opens again at its first failure.
    """
    target = candidate.target
    if target.spot.unproven or target.provider.spot.unproven:
        target.breaker.reset()
        return True
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
