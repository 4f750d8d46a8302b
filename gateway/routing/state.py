"""What the pool remembers of each provider, credential, target and route. Data; no decisions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from msgspec import Struct

from gateway.config import Billing, Config, Credential, Provider, RouteTarget, Stability
from gateway.events import Scope
from gateway.routing.affinity import Sessions
from gateway.routing.breaker import Breaker
from gateway.routing.cooldown import Lease, Place, Spot, Unrest
from gateway.routing.damping import Moves, Penalty
from gateway.routing.directory import Chain
from gateway.routing.guard import PoolGuard
from gateway.units import Instant

LIMITS_MAX = 256
"""Models of one credential remembered before those at peace are forgotten: model names can be a
client's text, and may not grow memory without bound."""
NEVER_YET = Instant(0.0)
FOR_GOOD = Instant(float("inf"))
"""Until somebody undoes it."""
OUTCOMES_KEPT = 50
"""Of one target, for judging whether it is stable enough for sessions to come home."""
ARRIVALS_KEPT = 32
"""Of new sessions on one route: enough to tell whether more than a few come a minute."""
NOT_LOOKED = (-1, False)
"""Nobody has looked yet whether all keys are at peace."""
BILLING_RANK = {Billing.FREE: 0, Billing.FLAT: 1, Billing.METERED: 2}


class CredentialState:
    """One key of a provider, with a rest of its own and one per model or quota group."""

    __slots__ = ("config", "in_flight", "models", "name", "order", "spot", "used")

    def __init__(
        self,
        provider: str,
        config: Credential,
        order: int,
        *,
        decay_seconds: float,
        unrest: Unrest,
    ) -> None:
        self.name = config.name
        self.config = config
        self.order = order
        self.in_flight = 0
        self.used = 0
        place = Place(Scope.CREDENTIAL, provider, credential=config.name)
        self.spot = Spot(place, decay_seconds=decay_seconds, unrest=unrest)
        self.models: dict[str, Spot] = {}
        """By model or quota group, made by its first limit."""

    def why_resting(self, now: Instant) -> str:
        """Of any of its rests that run; empty if there is none."""
        rests = (spot.running(now) for spot in (self.spot, *self.models.values()))
        return next((rest.reason for rest in rests if rest is not None), "")


class ProviderState:
    __slots__ = (
        "best_tier",
        "capped",
        "config",
        "credentials",
        "groups",
        "guard",
        "in_flight",
        "name",
        "queue",
        "spot",
        "stability",
        "unrest",
    )

    def __init__(self, config: Provider, stability: Stability) -> None:
        self.config = config
        self.name = config.name
        self.stability = stability
        self.in_flight = 0
        self.unrest = Unrest()
        self.guard = PoolGuard()
        self.queue: dict[str, None] = {}
        """Requests that wait for a place of its caps, first come first served."""
        decay = stability.ladder_decay_seconds
        self.spot = Spot(Place(Scope.PROVIDER, config.name), decay_seconds=decay)
        ordered = sorted(config.credentials, key=lambda each: each.priority)
        self.credentials = [
            CredentialState(config.name, each, order, decay_seconds=decay, unrest=self.unrest)
            for order, each in enumerate(ordered)
        ]
        """Best tier first, inside a tier in the file's order."""
        self.groups = _groups(config)
        self._summarise()

    def reconfigure(self, config: Provider, stability: Stability) -> None:
        """The same account under a new configuration: credentials that stay keep their state."""
        known = {(key.name, key.config.key.reveal()): key for key in self.credentials}
        self.config, self.stability, self.groups = config, stability, _groups(config)
        self.unrest.changes += 1  # Other keys, or other groups: what was found holds no more.
        decay = stability.ladder_decay_seconds
        self.spot.decay_seconds = decay
        self.credentials = []
        for order, each in enumerate(sorted(config.credentials, key=lambda key: key.priority)):
            key = known.get((each.name, each.key.reveal()))
            if key is None:
                key = CredentialState(
                    config.name, each, order, decay_seconds=decay, unrest=self.unrest
                )
            key.config, key.order = each, order
            for spot in (key.spot, *key.models.values()):
                spot.decay_seconds = decay
            self.credentials.append(key)
        self._summarise()

    def _summarise(self) -> None:
        keys = self.credentials
        self.capped = any(key.config.max_in_flight is not None for key in keys)
        """Some key has a cap of its own."""
        self.best_tier = [key for key in keys if key.config.priority == keys[0].config.priority]

    def limit_name(self, model: str) -> str:
        """What a limit on `model` is kept under: its quota group, else the model itself."""
        return self.groups.get(model, model)

    def limit_spot(self, credential: CredentialState, model: str) -> Spot:
        """Where a limit of this credential on this model (or its quota group) is kept."""
        return self.limit_spot_named(
            credential, self.limit_name(model), grouped=model in self.groups
        )

    def limit_spot_named(self, credential: CredentialState, name: str, *, grouped: bool) -> Spot:
        """The same, by the name of the model or group itself."""
        spot = credential.models.get(name)
        if spot is None:
            if len(credential.models) >= LIMITS_MAX:
                _forget_peaceful(credential.models)
            scope = Scope.QUOTA_GROUP if grouped else Scope.CREDENTIAL_MODEL
            spot = Spot(
                Place(scope, self.name, name, credential.name),
                decay_seconds=self.stability.ladder_decay_seconds,
                unrest=self.unrest,
            )
            credential.models[name] = spot
        return spot


