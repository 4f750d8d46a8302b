"""Hypothesis plays weather, clients and operator against the core, and makes what it breaks small."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.config import Rotation
from gateway.events import Failure
from gateway.routing.hands import Act, Hands, Place
from tests.gateway.routing.building import config, credential, provider, route
from tests.simulation.restart import restart
from tests.simulation.schedules import Clients, Play, Schedule
from tests.simulation.weathers import Limit, Sky, Spell

CONFIG = config(
    provider(
        "p", credential("a", max_in_flight=2), credential("b"), quota_groups={"g": ("m", "n")}
    ),
    provider("q", "a", "b", "c", rotation=Rotation.BALANCED, max_in_flight=3),
    provider("r"),
    routes=[
        route("coder", "p/m", "q/m", "r/m", fallback_on_context_too_long=True),
        route("writer", "q/m", "p/n"),
        route("alone", "r/m"),
    ],
)
NOBODY = Clients(
    sessions=1,
    turn_seconds=1.0,
    lone_share=0.0,
    stream_share=1.0,
    cancel_share=0.0,
    burst=1,
    quiet_share=0.0,
)
ACT = Act(actor="operator", expires_seconds=90.0)
ROUTES = st.sampled_from([each.name for each in CONFIG.routes])
PROVIDERS = st.sampled_from(list(CONFIG.providers))
TARGETS = ("p/m", "p/n", "q/m", "r/m")
STRIKES = [each for each in Failure if each not in {Failure.CANCELLED, Failure.DEADLINE}]
FOR_EVER = 1e12
SECONDS = st.sampled_from([0.01, 1.0, 4.0, 15.0, 31.0, 90.0, 400.0, 2000.0, 20_000.0, 90_000.0])


class Engine(RuleBasedStateMachine):
    """The world of the simulation, moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(Schedule(seed=5, config=CONFIG, skies={}, clients=NOBODY))
        self.world = self.play.world

    @rule(
        name=ROUTES,
        session=st.sampled_from(["", "", "s1", "s2"]),
        body=st.sampled_from([500, 20_000, 90_000]),
        stream=st.booleans(),
        times=st.sampled_from([1, 1, 1, 5]),
    )
    def ask(self, name: str, session: str, body: int, stream: bool, times: int) -> None:
        for _ in range(times):
            self.world.ask(name, session=session, body_tokens=body, stream=stream)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        asked = list(self.world.open.values())
        if asked:
            self.world.cancel(asked[which % len(asked)])

    @rule(
        name=PROVIDERS,
        failure=st.sampled_from(STRIKES),
        probability=st.sampled_from([1.0, 0.5]),
        stated=st.sampled_from([None, 2.0, 100.0, 5000.0]),
    )
    def strike(self, name: str, failure: Failure, probability: float, stated: float | None) -> None:
        spell = Spell(seconds=FOR_EVER, failure=failure, probability=probability, stated=stated)
        self._weather(name, Sky(spells=(spell,)))

    @rule(name=PROVIDERS)
    def heal(self, name: str) -> None:
        self._weather(name, Sky())

    @rule(name=PROVIDERS, states=st.booleans(), shared=st.booleans())
    def limit(self, name: str, states: bool, shared: bool) -> None:
        limit = Limit(requests=3, window_seconds=60.0, states=states, shared=shared)
        self._weather(name, Sky(limits=(limit,)))

    @rule(place=st.sampled_from(TARGETS), act=st.integers(0, 4))
    def operate(self, place: str, act: int) -> None:
        hands = Hands(self.world.pool, rng=self.world.core_rng)
        now = self.world.moment
        acts: Sequence[Callable[[], Any]] = (
            lambda: hands.reset(Place(target=place), ACT, now),
            lambda: hands.rest(place, ACT, now),
            lambda: hands.drain(place, ACT, now),
            lambda: hands.enable(place, ACT, now),
            lambda: hands.pin("writer" if place == "p/n" else "coder", place, ACT, now),
        )
        self.world.tell(acts[act]())

    @rule(seconds=st.sampled_from([-3600.0, 60.0, 86_400.0]))
    def set_the_clock(self, seconds: float) -> None:
        self.world.jump(seconds)

    @rule()
    def die_and_start_again(self) -> None:
        restart(self.world, self.play.books)

    @invariant()
    def every_promise_is_kept(self) -> None:
        found = {name: each.problems for name, each in self.play.checks.items() if each.problems}
        assert not found
        assert not self.play.books.problems

    def teardown(self) -> None:
        self.world.run()
        self.play.waits.over(self.world)
        self.every_promise_is_kept()

    def _weather(self, name: str, sky: Sky) -> None:
        played = self.world.providers[name]
        played.sky, played.changed = sky, self.world.now
        played._buckets.clear()


TestEngine = Engine.TestCase
TestEngine.settings = settings(settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci")))
