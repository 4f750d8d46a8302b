"""What the pool remembers of each provider, credential, target and route. Data; no decisions."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import Billing, Config, Credential, Provider, RouteTarget, Stability
from gateway.events import Scope
from gateway.routing.breaker import Breaker
from gateway.routing.cooldown import Place, Spot
from gateway.routing.directory import Chain
from gateway.units import Instant

BILLING_RANK = {Billing.FREE: 0, Billing.FLAT: 1, Billing.METERED: 2}


class CredentialState:
    """One key of a provider, with a rest of its own and one per model or quota group."""

    __slots__ = ("config", "in_flight", "models", "order", "spot", "used")

    def __init__(self, provider: str, config: Credential, order: int) -> None:
        self.config = config
        self.order = order
        self.in_flight = 0
        self.used = 0
        self.spot = Spot(Place(Scope.CREDENTIAL, provider, credential=config.name))
        self.models: dict[str, Spot] = {}

    @property
    def name(self) -> str:
        return self.config.name


class ProviderState:
    __slots__ = ("config", "credentials", "groups", "in_flight", "spot", "stability")

    def __init__(self, config: Provider, stability: Stability) -> None:
        self.config = config
        self.stability = stability
        self.in_flight = 0
        self.spot = Spot(Place(Scope.PROVIDER, config.name))
        ordered = sorted(config.credentials, key=lambda each: each.priority)
        self.credentials = [
            CredentialState(config.name, each, order) for order, each in enumerate(ordered)
        ]
        """Best tier first, inside a tier in the file's order."""
        self.groups = {
            model: group for group, models in config.quota_groups.items() for model in models
        }

    @property
    def name(self) -> str:
        return self.config.name

    def model_spot(self, credential: CredentialState, model: str) -> Spot:
        """Where a limit of this credential on this model (or its quota group) is kept."""
        group = self.groups.get(model)
        name = group or model
        spot = credential.models.get(name)
        if spot is None:
            scope = Scope.QUOTA_GROUP if group else Scope.CREDENTIAL_MODEL
            spot = Spot(Place(scope, self.name, name, credential.name))
            credential.models[name] = spot
        return spot


class TargetState:
    """One provider's one model, shared by every route that names it."""

    __slots__ = ("breaker", "current", "model", "name", "provider", "spot")

    def __init__(self, provider: ProviderState, model: str) -> None:
        self.provider = provider
        self.model = model
        self.name = f"{provider.name}/{model}"
        self.spot = Spot(Place(Scope.TARGET, provider.name, model))
        self.breaker = Breaker()
        self.current: CredentialState | None = None
        """The key that `sequential` rotation is draining."""


class HopState:
    """A target's place on one route, with the fallback cooldown it has there."""

    __slots__ = ("config", "hold", "index", "stability", "target")

    def __init__(
        self,
        index: int,
        config: RouteTarget,
        target: TargetState,
        *,
        route: str,
        stability: Stability,
    ) -> None:
        self.index = index
        self.config = config
        self.target = target
        self.stability = stability
        """Of the hold: the route's over the provider's over the global parameters."""
        place = Place(Scope.TARGET, target.provider.name, target.model, route=route)
        self.hold = Spot(place)


class RouteState:
    """A chain with its pointer: the hop that serves it now."""

    __slots__ = ("active", "active_since", "chain", "hops", "last_move")

    def __init__(self, chain: Chain, hops: list[HopState], *, since: Instant) -> None:
        self.chain = chain
        self.hops = hops
        self.active = hops[0]
        self.active_since = since
        self.last_move: tuple[str, str] | None = None
        """From and to of the last switch; what makes the next one a reversal."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an attempt is made on."""

    hop: HopState
    credential: CredentialState

    @property
    def target(self) -> TargetState:
        return self.hop.target

    @property
    def key(self) -> tuple[str, str]:
        return (self.hop.target.name, self.credential.name)


def build_providers(config: Config) -> dict[str, ProviderState]:
    return {
        name: ProviderState(provider, config.provider_stability(name))
        for name, provider in config.providers.items()
    }
