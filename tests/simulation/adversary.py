"""Worlds made to hurt: a primary that answers to what the gateway does, and one that heals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.config import Config, Stability
from gateway.events import Failure, Switched, SwitchKind
from tests.gateway.routing.building import config, provider, route
from tests.simulation.weathers import FAIR, Sky
from tests.simulation.world import Asked, Fact, Told, World


def two_targets(**stability: Any) -> Config:
    """A primary with two keys and a fallback."""
    return config(
        provider("p", "k1", "k2"),
        provider("f", "k1", "k2"),
        routes=[route("coder", "p/m", "f/m")],
        **stability,
    )


@dataclass(slots=True)
class Traitor:
    """A primary that is well as long as it does not serve the route, and fails as soon as it does."""

    patience: float = 0.0
    """Seconds that it stays well after each return."""
    departures: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Told) or not isinstance(fact.event, Switched):
            return
        to_primary = fact.event.to_target == "p/m"
        if to_primary:
            world.at(world.now + self.patience, lambda: self._fail(world))
        else:
            world.providers["p"].force = None
        moves = self.returns if fact.event.switch is SwitchKind.RETURN else self.departures
        moves.append(world.now)

    def _fail(self, world: World) -> None:
        if world.pool.routes["coder"].active.index == 0:
            world.providers["p"].force = Failure.OVERLOADED


class Steady:
    """One request without a session every so many seconds, for ever; what became of each."""

    def __init__(self, world: World, every: float, *, sessions: int = 0) -> None:
        self._world = world
        self._every = every
        self._sessions = sessions
        self._n = 0
        self.ended: list[Asked] = []
        world.at(0.0, self._ask)

    def _ask(self) -> None:
        self._n += 1
        session = f"s{self._n % self._sessions}" if self._sessions else ""
        self._world.ask("coder", session=session, body_tokens=5_000, done=self.ended.append)
        self._world.at(self._world.now + self._every, self._ask)


def betrayed(
    stability: Stability, *, hours: float, seed: int, every: float, patience: float = 0.0
) -> Traitor:
    traitor = Traitor(patience)
    base = two_targets()
    world = World(
        Config(providers=base.providers, routes=base.routes, stability=stability),
        {"p": FAIR, "f": FAIR},
        seed=seed,
        watchers=[traitor],
    )
    world.providers["p"].force = Failure.OVERLOADED
    Steady(world, every)
    world.run(hours * 3600.0)
    return traitor


def most_within(times: list[float], window: float) -> int:
    """The largest number of them in any window of that length."""
    return max(
        (sum(since <= time < since + window for time in times) for since in times), default=0
    )


def time_to_return(
    sky: Sky, well_from: float, *, seed: int, every: float, longest: float, sessions: int = 0
) -> float | None:
    """Seconds from the moment the weather is fair for good until the pointer is back; None: never."""
    world = World(two_targets(), {"p": sky}, seed=seed)
    Steady(world, every, sessions=sessions)
    world.run(well_from)
    route = world.pool.routes["coder"]
    while route.active.index and world.now < well_from + longest:
        world.run(world.now + 10.0)
    return None if route.active.index else world.now - well_from
