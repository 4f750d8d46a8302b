"""Random worlds from a seed: providers with weather, clients, clock jumps, restarts, an operator.

`python -m tests.simulation.schedules SEED` runs one and prints its events and what it breaks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from gateway.config import Config, Credential, Provider, Rotation, RouteTarget
from gateway.events import Failure
from gateway.routing.hands import Act, Hands, Place
from tests.gateway.routing.building import config, credential, provider, route
from tests.simulation.attempts import Bounds
from tests.simulation.books import Books
from tests.simulation.checks import (
    Census,
    NobodysFault,
    OneProbe,
    Permits,
    Pointers,
    RestsEnd,
    Serves,
    SoftRules,
    VoluntaryMoves,
    Waits,
)
from tests.simulation.restart import restart
from tests.simulation.weathers import Death, Limit, Sky, Spell
from tests.simulation.world import UPTIME, Watcher, World

REQUESTS = 45
"""Of one schedule: enough for an outage with its end, few enough for thousands of schedules."""
QUIET_SECONDS = (600.0, 4_000.0, 20_000.0, 90_000.0)
"""Sometimes nobody asks for so long: limits of five hours and of a day come back."""
HEALTH = (
    Failure.OVERLOADED,
    Failure.SERVER_ERROR,
    Failure.CONNECT,
    Failure.RESET_BEFORE_CONTENT,
    Failure.FIRST_CONTENT_TIMEOUT,
    Failure.BAD_SUCCESS,
    Failure.STREAM_BROKEN,
    Failure.IDLE_TIMEOUT,
    Failure.UNKNOWN,
)
OTHERS = (
    Failure.RATE_LIMITED,
    Failure.QUOTA_EXHAUSTED,
    Failure.AUTH,
    Failure.MODEL_NOT_FOUND,
    Failure.UNSUPPORTED,
    Failure.BAD_REQUEST,
    Failure.CONTEXT_TOO_LONG,
    Failure.CONTENT_POLICY,
)
STATED = (None, None, 1.0, 8.0, 45.0, 300.0, 5_000.0, 80_000.0)
OPERATOR = Act(actor="operator", note="by hand", expires_seconds=120.0)


@dataclass(slots=True)
class Clients:
    """Who asks, and when."""

    sessions: int
    turn_seconds: float
    lone_share: float
    """Of requests that belong to no session."""
    stream_share: float
    cancel_share: float
    burst: int
    """So many at once now and then."""
    quiet_share: float


@dataclass(slots=True)
class Schedule:
    """A world that is ready to run."""

    seed: int
    config: Config
    skies: Mapping[str, Sky]
    clients: Clients
    jumps: bool = True
    restarts: bool = True
    operator: bool = True
    requests: int = REQUESTS
    pace: float = 1.0
    """How slow time goes for the clients, and how large their bodies are."""

    @property
    def names(self) -> list[str]:
        """Of the routes."""
        return [each.name for each in self.config.routes]


def schedule(seed: int) -> Schedule:
    rng = Random(f"schedule {seed}")
    configured = _config(rng)
    return Schedule(
        seed=seed,
        config=configured,
        skies=_skies(configured, rng),
        clients=Clients(
            sessions=rng.randint(1, 6),
            turn_seconds=rng.choice([1.0, 6.0, 25.0, 120.0]),
            lone_share=rng.choice([0.0, 0.2, 0.6, 1.0]),
            stream_share=rng.choice([1.0, 0.7]),
            cancel_share=rng.choice([0.0, 0.05, 0.2]),
            burst=rng.choice([1, 1, 4, 12]),
            quiet_share=rng.choice([0.0, 0.02, 0.06]),
        ),
    )


def _config(rng: Random) -> Config:
    names = "pqrs"[: rng.choice([1, 2, 2, 3, 3, 4])]
    providers = [_provider(name, rng) for name in names]
    first = [RouteTarget(target=f"{name}/m") for name in names]
    routes = [route("coder", *first, fallback_on_context_too_long=rng.random() < 0.5)]
    if len(names) > 1:
        routes.append(route("writer", *reversed(first), f"{names[0]}/n"))
    routes.append(route("alone", f"{names[-1]}/m"))
    faster = rng.choice([{}, {}, FAST, FAST, NO_HOLD, EAGER, EAGER, RESTLESS])
    return config(*providers, routes=routes, **faster)


FAST: dict[str, Any] = {
    "breaker_base_seconds": 3.0,
    "breaker_cap_seconds": 30.0,
    "cooldown_min_seconds": 20.0,
    "half_life_seconds": 120.0,
    "suppress_max_seconds": 600.0,
    "return_good_answers": 2,
    "return_good_seconds": 5.0,
    "moves_refill_seconds": 100.0,
    "session_stable_seconds": 30.0,
    "session_pin_seconds": 60.0,
    "session_stagger_seconds": 2.0,
}
NO_HOLD: dict[str, Any] = {"cooldown_min_seconds": 0.0, "cooldown_multiplier": 0.0}
EAGER: dict[str, Any] = {
    "cooldown_min_seconds": 5.0,
    "probe_gap_seconds": 1.0,
    "return_good_answers": 1,
    "return_good_seconds": 0.1,
    "breaker_failures": 2,
    "breaker_base_seconds": 2.0,
    "ladder_decay_seconds": 60.0,
}
RESTLESS: dict[str, Any] = {
    **EAGER,
    "suppress_at": 1500.0,
    "half_life_seconds": 300.0,
    "suppress_max_seconds": 600.0,
    "return_good_max_seconds": 0.1,
    "moves_refill_seconds": 30.0,
}


def _provider(name: str, rng: Random) -> Provider:
    keys: list[Credential] = [
        credential(
            f"k{n}",
            priority=rng.choice([1, 1, 2]),
            max_in_flight=rng.choice([None, None, None, 1, 3]),
            cache_domain=rng.choice(["", "", "shared"]),
        )
        for n in range(rng.choice([1, 1, 2, 3, 5]))
    ]
    return provider(
        name,
        *keys,
        rotation=rng.choice(list(Rotation)),
        max_in_flight=rng.choice([None, None, None, 2, 4]),
        quota_groups=rng.choice([{}, {}, {"pro": ("m", "n")}]),
    )


def _skies(configured: Config, rng: Random) -> dict[str, Sky]:
    """Each provider has its own weather; now and then one outage strikes several."""
    skies = {name: _sky(each, rng) for name, each in configured.providers.items()}
    if rng.random() < 0.25:
        common = _spells(rng)
        for name in skies:
            if rng.random() < 0.7:
                skies[name] = replace(skies[name], spells=common)
    return skies


def _sky(own: Provider, rng: Random) -> Sky:
    limits = tuple(_limit(rng) for _ in range(rng.choice([0, 0, 0, 1, 2])))
    deaths: list[Death] = []
    for key in own.credentials:
        if rng.random() < 0.12:
            start = rng.uniform(0, 1000)
            end = start + rng.choice([30.0, 600.0, 10_000.0])
            deaths.append(Death(credential=key.name, start=start, end=end))
    return Sky(
        spells=() if rng.random() < 0.3 else _spells(rng),
        limits=limits,
        deaths=tuple(deaths),
        content_seconds=rng.choice([0.3, 0.8, 4.0]),
        answer_seconds=rng.choice([0.5, 3.0, 20.0]),
    )


def _limit(rng: Random) -> Limit:
    window, requests = rng.choice([(4.0, 3), (60.0, 8), (18_000.0, 12), (86_400.0, 20)])
    quota = window > 60 and rng.random() < 0.7
    return Limit(
        requests=requests,
        window_seconds=window,
        failure=Failure.QUOTA_EXHAUSTED if quota else Failure.RATE_LIMITED,
        shared=rng.random() < 0.3,
        fixed=rng.random() < 0.5,
        states=rng.random() < 0.7,
        hint=rng.choice([1.0, 1.0, 0.1, 3.0]),
    )


def _spells(rng: Random) -> tuple[Spell, ...]:
    spells = []
    for _ in range(rng.choice([1, 2, 2, 3, 5])):
        seconds = rng.choice([3.0, 20.0, 90.0, 400.0, 1500.0, 7000.0])
        if rng.random() < 0.45:
            slow = rng.choice([None, None, None, 9.0, 14.0, 40.0])
            spells.append(Spell(seconds=seconds, content_seconds=slow))
            continue
        failure = rng.choice(HEALTH if rng.random() < 0.75 else OTHERS)
        spells.append(
            Spell(
                seconds=seconds,
                failure=failure,
                probability=rng.choice([1.0, 1.0, 0.5, 0.1]),
                every=rng.choice([1, 1, 2]),
                stated=rng.choice(STATED),
            )
        )
    return tuple(spells)


class Play:
    """A schedule being run, with every promise watched."""

    def __init__(
        self, mine: Schedule, *, watch: bool = True, core_rng: Random | None = None
    ) -> None:
        self.schedule = mine
        self.books = books = Books(config=mine.config)
        self.rests = RestsEnd(books)
        self.waits = Waits()
        self.census = Census()
        self.checks: dict[str, Any] = {
            "voluntary moves": VoluntaryMoves(),
            "serves": Serves(books),
            "soft rules": SoftRules(),
            "one probe": OneProbe(books),
            "rests end": self.rests,
            "pointer": Pointers(books),
            "nobody's fault": NobodysFault(),
            "waits": self.waits,
            "bounds": Bounds(),
            "permits": Permits(),
        }
        watchers: list[Watcher] = [self.rests]
        watchers += [each for each in self.checks.values() if each is not self.rests]
        self.world = World(
            mine.config,
            mine.skies,
            seed=mine.seed,
            watchers=[*watchers, self.census] if watch else [],
            core_rng=core_rng,
            uptime=UPTIME * mine.pace,
        )
        self._rng = Random(f"clients {mine.seed}")
        self._left = mine.requests
        self._body = dict.fromkeys(range(mine.clients.sessions), 4_000)

    def run(self) -> dict[str, list[str]]:
        """Every promise, with what broke it."""
        self.world.at(0.0, self.next_request)
        self.world.run()
        self.waits.over(self.world)
        found = {name: list(each.problems) for name, each in self.checks.items()}
        found["rests end"] += self.books.problems
        return found

    def next_request(self) -> None:
        """Somebody asks, and plans when the next one will."""
        rng, clients = self._rng, self.schedule.clients
        for _ in range(clients.burst if rng.random() < 0.1 else 1):
            self._ask()
        self._disturb()
        if self._left <= 0:
            return
        pause = rng.expovariate(clients.sessions / clients.turn_seconds)
        if rng.random() < clients.quiet_share:
            pause += rng.choice(QUIET_SECONDS)
        self.world.at(self.world.now + pause * self.schedule.pace, self.next_request)

    def _ask(self) -> None:
        rng, clients = self._rng, self.schedule.clients
        self._left -= 1
        number = rng.randrange(clients.sessions)
        lone = rng.random() < clients.lone_share
        if not lone:
            self._body[number] += rng.choice([200, 2_000, 20_000])
            if rng.random() < 0.03:
                self._body[number] = 4_000  # Its history has been compacted.
        pace = self.schedule.pace
        self.world.ask(
            rng.choice(["coder", *self.schedule.names]),
            session="" if lone else f"s{number}",
            body_tokens=round(pace * (1_000 if lone else self._body[number])),
            stream=rng.random() < clients.stream_share,
            cancel_after=pace * rng.expovariate(0.3)
            if rng.random() < clients.cancel_share
            else None,
        )

    def _disturb(self) -> None:
        """Once in a while something else happens."""
        rng, world = self._rng, self.world
        dice = rng.random()
        if dice < 0.01:
            seconds = rng.choice([-3600.0, -5.0, 30.0, 7200.0])
            if self.schedule.jumps:
                world.jump(seconds)
        elif dice < 0.02:
            if self.schedule.restarts:
                restart(world, self.books)
        elif dice < 0.04 and self.schedule.operator:
            self._operate()

    def _operate(self) -> None:
        rng, world = self._rng, self.world
        hands, now = Hands(world.pool, rng=world.core_rng), world.moment
        name = rng.choice(list(world.pool.routes))
        target = rng.choice(world.pool.routes[name].hops).target.name
        acts: list[Callable[[], Any]] = [
            lambda: hands.reset(Place(target=target), OPERATOR, now),
            lambda: hands.rest(target, OPERATOR, now),
            lambda: hands.drain(target, OPERATOR, now),
            lambda: hands.pin(name, target, OPERATOR, now),
        ]
        world.tell(rng.choice(acts)())


@dataclass(slots=True)
class Outcome:
    """Of many schedules."""

    broken: dict[str, dict[int, str]] = field(default_factory=dict)
    """Promise → seed → the first thing that broke it."""
    census: Census = field(default_factory=Census)

    def play(self, seed: int) -> None:
        play = Play(schedule(seed))
        for name, problems in play.run().items():
            seeds = self.broken.setdefault(name, {})
            if problems:
                seeds[seed] = problems[0]
        self.census.seen.update(play.census.seen)


def main() -> None:
    play = Play(schedule(int(sys.argv[1])))
    found = play.run()
    for event in play.world.events:
        sys.stdout.write(f"{event}\n")
    for name, problems in found.items():
        for problem in problems:
            sys.stdout.write(f"{name}: {problem}\n")


if __name__ == "__main__":
    main()
