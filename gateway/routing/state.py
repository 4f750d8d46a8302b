"""What the pool remembers of each provider, credential, target and route. Data; no decisions."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import Billing, Config, Credential, Provider, RouteTarget, Stability
from gateway.events import Scope
from gateway.routing.breaker import Breaker
from gateway.routing.cooldown import Place, Spot
from gateway.routing.directory import Chain
from gateway.units import Instant

LIMITS_MAX = 256
"""Models of one credential remembered before those at peace are forgotten: model names can be a
client's text, and may not grow memory without bound."""
BILLING_RANK = {Billing.FREE: 0, Billing.FLAT: 1, Billing.METERED: 2}


class CredentialState:
    """One key of a provider, with a rest of its own and one per model or quota group."""

    __slots__ = ("config", "in_flight", "models", "order", "spot", "used")

    def __init__(
        self, provider: str, config: Credential, order: int, *, decay_seconds: float
    ) -> None:
        self.config = config
        self.order = order
        self.in_flight = 0
        self.used = 0
        place = Place(Scope.CREDENTIAL, provider, credential=config.name)
        self.spot = Spot(place, decay_seconds=decay_seconds)
        self.models: dict[str, Spot] = {}
        """By model or quota group, made by its first limit."""

    @property
    def name(self) -> str:
        return self.config.name


class ProviderState:
    __slots__ = ("config", "credentials", "groups", "in_flight", "spot", "stability")

    def __init__(self, config: Provider, stability: Stability) -> None:
        self.config = config
        self.stability = stability
        self.in_flight = 0
        decay = stability.ladder_decay_seconds
        self.spot = Spot(Place(Scope.PROVIDER, config.name), decay_seconds=decay)
        ordered = sorted(config.credentials, key=lambda each: each.priority)
        self.credentials = [
            CredentialState(config.name, each, order, decay_seconds=decay)
            for order, each in enumerate(ordered)
        ]
        """Best tier first, inside a tier in the file's order."""
        self.groups = {
            model: group for group, models in config.quota_groups.items() for model in models
        }

    @property
    def name(self) -> str:
        return self.config.name

    def limit_name(self, model: str) -> str:
        """What a limit on `model` is kept under: its quota group, else the model itself."""
        return self.groups.get(model, model)

    def limit_spot(self, credential: CredentialState, model: str) -> Spot:
        """Where a limit of this credential on this model (or its quota group) is kept."""
        name = self.limit_name(model)
        spot = credential.models.get(name)
        if spot is None:
            if len(credential.models) >= LIMITS_MAX:
                _forget_peaceful(credential.models)
            scope = Scope.QUOTA_GROUP if model in self.groups else Scope.CREDENTIAL_MODEL
            spot = Spot(
                Place(scope, self.name, name, credential.name),
                decay_seconds=self.stability.ladder_decay_seconds,
            )
            credential.models[name] = spot
        return spot


class TargetState:
    """One provider's one model, shared by every route that names it."""

    __slots__ = ("breaker", "current", "model", "name", "provider", "spot")

    def __init__(self, provider: ProviderState, model: str) -> None:
        self.provider = provider
        self.model = model
        self.name = f"{provider.name}/{model}"
        self.spot = Spot(
            Place(Scope.TARGET, provider.name, model),
            decay_seconds=provider.stability.ladder_decay_seconds,
        )
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
        self.hold = Spot(place, decay_seconds=stability.ladder_decay_seconds)


class RouteState:
    """A chain with its pointer: the hop that serves it now."""

    __slots__ = ("active", "active_since", "chain", "hops", "last_move")

    def __init__(self, chain: Chain, hops: list[HopState], *, since: Instant) -> None:
        self.chain = chain
        self.hops = hops
        # A target without any credential never serves, so it never holds the pointer.
        self.active = next((hop for hop in hops if hop.target.provider.credentials), hops[0])
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


def _forget_peaceful(spots: dict[str, Spot]) -> None:
    """Drop what rests nowhere; its ladder starts afresh."""
    for name in [name for name, spot in spots.items() if spot.cooldown is None]:
        del spots[name]
