"""All candidates: who may be tried at `now`, in which order, and why the others may not.

Choosing and stickiness are one thing here: a target under its fallback cooldown (a hold) stands
behind the unheld ones, so the route is served by the fallback while it lasts. Rests remove a
candidate, holds only reorder: they can never remove the last one. Probing, damping and session
homes join the order in `_ordered` and the pointer's moves in `served`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from gateway.config import Config
from gateway.events import (
    CooldownSource,
    Event,
    Failure,
    Scope,
    SkipReason,
    Switched,
    SwitchKind,
)
from gateway.routing.cooldown import Place, Spot, Trigger
from gateway.routing.directory import Chain, Directory
from gateway.routing.policy import JITTER, POLICY, Blame, ladder, stated_rest
from gateway.routing.rotation import rotate
from gateway.routing.state import (
    BILLING_RANK,
    Candidate,
    CredentialState,
    HopState,
    ProviderState,
    RouteState,
    TargetState,
    build_providers,
)
from gateway.units import Instant, Moment, RequestId

DIRECT_CHAINS_MAX = 1024
"""Chains of `provider/model` names kept; client text may not grow memory without bound."""
TARGETS_MAX = 4096
SKIPS_REPORTED_MAX = 8
"""Skipped credentials reported for one target and request; a pool of 200 would flood the rows."""


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
    hop: HopState
    credential: str
    """Empty where the whole target was passed over."""
    reason: SkipReason
    cause: str = ""
    until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Blamed:
    """What the pool has to know of a failure: its class, whom it blames, the stated rest."""

    failure: Failure
    scope: Scope | None
    stated_seconds: float | None


class Pool:
    """State of every provider of one configuration. Only its methods change it; none of them waits.

    `speaks` tells whether a provider's dialect can serve a client's.
    """

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        now: Moment,
        speaks: Callable[[str, str], bool],
    ) -> None:
        self.config = config
        self.directory = Directory(config)
        self.providers: dict[str, ProviderState] = build_providers(config)
        self._rng = rng
        self._speaks = speaks
        self._targets: dict[str, TargetState] = {}
        self._resting: dict[Place, Spot] = {}
        self._next_expiry = Instant(float("inf"))
        self.routes: dict[str, RouteState] = {}
        for chain in self.directory.chains:
            self.routes[chain.name] = self._route(chain, now)
        self._direct: dict[str, RouteState] = {}

    # -- finding -------------------------------------------------------------------------------

    def route(self, name: str, now: Moment) -> RouteState | None:
        """The route or direct chain of that name; None if nobody configured it."""
        known = self.routes.get(name) or self._direct.get(name)
        if known is not None:
            return known
        chain = self.directory.find(name)
        if chain is None:
            return None
        if len(self._direct) >= DIRECT_CHAINS_MAX:
            # The oldest goes: it loses its pointer and its holds, no rest of any provider.
            del self._direct[next(iter(self._direct))]
        self._direct[name] = self._route(chain, now)
        return self._direct[name]

    def direct_routes(self) -> Iterable[RouteState]:
        return self._direct.values()

    def targets(self) -> Iterable[TargetState]:
        return self._targets.values()

    def _route(self, chain: Chain, now: Moment) -> RouteState:
        hops = [
            HopState(
                index,
                each,
                self._target(each.provider, each.model),
                route=chain.name,
                stability=self.config.hold_stability(chain.route, each.provider),
            )
            for index, each in enumerate(chain.targets)
        ]
        return RouteState(chain, hops, since=now.instant)

    def _target(self, provider: str, model: str) -> TargetState:
        name = f"{provider}/{model}"
        target = self._targets.get(name)
        if target is None:
            if len(self._targets) >= TARGETS_MAX:
                self._forget_a_target()
            target = TargetState(self.providers[provider], model)
            self._targets[name] = target
        return target

    def _forget_a_target(self) -> None:
        """Drop the oldest direct target that rests nowhere; a configured one stays for ever."""
        kept = {hop.target.name for route in self.routes.values() for hop in route.hops}
        for name, target in self._targets.items():
            if name not in kept and target.spot.cooldown is None:
                del self._targets[name]
                return

    # -- choosing ------------------------------------------------------------------------------

    def choose(
        self, route: RouteState, wanted: Wanted, now: Moment
    ) -> tuple[Candidate | None, list[Skip]]:
        """The candidate for the next attempt, and those passed over for it, in route order."""
        skips: list[Skip] = []
        held: list[HopState] = []
        chosen: Candidate | None = None
        for hop in self._ordered(route, now):
            blocked = self._hop_blocked(route, hop, wanted, now)
            if blocked is not None:
                skips.append(blocked)
                continue
            credential, passed = self._pick(hop, wanted, now)
            skips += passed
            if credential is not None:
                chosen = Candidate(hop, credential)
                break
        if chosen is not None and not chosen.hop.hold.rests(now.instant):
            held = [hop for hop in route.hops[: chosen.hop.index] if hop.hold.rests(now.instant)]
            known = {skip.hop.index for skip in skips}
            skips += [_held(hop) for hop in held if hop.index not in known]
        skips.sort(key=lambda skip: skip.hop.index)
        return chosen, skips

    def _ordered(self, route: RouteState, now: Moment) -> list[HopState]:
        """Unheld targets in the route's order, then held ones in the route's order."""
        hops = route.hops
        if not any(hop.hold.rests(now.instant) for hop in hops):
            return hops
        return sorted(hops, key=lambda hop: (hop.hold.rests(now.instant), hop.index))

    def _hop_blocked(
        self, route: RouteState, hop: HopState, wanted: Wanted, now: Moment
    ) -> Skip | None:
        """Why no credential of this target may be tried; None if one might."""
        target = hop.target
        provider = target.provider
        for spot in (provider.spot, target.spot):
            if spot.cooldown is not None and spot.rests(now.instant):
                return Skip(hop, "", SkipReason.COOLING, spot.cooldown.reason, spot.cooldown.until)
        if target.name in wanted.given_up:
            return Skip(hop, "", SkipReason.SAME_FAULT)
        if provider.name in wanted.spent:
            return Skip(hop, "", SkipReason.ATTEMPTS_SPENT)
        if not self._speaks(provider.config.dialect, wanted.dialect):
            return Skip(hop, "", SkipReason.DIALECT)
        limit = hop.config.context_tokens
        if limit is not None and wanted.body_tokens > limit:
            return Skip(hop, "", SkipReason.CONTEXT_SIZE)
        first = route.hops[0].target.provider.config.billing
        dearer = BILLING_RANK[provider.config.billing] > BILLING_RANK[first]
        if dearer and not route.chain.route.allow_metered_fallback:
            return Skip(hop, "", SkipReason.BILLING_CLASS)
        if _full(provider.in_flight, provider.config.max_in_flight):
            return Skip(hop, "", SkipReason.AT_CAPACITY)
        return None

    def _pick(
        self, hop: HopState, wanted: Wanted, now: Moment
    ) -> tuple[CredentialState | None, list[Skip]]:
        target = hop.target
        ready: list[CredentialState] = []
        skips: list[tuple[int, Skip]] = []
        for credential in target.provider.credentials:
            if (target.name, credential.name) in wanted.tried:
                continue
            skip = _credential_blocked(hop, credential, now.instant)
            if skip is None:
                ready.append(credential)
            else:
                skips.append((credential.order, skip))
        if not ready:
            return None, [skip for _, skip in skips[:SKIPS_REPORTED_MAX]]
        chosen = rotate(target, ready, rng=self._rng)
        before = [skip for order, skip in skips if order < chosen.order]
        return chosen, before[:SKIPS_REPORTED_MAX]

    # -- reporting -----------------------------------------------------------------------------

    def take(self, candidate: Candidate) -> None:
        """An attempt begins; every take is followed by exactly one `give_back`."""
        candidate.credential.in_flight += 1
        candidate.credential.used += 1
        candidate.target.provider.in_flight += 1
        candidate.target.current = candidate.credential

    def give_back(self, candidate: Candidate) -> None:
        candidate.credential.in_flight -= 1
        candidate.target.provider.in_flight -= 1
        assert candidate.credential.in_flight >= 0
        assert candidate.target.provider.in_flight >= 0

    def good(self, candidate: Candidate, now: Moment) -> None:
        """A whole answer, or at least content: evidence of health."""
        target = candidate.target
        target.breaker.good(stability=target.provider.stability, now=now.instant)

    def bad(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, request: str, attempt: str
    ) -> list[Event]:
        """Lets rest what the failure blames, and nothing else."""
        trigger = Trigger(blamed.failure.value, request, attempt)
        match POLICY[blamed.failure].blame:
            case Blame.NOBODY:
                return []
            case Blame.HEALTH:
                return self._ill(candidate, blamed, now=now, trigger=trigger)
            case Blame.CAPACITY | Blame.SETUP:
                spot = self._blamed_spot(candidate, blamed)
                return self._rest(spot, candidate, blamed, now=now, trigger=trigger)

    def _ill(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        target = candidate.target
        if target.spot.rests(now.instant):
            # A straggler from before the rest: its failure is no news.
            return []
        opens = target.breaker.bad(
            credential=candidate.credential.name,
            credentials=len(target.provider.credentials),
            stability=target.provider.stability,
            now=now.instant,
        )
        if not opens and blamed.stated_seconds is None:
            return []
        target.breaker.reset()
        return self._rest(target.spot, candidate, blamed, now=now, trigger=trigger)

    def _rest(
        self,
        spot: Spot,
        candidate: Candidate,
        blamed: Blamed,
        *,
        now: Moment,
        trigger: Trigger,
    ) -> list[Event]:
        stability = candidate.target.provider.stability
        if blamed.stated_seconds is not None:
            seconds = stated_rest(blamed.stated_seconds, stability, self._rng.random())
            events = spot.rest(
                seconds, source=CooldownSource.STATED, trigger=trigger, now=now, rng=self._rng
            )
        else:
            events = spot.climb(
                ladder(blamed.failure, stability),
                decay_seconds=stability.ladder_decay_seconds,
                trigger=trigger,
                now=now,
                rng=self._rng,
            )
        self._watch(spot)
        return events

    def _blamed_spot(self, candidate: Candidate, blamed: Blamed) -> Spot:
        target = candidate.target
        match blamed.scope or POLICY[blamed.failure].scope:
            case Scope.CREDENTIAL:
                return candidate.credential.spot
            case Scope.TARGET:
                return target.spot
            case Scope.PROVIDER:
                return target.provider.spot
            case _:
                return target.provider.model_spot(candidate.credential, target.model)

    def left(
        self, route: RouteState, hop: HopState, failure: Failure, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        """A request leaves `hop` for another target: its fallback cooldown, if it deserves one.

        Ill health does at once. A limit does only when no credential will be usable for longer
        than `long_unavailable_seconds`: until then single requests move, the route stays.
        """
        if hop.hold.rests(now.instant):
            return []
        blame = POLICY[failure].blame
        away = self.ready_in(hop, now)
        if blame is Blame.NOBODY:
            return []
        if blame is Blame.CAPACITY and away <= hop.stability.long_unavailable_seconds:
            return []
        seconds = self._hold_seconds(hop, away) * self._rng.uniform(1.0, 1.0 + JITTER)
        events = hop.hold.rest(
            seconds, source=CooldownSource.HOLD, trigger=trigger, now=now, rng=self._rng
        )
        self._watch(hop.hold)
        return events

    def _hold_seconds(self, hop: HopState, away: float) -> float:
        """max(minimum, multiplier × the cooldown that caused the move).

        A *stated* rest is not multiplied: a provider that says 24 h would otherwise be left alone
        through every second one of its days.
        """
        causes = [hop.target.provider.spot.cooldown, hop.target.spot.cooldown]
        causes += [each.spot.cooldown for each in hop.target.provider.credentials]
        stated = any(each and each.source is CooldownSource.STATED for each in causes)
        factor = 1.0 if stated else hop.stability.cooldown_multiplier
        return max(hop.stability.cooldown_min_seconds, factor * away)

    def served(
        self, route: RouteState, hop: HopState, *, now: Moment, request: RequestId, trace: str
    ) -> list[Event]:
        """`hop` answers with content: does the route's pointer move to it?

        Down, when the pointer's target is gone; up, always. A request that only found that
        target short of keys moves nothing.
        """
        active = route.active
        if hop is active:
            return []
        gone = self._gone(active, now)
        if not gone and hop.index > active.index:
            return []
        kind = SwitchKind.FORCED if gone else SwitchKind.RETURN
        hold = active.hold.cooldown
        cause = hold or active.target.spot.cooldown or active.target.provider.spot.cooldown
        reason = (cause.reason if cause else "unavailable") if gone else "hold_ended"
        event = Switched(
            ts=now.timestamp,
            request_id=request,
            trace_id=trace,
            route=route.chain.label,
            from_target=active.target.name,
            to_target=hop.target.name,
            switch=kind,
            reason=reason,
            dwell_seconds=now.instant - route.active_since,
            hold_seconds=max(0.0, hold.until - now.instant) if hold else 0.0,
            penalty=0.0,
            reversal=route.last_move == (hop.target.name, active.target.name),
        )
        route.last_move = (active.target.name, hop.target.name)
        route.active = hop
        route.active_since = now.instant
        return [event]

    def _gone(self, hop: HopState, now: Moment) -> bool:
        """Whether the pointer has reason to leave `hop`."""
        if hop.hold.rests(now.instant):
            return True
        return self.ready_in(hop, now) > hop.stability.long_unavailable_seconds

    # -- time ----------------------------------------------------------------------------------

    def ready_in(self, hop: HopState, now: Moment) -> float:
        """Seconds until the soonest credential of the target may be tried; 0 if one may now."""
        target = hop.target
        whole = max(_left(target.provider.spot, now), _left(target.spot, now))
        each = (_credential_left(target, key, now) for key in target.provider.credentials)
        return max(whole, min(each, default=0.0))

    def credential_rest(
        self, target: TargetState, credential: CredentialState, now: Moment
    ) -> Spot | None:
        """What keeps this credential from this target's model, the longest rest of several."""
        name = target.provider.groups.get(target.model, target.model)
        spots = (credential.spot, credential.models.get(name))
        resting = [spot for spot in spots if spot is not None and spot.rests(now.instant)]
        return max(resting, key=lambda spot: _left(spot, now), default=None)

    def _watch(self, spot: Spot) -> None:
        if spot.cooldown is not None:
            self._resting[spot.place] = spot
            self._next_expiry = min(self._next_expiry, spot.cooldown.until)

    def expire(self, now: Moment) -> list[Event]:
        """Tell of every rest that is over. Cheap when there is none; call it often."""
        if now.instant < self._next_expiry:
            return []
        events: list[Event] = []
        for place, spot in list(self._resting.items()):
            events += spot.expire(now)
            if spot.cooldown is None:
                del self._resting[place]
        ends = (spot.cooldown.until for spot in self._resting.values() if spot.cooldown)
        self._next_expiry = min(ends, default=Instant(float("inf")))
        return events

    def resting(self) -> Iterable[Spot]:
        """Every place that rests, holds included."""
        return self._resting.values()


