"""What `explain` says is what the next request does; and it changes nothing."""

from __future__ import annotations

import pickle
from random import Random
from typing import Any

import pytest

from gateway.config import Billing, Config, Damping, Rotation, RouteTarget
from gateway.events import CooldownEnd, Failure
from gateway.routing.call import Call, Phase
from gateway.routing.explaining import Explanation, explain
from gateway.routing.hands import Act, Hands, Place
from gateway.routing.pool import Pool
from gateway.routing.snapshot import State
from gateway.routing.state import NOT_LOOKED
from gateway.routing.steps import GiveUp, Send, Wait
from tests.gateway.routing.building import (
    NOT_SEEN,
    SEEN,
    Play,
    at,
    bad,
    config,
    credential,
    facts,
    provider,
    route,
)

ACT = Act(actor="ada", expires_seconds=40.0)
FAILURES = (
    Failure.RATE_LIMITED,
    Failure.QUOTA_EXHAUSTED,
    Failure.AUTH,
    Failure.OVERLOADED,
    Failure.CONNECT,
    Failure.FIRST_CONTENT_TIMEOUT,
    Failure.MODEL_NOT_FOUND,
)
SESSIONS = ("", "", "one", "two", "three")
NAMES = ("coder", "coder", "writer", "p/m", "q/x")


def crowded() -> Config:
    """Caps, tiers, a balanced pool, prices: whatever choosing looks at."""
    return config(
        provider(
            "p",
            credential("a", max_in_flight=2),
            credential("b", cache_domain="one"),
            credential("c", cache_domain="one", priority=2),
            quota_groups={"pro": ("m", "n")},
        ),
        provider("q", "a", "b", "c", rotation=Rotation.BALANCED, max_in_flight=4),
        provider("r", "a", rotation=Rotation.LEAST_IN_FLIGHT, billing=Billing.METERED),
        routes=[
            route("coder", "p/m", "q/m", RouteTarget(target="r/m", context_tokens=2000)),
            route("writer", "q/m", "p/n"),
        ],
        return_good_answers=2,
        return_good_seconds=5.0,
        cooldown_min_seconds=20.0,
        suppress_at=1500.0,
        damping=Damping.ENFORCE,
        queue_waiters=2,
    )


def explained(it: Play, name: str, now: float, **more: Any) -> Explanation:
    lots = Random()
    lots.setstate(it._rng.getstate())
    found = it.pool.glimpse(name, at(now))
    assert found is not None
    return explain(it.pool, found, facts(0, began=at(now), **more), at(now), lots)


def _remembered(pool: Pool) -> bytes:
    """All of it but what `readiness` keeps only to find it again sooner."""
    for target in pool.targets():
        target.at_peace = NOT_LOOKED
    return pickle.dumps(pool)


