"""The state of all providers, targets and routes of one configuration, and the only door to it.

The questions are answered by `choosing` and `readiness`, rests are made by `resting`, moves of a
route's pointer by `pointer`. Here is what is shared: who exists, who is in flight.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from gateway.config import Config
from gateway.events import Event, Failure
from gateway.routing import choosing, pointer, readiness
from gateway.routing.choosing import Skip, Speaks, Wanted
from gateway.routing.cooldown import Cooldown, Spot, Trigger
from gateway.routing.directory import Chain, Directory
from gateway.routing.resting import Blamed, Rests
from gateway.routing.state import (
    Candidate,
    CredentialState,
    HopState,
    ProviderState,
    RouteState,
    TargetState,
    build_providers,
)
from gateway.units import Moment, RequestId

DIRECT_CHAINS_MAX = 1024
"""Chains of `provider/model` names kept; client text may not grow memory without bound."""
TARGETS_MAX = 4096


class Pool:
    """Only its methods change what it holds; none of them waits."""

    def __init__(self, config: Config, *, rng: Random, now: Moment, speaks: Speaks) -> None:
        self.config = config
        self.directory = Directory(config)
        self.providers: dict[str, ProviderState] = build_providers(config)
        self._rng = rng
        self._speaks = speaks
        self._rests = Rests(rng)
        self._targets: dict[str, TargetState] = {}
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

    # -- asking --------------------------------------------------------------------------------

    def choose(
        self, route: RouteState, wanted: Wanted, now: Moment
    ) -> tuple[Candidate | None, list[Skip]]:
        """The candidate for the next attempt, and those passed over for it, in route order."""
        return choosing.choose(route, wanted, now, speaks=self._speaks, rng=self._rng)

    def ready_in(self, hop: HopState, now: Moment) -> float:
        """Seconds until the soonest credential of the target may be tried; 0 if one may now."""
        return readiness.ready_in(hop, now.instant)

    def credential_rest(
        self, target: TargetState, credential: CredentialState, now: Moment
    ) -> Cooldown | None:
        """What keeps this credential from this target's model, the rest that ends last."""
        return readiness.credential_rest(target, credential, now.instant)

    def resting(self) -> Iterable[Spot]:
        """Every place that rests, holds included."""
        return self._rests.all()

    # -- reporting -----------------------------------------------------------------------------

    def take(self, candidate: Candidate) -> None:
        """An attempt begins; every take is followed by exactly one `give_back`."""
        credential, target = candidate.credential, candidate.target
        draining = target.current
        if draining is None or not choosing.full(draining.in_flight, draining.config.max_in_flight):
            # An attempt that another key takes for want of room does not end the draining.
            target.current = credential
        credential.in_flight += 1
        credential.used += 1
        target.provider.in_flight += 1

    def give_back(self, candidate: Candidate) -> None:
        candidate.credential.in_flight -= 1
        candidate.target.provider.in_flight -= 1
        assert candidate.credential.in_flight >= 0
        assert candidate.target.provider.in_flight >= 0

    def good(self, candidate: Candidate, now: Moment) -> None:
        """A whole answer: evidence of health."""
        target = candidate.target
        target.breaker.good(stability=target.provider.stability, now=now.instant)

    def bad(
        self, candidate: Candidate, blamed: Blamed, *, now: Moment, request: str, attempt: str
    ) -> list[Event]:
        """Lets rest what the failure blames, and nothing else."""
        trigger = Trigger(blamed.failure.value, request, attempt)
        return self._rests.fail(candidate, blamed, now=now, trigger=trigger)

    def left(
        self, route: RouteState, hop: HopState, failure: Failure, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        """A request leaves `hop` for another target of the route; see `pointer.left`."""
        if len(route.hops) == 1:
            return []
        events = pointer.left(hop, failure, now=now, trigger=trigger, rng=self._rng)
        self._rests.watch(hop.hold)
        return events

    def served(
        self, route: RouteState, hop: HopState, *, now: Moment, request: RequestId, trace: str
    ) -> list[Event]:
        """`hop` answers with content: the route's pointer may move; see `pointer.served`."""
        before = route.active
        events = pointer.served(route, hop, now=now, request=request, trace=trace, rng=self._rng)
        self._rests.watch(before.hold)
        return events

    # -- time ----------------------------------------------------------------------------------

    def expire(self, now: Moment) -> list[Event]:
        """Tell of every rest that is over. Cheap when there is none; call it often."""
        return self._rests.expire(now)
