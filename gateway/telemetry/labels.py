"""Which label values a configuration allows: the series that exist from the start, and no others.

Client text never gets in: a model nobody configured is `other`. What a request for
`provider/model` does has the route `direct`, whose targets are told as `provider/*`: their models
are the client's choice, and the pairs of all of them would be too many series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product
from typing import Final

from gateway.config import Config, Provider, Route
from gateway.events import (
    AttemptOutcome,
    CooldownSource,
    Failure,
    RequestOutcome,
    Scope,
    SkipReason,
    SwitchKind,
)
from gateway.routing.directory import DIRECT
from gateway.routing.policy import POLICY, Blame
from gateway.routing.resting import NETWORK, POOL_WIDE
from gateway.telemetry import catalogue
from gateway.telemetry.catalogue import ANY, OTHER, Metric

NO_ROUTE: Final = ""
"""Of requests that found none; as in the history."""
Values = tuple[str, ...]

TRIED: Final = tuple(each for each in AttemptOutcome if each is not AttemptOutcome.SKIPPED)
ENDINGS: Final = (
    (AttemptOutcome.OK.value, ""),
    (AttemptOutcome.CANCELLED.value, Failure.CANCELLED.value),
    *((AttemptOutcome.FAILED.value, each.value) for each in Failure if each != "cancelled"),
)
"""Outcome and failure of an attempt."""
MOVING: Final = tuple(each for each, rule in POLICY.items() if rule.blame is not Blame.NOBODY)
"""Failures for which a target or credential rests, or is left for another one."""
ROTATING: Final = tuple(each for each, rule in POLICY.items() if rule.next_credential)
UNAVAILABLE: Final = "unavailable"
"""Of a forced switch: no rest told why."""
OPERATOR: Final = "operator"
SWITCH_REASONS: Final = {
    SwitchKind.FORCED: frozenset((*MOVING, POOL_WIDE, UNAVAILABLE, OTHER)),
    SwitchKind.RETURN: frozenset(catalogue.RETURN_REASONS),
    SwitchKind.OPERATOR: frozenset((OPERATOR,)),
}
OTHER_RESTS: Final = (
    (Scope.PROVIDER, POOL_WIDE, CooldownSource.LADDER),
    (Scope.TARGET, NETWORK, CooldownSource.LADDER),
    (Scope.TARGET, POOL_WIDE, CooldownSource.HOLD),
    (Scope.TARGET, OPERATOR, CooldownSource.OPERATOR),
)
"""Cooldowns that are no answer to one failure: scope, reason, source."""
OF_PLACES: Final = (
    catalogue.ROUTE_ACTIVE,
    catalogue.ROUTE_POSITION,
    catalogue.TARGET_STATE,
    catalogue.FLAP_PENALTY,
    catalogue.FLAP_SUPPRESS_AT,
    catalogue.FLAP_REUSE_AT,
)
OF_CREDENTIALS: Final = (
    catalogue.CREDENTIAL_STATE,
    catalogue.CREDENTIAL_READY,
    catalogue.CREDENTIAL_MODELS,
    catalogue.CREDENTIAL_IN_FLIGHT,
)
PASSED_OVER: Final = (
    SkipReason.AT_CAPACITY,
    SkipReason.BILLING_CLASS,
    SkipReason.CONTEXT_SIZE,
    SkipReason.DIALECT,
)
"""Reasons for a fallback that are no failure; which of them can occur depends on the route."""


class Labels:
    """The label values of one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.models = {
            (target.provider, target.model) for route in config.routes for target in route.targets
        }
        for name, provider in config.providers.items():
            self.models |= {(name, model) for model in provider.models.list}
        self._routes = {
            route.name: frozenset(target.target for target in route.targets)
            for route in config.routes
        }

    def route(self, name: str) -> str:
        """As given where it is one of ours, else the label of requests without one."""
        return name if name in self._routes or name == DIRECT else NO_ROUTE

    def provider(self, name: str) -> str:
        return name if name in self._config.providers else OTHER

    def credential(self, provider: str, credential: str) -> bool:
        """Whether the configuration names it."""
        found = self._config.providers.get(provider)
        return found is not None and any(each.name == credential for each in found.credentials)

    def model(self, provider: str, model: str) -> str:
        return model if (provider, model) in self.models else OTHER

    def place(self, scope: Scope, provider: str, model: str) -> str:
        """What rests, as a target; `provider/*` where it is no single model."""
        one = bool(model) and scope is not Scope.QUOTA_GROUP
        return f"{provider}/{self.model(provider, model) if one else ANY}"

    def hop(self, route: str, target: str) -> str:
        """A target as seen from a route."""
        if target in self._routes.get(route, ()):
            return target
        return f"{self.provider(target.partition('/')[0])}/{ANY}"

    # -- what exists from the start ------------------------------------------------------------

    def series(self) -> Iterator[tuple[Metric, Values]]:
        """Every metric with every combination of values, state and own health included."""
        yield from self._of_routes()
        yield from self._of_moves()
        yield from self._of_models()
        yield from self._of_cooldowns()
        for metric in catalogue.METRICS:
            if not metric.labels:
                yield metric, ()
        yield from ((catalogue.OVERHEAD, (phase,)) for phase in catalogue.PHASES)

    def count(self) -> int:
        """Lines of the exposition, sinks, build and configuration version left out."""
        return sum(len(metric.buckets) + 3 if metric.buckets else 1 for metric, _ in self.series())

    def _of_routes(self) -> Iterator[tuple[Metric, Values]]:
        for route in (*self._routes, DIRECT, NO_ROUTE):
            for outcome in RequestOutcome:
                yield catalogue.REQUESTS, (route, outcome)
            for stream in catalogue.STREAM.values():
                yield catalogue.REQUEST_DURATION, (route, stream)
        for route in (*self._routes, DIRECT):
            yield catalogue.RESCUES, (route,)
            yield catalogue.REVERSALS, (route,)
            yield catalogue.FALLBACK_COST, (route,)
            for kind in catalogue.SESSION_MOVE_KINDS:
                yield catalogue.SESSION_MOVES, (route, kind)
                yield catalogue.CACHE_LOST, (route, kind)
            for target, result in product(self._hops(route), TRIED):
                yield catalogue.PROBES, (route, target, result)
        for route, targets in self._routes.items():
            for metric in (
                catalogue.ROUTE_CANDIDATES,
                catalogue.ROUTE_CONFIGURED,
                catalogue.ROUTE_LAST_SWITCH,
                catalogue.FLAPPING,
                catalogue.QUEUE_WAITERS,
                catalogue.DWELL,
            ):
                yield metric, (route,)
            for metric, target in product(OF_PLACES, sorted(targets)):
                yield metric, (route, target)

    def _hops(self, route: str) -> Iterable[str]:
        if route == DIRECT:
            return [f"{provider}/{ANY}" for provider in self._config.providers]
        return sorted(self._routes[route])

    def _of_moves(self) -> Iterator[tuple[Metric, Values]]:
        for route in self._config.routes:
            names = [target.target for target in route.targets]
            reasons = (*MOVING, *self._passed_over(route), OTHER)
            for origin, to in permutations(names, 2):
                upward = names.index(to) < names.index(origin)
                yield from _moves(route.name, origin, to, reasons, upward=upward)
        for origin, to in sorted(self._direct_pairs()):
            reasons = (*MOVING, SkipReason.AT_CAPACITY, SkipReason.DIALECT, OTHER)
            yield from _moves(DIRECT, f"{origin}/{ANY}", f"{to}/{ANY}", reasons, upward=True)

    def _passed_over(self, route: Route) -> Iterator[str]:
        """Reasons, other than failures, for which targets of this route can be passed over."""
        providers = [self._config.providers[target.provider] for target in route.targets]
        if any(_limited(provider) for provider in providers):
            yield SkipReason.AT_CAPACITY
        if not route.allow_metered_fallback:
            yield SkipReason.BILLING_CLASS
        if any(target.context_tokens is not None for target in route.targets):
            yield SkipReason.CONTEXT_SIZE
        if len({provider.dialect for provider in providers}) > 1:
            yield SkipReason.DIALECT
        if route.fallback_on_context_too_long:
            yield Failure.CONTEXT_TOO_LONG

    def _direct_pairs(self) -> set[tuple[str, str]]:
        """Providers between which a request for `provider/model` may move."""
        fallback = self._config.fallback
        pairs: set[tuple[str, str]] = set()
        for first in self._config.providers:
            found, fresh = {first}, [first]
            while fresh:
                beyond = set(fallback.compatible.get(fresh.pop(), ())) - found
                found |= beyond
                fresh += beyond
            for group in fallback.groups:
                members = [target.partition("/")[0] for target in group]
                pairs |= set(permutations(members, 2))
                found |= set(members) if first in members else set()
            pairs |= set(permutations(found, 2))
        return pairs

    def _of_models(self) -> Iterator[tuple[Metric, Values]]:
        for name, provider in self._config.providers.items():
            known = sorted(model for owner, model in self.models if owner == name)
            for model in (*known, *((OTHER,) if _open(provider) else ())):
                for ending in ENDINGS:
                    yield catalogue.ATTEMPTS, (name, model, *ending)
                for kind in catalogue.TOKEN_KINDS.values():
                    yield catalogue.TOKENS, (name, model, kind)
                for metric in (catalogue.ATTEMPT_DURATION, catalogue.FIRST_TOKEN, catalogue.COST):
                    yield metric, (name, model)
                yield catalogue.RELAPSES, (f"{name}/{model}",)
                for scope in (Scope.CREDENTIAL_MODEL, Scope.TARGET):
                    yield catalogue.COOLDOWN_UNTIL, (name, f"{name}/{model}", scope)
            yield catalogue.PROVIDER_INFO, (name, provider.billing, provider.dialect)
            for metric, credential in product(OF_CREDENTIALS, provider.credentials):
                yield metric, (name, credential.name)
            if len(provider.credentials) > 1:
                for reason in ROTATING:
                    yield catalogue.ROTATIONS, (name, reason)

    def _of_cooldowns(self) -> Iterator[tuple[Metric, Values]]:
        for name, provider in self._config.providers.items():
            yield catalogue.RELAPSES, (f"{name}/{ANY}",)
            grouped = (Scope.QUOTA_GROUP,) if provider.quota_groups else ()
            for scope in (Scope.PROVIDER, Scope.CREDENTIAL, *grouped):
                yield catalogue.COOLDOWN_UNTIL, (name, f"{name}/{ANY}", scope)
            for scope, reason, source in OTHER_RESTS:
                yield catalogue.COOLDOWNS, (name, scope, reason, source)
            for failure in MOVING:
                yield catalogue.COOLDOWNS, (name, Scope.TARGET, failure, CooldownSource.HOLD)
                scopes: tuple[Scope, ...] = (Scope.TARGET,)
                if POLICY[failure].blame is Blame.CAPACITY:
                    scopes = (Scope.CREDENTIAL, Scope.CREDENTIAL_MODEL, *grouped)
                for scope in scopes:
                    yield catalogue.COOLDOWNS, (name, scope, failure, CooldownSource.LADDER)
                    yield catalogue.COOLDOWNS, (name, scope, failure, CooldownSource.STATED)


def _moves(
    route: str, origin: str, to: str, reasons: Iterable[str], *, upward: bool
) -> Iterator[tuple[Metric, Values]]:
    for reason in reasons:
        yield catalogue.FALLBACKS, (route, origin, to, reason)
    for kind, why in SWITCH_REASONS.items():
        if upward or kind is not SwitchKind.RETURN:
            for reason in sorted(why):
                yield catalogue.SWITCHES, (route, origin, to, kind, reason)


def _limited(provider: Provider) -> bool:
    own = (credential.max_in_flight for credential in provider.credentials)
    return any(limit is not None for limit in (provider.max_in_flight, *own))


def _open(provider: Provider) -> bool:
    """Whether it may be asked for models that the configuration does not name."""
    return bool(provider.models.allow) or not provider.models.list