class Story:
    """Random requests, outcomes and acts on one pool."""

    def __init__(self, seed: int) -> None:
        self.it = Play(crowded(), seed=seed)
        self.hands = Hands(self.it.pool, rng=Random(seed))
        self.rng = Random(seed)
        self.now = 0.0
        self.open: list[Call] = []
        self.number = 0
        self.seen: set[str] = set()

    def turn(self) -> None:
        self.now += self.rng.choice((0.0, 0.1, 2.0, 20.0, 120.0))
        self.it.pool.expire(at(self.now))
        rng = self.rng
        if self.open and rng.random() < 0.55:
            self._go_on(self.open.pop(rng.randrange(len(self.open))))
        elif rng.random() < 0.08:
            self._act()
        else:
            self._ask()

    def _ask(self) -> None:
        self.number += 1
        rng, name = self.rng, self.rng.choice(NAMES)
        more: dict[str, Any] = {
            "session": rng.choice(SESSIONS),
            "body_tokens": rng.choice((100, 1000, 3000)),
        }
        # Its memory of direct names is no state that a decision hangs on.
        self.it.route(name, now=self.now)
        looked_at = self.number % 5 == 0  # Taking a pool apart takes milliseconds.
        before = _remembered(self.it.pool) if looked_at else b""
        said = explained(self.it, name, self.now, **more)
        assert not looked_at or _remembered(self.it.pool) == before
        call = Call(
            self.it.pool,
            self.it.route(name, now=self.now),
            facts(self.number, began=at(self.now), **more),
            now=at(self.now),
            rng=self.it._rng,
        )
        step, _ = call.step(at(self.now))
        self._compare(said, step)
        if call.phase is not Phase.DONE:
            self.open.append(call)

    def _compare(self, said: Explanation, step: Send | Wait | GiveUp) -> None:
        self.seen.add(type(step).__name__)
        match step:
            case Send():
                assert said.wait_seconds is None
                assert said.choice is not None
                assert said.choice.target == f"{step.provider.name}/{step.model}"
                assert said.choice.credential == step.credential.name
                assert said.choice.probe is step.probe
                (chosen,) = [each for each in said.candidates if each.reason.startswith("chosen")]
                assert (chosen.target, chosen.credential) == (
                    said.choice.target,
                    said.choice.credential,
                )
                self.seen.add(chosen.reason)
            case Wait():
                assert said.wait_seconds == pytest.approx(step.seconds)
            case GiveUp():
                assert (said.wait_seconds, said.choice) == (None, None)

    def _go_on(self, call: Call) -> None:
        now, rng = at(self.now), self.rng
        if call.phase is Phase.SELECTING:
            call.step(now)
        elif call.phase is Phase.TRYING and rng.random() < 0.5:
            stated = rng.choice((None, None, 3.0, 90.0, 2000.0))
            call.failed(bad(rng.choice(FAILURES), stated=stated), now, NOT_SEEN)
        elif call.phase is Phase.TRYING:
            call.committed(now)
        elif rng.random() < 0.8:
            call.finished(now, SEEN)
        else:
            call.failed(bad(Failure.STREAM_BROKEN), now, SEEN)
        if call.phase is not Phase.DONE:
            self.open.append(call)

    def _act(self) -> None:
        now, rng = at(self.now), self.rng
        target = rng.choice(("p/m", "q/m", "r/m"))
        acts = (
            lambda: self.hands.reset(Place(target=target), ACT, now),
            lambda: self.hands.rest(target, ACT, now),
            lambda: self.hands.drain(target, ACT, now),
            lambda: self.hands.pin("coder", target, ACT, now),
            lambda: self.hands.clear_penalty("coder", ACT, now),
        )
        rng.choice(acts)()


def test_what_is_explained_is_what_the_next_request_does_and_nothing_is_changed_by_it() -> None:
    seen: set[str] = set()
    for seed in range(40):
        story = Story(seed)
        for turn in range(120):
            try:
                story.turn()
            except AssertionError as error:
                error.add_note(f"seed {seed}, turn {turn}")
                raise
        seen |= story.seen
    assert {"Send", "Wait", "GiveUp"} <= seen
    assert {f"chosen: {why}" for why in ("pointer", "session", "pin", "probe")} <= seen
    assert {f"chosen: {why}" for why in ("first_usable", "least_bad_probe")} <= seen


# -- by hand -------------------------------------------------------------------------------------