@dataclass(slots=True)
class Health:
    """The last outcomes of a target, whatever route they came by."""

    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=OUTCOMES_KEPT))
    last_bad: Instant | None = None

    def good(self) -> None:
        self.outcomes.append(True)

    def bad(self, now: Instant) -> None:
        self.outcomes.append(False)
        self.last_bad = now

    def share(self) -> float:
        return sum(self.outcomes) / len(self.outcomes) if self.outcomes else 0.0


class TargetState:
    """One provider's one model, shared by every route that names it."""

    __slots__ = (
        "at_peace",
        "breaker",
        "current",
        "drained_until",
        "health",
        "lease",
        "model",
        "name",
        "provider",
        "spot",
    )

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
        self.health = Health()
        self.lease: Lease | None = None
        """The one probe in flight, whatever it tests of the target."""
        self.drained_until: Instant | None = None
        """An operator lets it take no new request until then; `FOR_GOOD`: until it is undone."""
        self.at_peace = NOT_LOOKED
        """A count of the provider's `unrest`, and whether at it every key was at peace for this
        model. Kept by `readiness`."""

    def probed(self, now: Instant) -> bool:
        return self.lease is not None and self.lease.until > now

    def drained(self, now: Instant) -> bool:
        return self.drained_until is not None and self.drained_until > now


@dataclass(slots=True)
class Evidence:
    """What speaks for going back to a better target."""

    good: int = 0
    """Good answers since the last failure."""
    since: Instant | None = None
    """Of the first of them."""
    gap: float = 0.0
    """Seconds to the next probe; 0 = the configured first gap."""
    next_probe: Instant = NEVER_YET

    asked: float = 0.0
    """Seconds of good answers that the next return needs, where that is more than usual."""
    well_since: Instant | None = None
    """Of a target that the route has returned to: since when it had been well."""
    setbacks: int = 0
    """How often what spoke for it came to nothing."""

    def reset(self) -> None:
        """A failure: whatever spoke for it counts no more."""
        self.setbacks += self.good > 0
        self.good, self.since = 0, None


class HopState:
    """A target's place on one route: its fallback cooldown, penalty and evidence there."""

    __slots__ = ("config", "evidence", "hold", "index", "penalty", "stability", "target")

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
        self.penalty = Penalty()
        self.evidence = Evidence()


@dataclass(slots=True)
class Pin:
    """An operator's choice; the route goes back to `before` when it is over."""

    hop: HopState
    until: Instant
    before: HopState


class Ramp(Struct, frozen=True, gc=False):
    """After a return only a growing share of new sessions follows at once."""

    since: Instant
    origin: HopState


class RouteState:
    """A chain with its pointer (the hop that serves it now), its sessions, and its moves."""

    __slots__ = (
        "active",
        "active_since",
        "arrivals",
        "chain",
        "hops",
        "last_cold",
        "last_move",
        "moves",
        "pin",
        "ramp",
        "sessions",
        "waiting",
    )

    def __init__(self, chain: Chain, hops: list[HopState], *, since: Instant) -> None:
        self.chain = chain
        self.hops = hops
        self.active = first_able(hops)
        self.active_since = since
        self.last_move: tuple[str, str] | None = None
        """From and to of the last switch; what makes the next one a reversal."""
        self.moves = Moves()
        self.sessions = Sessions()
        self.pin: Pin | None = None
        self.ramp: Ramp | None = None
        self.arrivals: deque[Instant] = deque(maxlen=ARRIVALS_KEPT)
        self.last_cold = since
        """When the last request came that had no warm cache to lose."""
        self.waiting = 0
        """Requests that wait for something to become ready."""

    def reconfigure(self, chain: Chain, hops: list[HopState]) -> None:
        """The same route with other targets: what it remembers of those that stay is kept.

        The pointer is left where it is, be it on a target that is gone.
        """
        self.chain, self.hops = chain, hops
        self.sessions.keep(hops)
        if self.pin is not None and self.pin.hop not in hops:
            self.pin = None
        if self.pin is not None and self.pin.before not in hops:
            self.pin.before = self.pin.hop
        if self.ramp is not None and self.ramp.origin not in hops:
            self.ramp = None

    def pinned(self, now: Instant) -> HopState | None:
        return self.pin.hop if self.pin is not None and self.pin.until > now else None


class Candidate(Struct, frozen=True, gc=False):
    """What an attempt is made on."""

    hop: HopState
    credential: CredentialState

    @property
    def target(self) -> TargetState:
        return self.hop.target

    @property
    def key(self) -> tuple[str, str]:
        return (self.hop.target.name, self.credential.name)


def known_end(until: Instant | None) -> Instant | None:
    """None where nobody knows when it ends."""
    return None if until == FOR_GOOD else until


def first_able(hops: list[HopState]) -> HopState:
    """A target without any credential never serves, so it never holds the pointer."""
    return next((hop for hop in hops if hop.target.provider.credentials), hops[0])


def build_providers(config: Config) -> dict[str, ProviderState]:
    return {
        name: ProviderState(provider, config.provider_stability(name))
        for name, provider in config.providers.items()
    }


def _groups(config: Provider) -> dict[str, str]:
    return {model: group for group, models in config.quota_groups.items() for model in models}


def _forget_peaceful(spots: dict[str, Spot]) -> None:
    """Drop what rests nowhere; its ladder starts afresh."""
    for name in [name for name, spot in spots.items() if spot.cooldown is None]:
        del spots[name]
