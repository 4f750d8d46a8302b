"""The golden table: weathers × strategies, ten agent sessions for six hours each, on the real core.

`python -m tests.simulation.golden` prints it as Markdown; docs/proof.md shows the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from gateway.config import Config, Stability
from gateway.dry_run.scenario import Traffic
from gateway.events import RequestOutcome, Switched
from tests.gateway.routing.building import config, provider, route
from tests.simulation import shipped
from tests.simulation.strategies import STRATEGIES
from tests.simulation.weathers import HOUR, MINUTE, Sky, alternating, hourly
from tests.simulation.world import Asked, Fact, Told, World

HOURS = 6
SEEDS = (1, 2, 3)
TRAFFIC = shipped.traffic("one 20 min outage")
"""Of all rows, and of `evenkeel dry-run --compare`."""
GOLDEN: Mapping[str, Sky] = {
    **{row: shipped.sky(row) for row in shipped.SCENARIOS},
    "alternates 10 min / 10 min": alternating(10 * MINUTE),
    "10 min outage each hour": hourly(10 * MINUTE),
}


@dataclass(slots=True)
class Figures:
    """What came of one strategy under one weather."""

    session_switches: int = 0
    """Answers of a session by another target than its answer before."""
    requests: int = 0
    wasted: int = 0
    """Attempts that failed."""
    failed: int = 0
    """Requests that ended without an answer although the fallback was well all the time."""
    moves: int = 0
    """Of the route's pointer."""
    primary: int = 0
    """Requests that the primary answered."""
    hours: float = 0.0
    waited: float = 0.0
    served_by: dict[str, str] = field(default_factory=dict)

    @property
    def switches_per_session_hour(self) -> float:
        return self.session_switches / (TRAFFIC.sessions * self.hours)

    @property
    def wasted_per_request(self) -> float:
        return self.wasted / self.requests

    @property
    def moves_per_six_hours(self) -> float:
        return self.moves / self.hours * HOURS

    @property
    def primary_share(self) -> float:
        return self.primary / self.requests

    def ended(self, asked: Asked) -> None:
        self.requests += 1
        self.wasted += len(asked.bads)
        self.waited += sum(asked.waits)
        self.failed += asked.outcome is not RequestOutcome.OK
        served = asked.call.served()
        if served is None:
            return
        self.primary += served.hop.index == 0
        before = self.served_by.get(asked.facts.session)
        self.session_switches += before is not None and before != served.target.name
        self.served_by[asked.facts.session] = served.target.name

    def saw(self, _: World, fact: Fact) -> None:
        if isinstance(fact, Told) and isinstance(fact.event, Switched):
            self.moves += 1


class Agent:
    """A turn, a pause, the next turn, with a body that grows: as `Traffic` means it."""

    def __init__(self, world: World, figures: Figures, name: str, traffic: Traffic) -> None:
        self._traffic = traffic
        self._turn = 0
        self._session = name
        self._world = world
        self._figures = figures
        self._name = name
        self._rng = Random(f"{name} {world.rng.random()}")
        self._body = traffic.first_tokens
        world.at(self._rng.uniform(0, traffic.turn_seconds), self.turn)

    def turn(self) -> None:
        self._turn += 1
        self._world.ask("coder", session=self._session, body_tokens=self._body, done=self._done)

    def _done(self, asked: Asked) -> None:
        self._figures.ended(asked)
        traffic = self._traffic
        self._body += traffic.growth_tokens
        over = traffic.turns > 0 and self._turn % traffic.turns == 0
        if over:
            self._session = f"{self._name}-{self._turn // traffic.turns + 1}"
        if over or self._body > traffic.most_tokens:
            self._body = traffic.first_tokens
        pause = self._rng.expovariate(1 / traffic.turn_seconds)
        self._world.at(max(self._world.now, asked.began + pause), self.turn)


def golden_config(stability: Stability) -> Config:
    base = config(provider("p", "k1"), provider("f", "k1"), routes=[route("coder", "p/m", "f/m")])
    return Config(providers=base.providers, routes=base.routes, stability=stability)


def play(
    sky: Sky,
    stability: Stability,
    *,
    seeds: Iterable[int] = SEEDS,
    hours: float = HOURS,
    traffic: Traffic = TRAFFIC,
) -> Figures:
    """Ten agents on a route whose primary has this weather, the fallback being always well."""
    figures = Figures()
    for seed in seeds:
        figures.served_by.clear()
        world = World(golden_config(stability), {"p": sky}, seed=seed, watchers=[figures])
        for number in range(traffic.sessions):
            Agent(world, figures, f"s{number}", traffic)
        world.run(hours * HOUR)
        figures.hours += hours
    return figures


def table(
    found: Mapping[tuple[str, str], Figures], weathers: Sequence[str], strategies: Sequence[str]
) -> str:
    """In each cell: session switches per session-hour · failed attempts per request · failed
    requests."""
    lines = ["| primary's weather | " + " | ".join(strategies) + " |"]
    lines.append("| --- |" + " ---: |" * len(strategies))
    for weather in weathers:
        cells = [_cell(found[weather, strategy]) for strategy in strategies]
        lines.append(f"| {weather} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: Figures) -> str:
    switches = figures.switches_per_session_hour
    shown = f"{switches:.0f}" if switches >= 10 else f"{switches:.2f}"
    return f"{shown} · {figures.wasted_per_request:.3f} · {figures.failed}"


def main() -> None:
    found: dict[tuple[str, str], Figures] = {}
    for weather, sky in GOLDEN.items():
        for strategy, stability in STRATEGIES.items():
            figures = found[weather, strategy] = play(sky, stability)
            sys.stderr.write(
                f"{weather:32} {strategy:16} {_cell(figures):22} moves/6h"
                f" {figures.moves_per_six_hours:6.1f} primary {figures.primary_share:.0%}"
                f" waited {figures.waited / figures.requests:.2f} s\n"
            )
    sys.stdout.write(table(found, list(GOLDEN), list(STRATEGIES)) + "\n")


if __name__ == "__main__":
    main()