def _held(hop: HopState) -> Skip:
    cooldown = hop.hold.cooldown
    assert cooldown is not None
    return Skip(hop, "", SkipReason.HELD, cooldown.reason, cooldown.until)


def _credential_blocked(hop: HopState, credential: CredentialState, now: Instant) -> Skip | None:
    provider = hop.target.provider
    name = provider.groups.get(hop.target.model, hop.target.model)
    for spot in (credential.spot, credential.models.get(name)):
        if spot is not None and spot.cooldown is not None and spot.rests(now):
            rest = spot.cooldown
            return Skip(hop, credential.name, SkipReason.COOLING, rest.reason, rest.until)
    if _full(credential.in_flight, credential.config.max_in_flight):
        return Skip(hop, credential.name, SkipReason.AT_CAPACITY)
    return None


def _full(in_flight: int, limit: int | None) -> bool:
    return limit is not None and in_flight >= limit


def _left(spot: Spot | None, now: Moment) -> float:
    if spot is None or spot.cooldown is None:
        return 0.0
    return max(0.0, spot.cooldown.until - now.instant)


def _credential_left(target: TargetState, credential: CredentialState, now: Moment) -> float:
    name = target.provider.groups.get(target.model, target.model)
    return max(_left(credential.spot, now), _left(credential.models.get(name), now))
