"""The state of all providers, targets and routes of one configuration, and the only door to it.

The questions are answered by `choosing` and `readiness`, rests are made by `resting`, moves of a
route's pointer by `pointer`. Here is what is shared: who exists, who is in flight.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from gateway.config import Config, Provider
from gateway.events import CooldownEnd, Event, Failure, SwitchKind
from gateway.routing import choosing, pointer, probing, readiness
from gateway.routing.choosing import Choice, Speaks, Wanted
from gateway.routing.cooldown import Cooldown, Spot, Trigger
from gateway.routing.directory import Chain, Directory
from gateway.routing.policy import POLICY, Blame
from gateway.routing.resting import Blamed, Rests
from gateway.routing.retry_budget import RetryBudget
from gateway.routing.state import (
    Candidate,
    CredentialState,
    HopState,
    ProviderState,
    RouteState,
    TargetState,
    build_providers,
    first_able,
)
from gateway.routing.usual import usual
from gateway.routing.waiting import Waiting
from gateway.units import Moment

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
        self.rests = Rests(
            rng,
            providers=self._used(),
            window_seconds=config.stability.guard_window_seconds,
        )
        self.restless: dict[RouteState, None] = {}
        """Routes that flap or are pinned: their time has to be watched."""
        self.waiting = Waiting()
        self.budget = RetryBudget()
        self._targets: dict[str, TargetState] = {}
        self.routes: dict[str, RouteState] = {}
        for chain in self.directory.chains:
            self.routes[chain.name] = self._route(chain, now)
        self._direct: dict[str, RouteState] = {}

    def reconfigure(self, config: Config, now: Moment) -> list[Event]:
        """A new configuration for the same pool. Accounts, targets and routes that stay keep what
        is remembered of them; requests under way end on what they began with."""
        self.config = config
        self.directory = Directory(config)
        known, self.providers = self.providers, {}
        for name, fresh in build_providers(config).items():
            old = known.get(name)
            if old is not None and _same_account(old.config, fresh.config):
                old.reconfigure(fresh.config, fresh.stability)
                self.providers[name] = old
            else:
                self.providers[name] = fresh
        self._targets = {
            name: target
            for name, target in self._targets.items()
            if self.providers.get(target.provider.name) is target.provider
        }
        for target in self._targets.values():
            target.spot.decay_seconds = target.provider.stability.ladder_decay_seconds
        events: list[Event] = []
        routes, self.routes = self.routes, {}
        for chain in self.directory.chains:
            self.routes[chain.name] = self._rebuilt(chain, routes.get(chain.name), now, events)
        direct, self._direct = self._direct, {}
        for name, old_route in direct.items():
            chain_now = self.directory.find(name)
            if chain_now is not None and name not in self.routes:
                self._direct[name] = self._rebuilt(chain_now, old_route, now, events)
        live = {*self.routes.values(), *self._direct.values()}
        self.restless = {route: None for route in self.restless if route in live}
        self.rests.watch_providers(
            self._used(), window_seconds=config.stability.guard_window_seconds
        )
        self.waiting.news()
        return events + self.rests.forget(self._spots(), now)

    def _rebuilt(
        self, chain: Chain, old: RouteState | None, now: Moment, events: list[Event]
    ) -> RouteState:
        fresh = self._route(chain, now)
        if old is None:
            return fresh
        known = {hop.target: hop for hop in old.hops}
        hops: list[HopState] = []
        for each in fresh.hops:
            hop = known.get(each.target, each)
            hop.index, hop.config, hop.stability = each.index, each.config, each.stability
            hop.hold.decay_seconds = each.hold.decay_seconds
            hops.append(hop)
        old.reconfigure(chain, hops)
        if old.active not in hops:
            events += pointer.move(old, first_able(hops), SwitchKind.OPERATOR, "reload", now=now)
        return old

    def _spots(self) -> set[Spot]:
        """Every place that exists under the present configuration."""
        spots = {target.spot for target in self._targets.values()}
        for provider in self.providers.values():
            spots.add(provider.spot)
            for key in provider.credentials:
                spots |= {key.spot, *key.models.values()}
        for route in (*self.routes.values(), *self._direct.values()):
            spots |= {hop.hold for hop in route.hops}
        return spots

    def _used(self) -> frozenset[str]:
        """The providers that some route leads to; all of them where there is no route."""
        used = {each.provider for chain in self.directory.chains for each in chain.targets}
        return frozenset(used or self.providers)

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

    def glimpse(self, name: str, now: Moment) -> RouteState | None:
        """The same for somebody who only looks: what had to be made for it is not kept."""
        known = self.routes.get(name) or self._direct.get(name)
        chain = None if known is not None else self.directory.find(name)
        return known if chain is None else self._route(chain, now, kept=False)

    def direct_routes(self) -> Iterable[RouteState]:
        return self._direct.values()

    def targets(self) -> Iterable[TargetState]:
        return self._targets.values()

    def target(self, name: str, now: Moment) -> TargetState | None:
        """By its `provider/model`; also one that nobody has asked for yet."""
        if name not in self._targets and name not in self.routes:
            self.route(name, now)
        return self._targets.get(name)

    def _route(self, chain: Chain, now: Moment, *, kept: bool = True) -> RouteState:
        hops = [
            HopState(
                index,
                each,
                self._target(each.provider, each.model, kept=kept),
                route=chain.name,
                stability=self.config.hold_stability(chain.route, each.provider),
            )
            for index, each in enumerate(chain.targets)
        ]
        return RouteState(chain, hops, since=now.instant)

    def _target(self, provider: str, model: str, *, kept: bool) -> TargetState:
        name = f"{provider}/{model}"
        target = self._targets.get(name)
        if target is None:
            target = TargetState(self.providers[provider], model)
            if kept:
                if len(self._targets) >= TARGETS_MAX:
                    self._forget_a_target()
                self._targets[name] = target
        return target

    def _forget_a_target(self) -> None:
        """Drop the oldest direct target that rests nowhere; a configured one stays for ever."""
        kept = {hop.target.name for route in self.routes.values() for hop in route.hops}
        for name, target in self._targets.items():
            at_peace = target.spot.cooldown is None and target.drained_until is None
            if name not in kept and at_peace:
                del self._targets[name]
                return

    # -- asking --------------------------------------------------------------------------------

    def choose(self, route: RouteState, wanted: Wanted, now: Moment) -> Choice:
        """The candidate for the next attempt, and those passed over for it."""
        candidate = usual(route, wanted, self._speaks, self._rng)
        if candidate is not None:
            return Choice(candidate, [])
        return choosing.choose(route, wanted, now, speaks=self._speaks, rng=self._rng)

    def explain(self, route: RouteState, wanted: Wanted, now: Moment, rng: Random) -> Choice:
        """What `choose` would say, drawing its lots from another `rng`: changes nothing."""
        candidate = usual(route, wanted, self._speaks, rng)
        if candidate is not None:
            return Choice(candidate, [])
        return choosing.choose(route, wanted, now, speaks=self._speaks, rng=rng)

    def able(self, route: RouteState, hop: HopState, wanted: Wanted, now: Moment) -> bool:
        """Whether the target could serve this request at its best."""
        blocked = choosing.unable(route, hop, wanted, now.instant, speaks=self._speaks)
        spent = hop.target.provider.name in wanted.spent
        return blocked is None and not spent and hop.target.name not in wanted.given_up

    def least_bad(self, route: RouteState, wanted: Wanted, now: Moment) -> Candidate | None:
        return choosing.least_bad(route, wanted, now, speaks=self._speaks)

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
        return self.rests.all()

    # -- reporting -----------------------------------------------------------------------------

    def arrive(
        self, route: RouteState, *, cold: bool, new_session: bool = False, now: Moment
    ) -> None:
        """A request has come."""
        self.budget.request(now.instant)
        if new_session:
            route.arrivals.append(now.instant)
        if cold:
            route.last_cold = now.instant

    def take(
        self,
        route: RouteState,
        candidate: Candidate,
        *,
        attempt: str,
        probe_seconds: float | None,
        now: Moment,
    ) -> None:
        """An attempt begins; every take is followed by exactly one `give_back`.

        `probe_seconds`: by when it is decided, where it is a probe.
        """
        credential, target = candidate.credential, candidate.hop.target
        draining = target.current
        # An attempt that another key takes for want of room does not end the draining, nor does a
        # key's test.
        if draining is None or (
            draining is not credential
            and probe_seconds is None
            and not readiness.full(draining.in_flight, draining.config.max_in_flight)
        ):
            target.current = credential
        credential.in_flight += 1
        credential.used += 1
        target.provider.in_flight += 1
        if probe_seconds is not None:
            probing.begin(route, candidate, attempt, probe_seconds, now.instant)

    def give_back(self, candidate: Candidate, attempt: str) -> None:
        provider, credential = candidate.hop.target.provider, candidate.credential
        credential.in_flight -= 1
        provider.in_flight -= 1
        assert credential.in_flight >= 0
        assert provider.in_flight >= 0
        if probing.give_back(candidate, attempt):
            self.waiting.news()
        self.waiting.room(provider)

    def served(
        self,
        route: RouteState,
        candidate: Candidate,
        *,
        probe: bool,
        now: Moment,
        trigger: Trigger,
        trace: str,
    ) -> list[Event]:
        """Content comes: a probe has proved its point, and the route's pointer may move."""
        events = self.rests.reached(candidate.hop.target.provider.name, now)
        if events:
            self.waiting.news()
        if probe:
            proved = probing.prove(candidate, trigger.attempt_id, now)
            if proved:
                # A rest proved too long, and with it the hold that was made from it.
                proved += candidate.hop.hold.end(CooldownEnd.PROBE, now=now)
            events += proved
            self.waiting.news()
        if candidate.hop not in route.hops:
            return events  # A reload has taken it away meanwhile.
        before = route.active
        if candidate.hop is not before:
            events += pointer.served(
                route, candidate.hop, now=now, trigger=trigger, trace=trace, rng=self._rng
            )
        if before.hold.cooldown is not None:
            self.rests.watch(before.hold)
        self._watch(route, before)
        return events

    def _watch(self, route: RouteState, hop: HopState) -> None:
        if hop.penalty.suppressed_since is not None:
            self.restless[route] = None

    def good(
        self, route: RouteState, candidate: Candidate, *, now: Moment, request: str, trace: str
    ) -> list[Event]:
        """A whole answer: evidence of health, and perhaps enough of it to return."""
        target = candidate.hop.target
        target.breaker.good(stability=target.provider.stability, now=now.instant)
        target.health.good()
        if candidate.hop is route.active or candidate.hop not in route.hops:
            return []
        return pointer.answered(route, candidate.hop, now=now, request=request, trace=trace)

    def bad(
        self,
        route: RouteState,
        candidate: Candidate,
        blamed: Blamed,
        *,
        probe: bool,
        now: Moment,
        trigger: Trigger,
    ) -> list[Event]:
        """Lets rest what the failure blames, and nothing else."""
        events = self.rests.fail(candidate, blamed, now=now, trigger=trigger)
        hop = candidate.hop
        if POLICY[blamed.failure].blame is Blame.NOBODY or hop not in route.hops:
            return events
        hop.evidence.reset()
        if probe and hop.index < route.active.index:
            probing.failed(route, hop, now.instant)
            events += pointer.penalize(route, hop, hop.stability.penalty_probe, now=now)
            self._watch(route, hop)
        return events

    def left(
        self, route: RouteState, hop: HopState, failure: Failure, *, now: Moment, trigger: Trigger
    ) -> list[Event]:
        """A request leaves `hop` for another target of the route; see `pointer.left`."""
        if len(route.hops) == 1 or hop not in route.hops or self.rests.network.away:
            return []
        events = pointer.left(hop, failure, now=now, trigger=trigger, rng=self._rng)
        self.rests.watch(hop.hold)
        return events

    # -- time ----------------------------------------------------------------------------------

    def expire(self, now: Moment) -> list[Event]:
        """Tell of every rest, suppression and pin that is over. Cheap; call it often."""
        events = self.rests.expire(now)
        if not self.restless:
            return events
        for route in list(self.restless):
            events += pointer.relax(route, now)
            events += pointer.unpin_over(route, now)
            if route.pin is None and not any(
                hop.penalty.suppressed_since is not None for hop in route.hops
            ):
                del self.restless[route]
        return events


def _same_account(old: Provider, new: Provider) -> bool:
    return (old.dialect, old.base_url) == (new.dialect, new.base_url)