def play(**stability: Any) -> Play:
    providers = [provider("p", "a", "b"), provider("q"), provider("bare")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m")], **stability))


def view(said: Explanation) -> list[tuple[str, str, State, str]]:
    return [(each.target, each.credential, each.state, each.reason) for each in said.candidates]


def test_every_candidate_is_told_with_its_state_and_its_reason() -> None:
    it = play()
    said = explained(it, "coder", 0.0)
    assert (said.route, said.active, said.wait_seconds) == ("coder", "p/m", None)
    assert view(said) == [
        ("p/m", "a", State.READY, "chosen: pointer"),
        ("p/m", "b", State.READY, "not_preferred"),
        ("q/m", "main", State.READY, "not_preferred"),
    ]
    it.ask({"p/m a": bad("auth"), "p/m b": bad("rate_limited", stated=50.0)})
    said = explained(it, "coder", 1.0)
    assert view(said) == [
        ("p/m", "a", State.COOLING, "cooling: auth"),
        ("p/m", "b", State.COOLING, "cooling: rate_limited"),
        ("q/m", "main", State.READY, "chosen: first_usable"),
    ]
    limited = said.candidates[1]
    assert limited.ready_in_seconds == pytest.approx(49.0, abs=2.0)
    assert limited.until is not None


def test_a_hold_a_drain_and_a_flap_are_told() -> None:
    it = play()
    it.ask({"p": bad("overloaded")})
    held = explained(it, "coder", 1.0).candidates[0]
    assert (held.state, held.reason) == (State.HELD, "held: overloaded")
    assert held.ready_in_seconds == 0.0
    hop = it.hop(0)
    hop.hold.end(CooldownEnd.OPERATOR, now=at(1.0))
    hop.penalty.add(hop.stability.suppress_at, hop.stability, at(1.0).instant)
    flaps = explained(it, "coder", 1.0).candidates[0]
    assert (flaps.state, flaps.reason) == (State.SUPPRESSED, "suppressed: flapping")
    Hands(it.pool, rng=Random(1)).drain("p/m", Act(actor="ada"), at(1.0))
    drained = explained(it, "coder", 1.0).candidates[0]
    assert (drained.state, drained.reason) == (State.DRAINED, "drained: operator")
    assert (drained.until, drained.ready_in_seconds) == (None, None)


def test_of_a_target_that_is_held_and_rests_the_rest_is_told() -> None:
    it = play(breaker_failures=1)
    it.ask({"p": bad("overloaded")})
    first = explained(it, "coder", 1.0).candidates[0]
    assert (first.state, first.reason) == (State.COOLING, "cooling: overloaded")
    assert first.ready_in_seconds is not None
    assert first.until == pytest.approx(at(1.0).later(first.ready_in_seconds).timestamp, abs=2)


def test_a_session_is_taken_as_large_as_it_was_last() -> None:
    it = play()
    hands = Hands(it.pool, rng=Random(1))
    hands.pin("coder", "q/m", Act(actor="ada"), at(0.0))
    it.ask(session="one", body_tokens=5000)
    hands.unpin("coder", Act(actor="ada"), at(1.0))
    said = explained(it, "coder", 2.0, session="one", body_tokens=0)
    assert view(said)[2] == ("q/m", "main", State.READY, "chosen: session")
    assert view(explained(it, "coder", 2.0))[0][3] == "chosen: pointer"


def test_who_would_wait_is_told_for_how_long_and_who_serves_if_it_is_in_vain() -> None:
    capped = provider("p", credential("a", max_in_flight=1))
    it = Play(config(capped, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    it.call().step(at(0.0))
    said = explained(it, "coder", 0.0)
    assert said.choice is not None
    assert (said.choice.target, said.wait_seconds) == ("q/m", 2.0)
    assert view(said)[0] == ("p/m", "a", State.READY, "at_capacity")


def test_nobody_is_chosen_where_a_request_would_be_refused() -> None:
    it = play()
    it.ask({"p": bad("quota_exhausted", stated=900.0), "q": bad("auth", stated=900.0)})
    said = explained(it, "coder", 1.0)
    assert (said.choice, said.wait_seconds) == (None, None)
    assert {each.state for each in said.candidates} == {State.COOLING}


def test_looking_at_a_name_nobody_asked_for_keeps_nothing() -> None:
    it = play()
    said = explained(it, "p/new", 0.0)
    assert said.choice is not None
    assert said.choice.target == "p/new"
    assert list(it.pool.direct_routes()) == []
    assert "p/new" not in {target.name for target in it.pool.targets()}
