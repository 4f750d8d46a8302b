"""What a new process knows of the one before it: rows of the history in, a pool at work out."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    Event,
    FlappingEnded,
    FlappingStarted,
    OperatorActed,
    Scope,
    Switched,
)
from gateway.routing import pointer
from gateway.routing.hands import Act, Hands
from gateway.routing.restoring import restore
from gateway.routing.snapshot import State, snapshot
from gateway.routing.state import FOR_GOOD
from gateway.units import MICROS
from tests.gateway.routing.building import NOT_SEEN, START, Play, at, bad, config, provider, route

DOWN = {"p": bad("overloaded")}


def play(*targets: str, **stability: Any) -> Play:
    p = provider("p", "a", "b", quota_groups={"pro": ("m", "n")})
    routes = [route("coder", *(targets or ("p/m", "q/m", "r/m")))]
    return Play(config(p, provider("q"), provider("r"), routes=routes, **stability))


class History:
    """Events folded to the rows that a database would give a new process."""

    def __init__(self, events: list[Event]) -> None:
        self.cooldowns: dict[str, dict[str, Any]] = {}
        self.switches: list[dict[str, Any]] = []
        self.flapping: dict[tuple[str, str], dict[str, Any]] = {}
        self.acts: list[dict[str, Any]] = []
        for event in events:
            self._read(event)

    def _read(self, event: Event) -> None:
        match event:
            case CooldownStarted():
                self.cooldowns[event.cooldown_id] = {
                    **_fields(event, "cooldown_id route provider model credential reason level"),
                    "scope": event.scope.value,
                    "source": event.source.value,
                    "started": event.ts,
                    "until": event.until,
                }
            case CooldownExtended():
                row = self.cooldowns[event.cooldown_id]
                row.update(until=event.until, source=event.source.value, reason=event.reason)
            case CooldownEnded():
                del self.cooldowns[event.cooldown_id]
            case Switched():
                ends = {"from": event.from_target, "to": event.to_target}
                kind = {"kind": event.switch.value}
                self.switches.append({**_fields(event, "ts route reason penalty"), **ends, **kind})
            case FlappingStarted():
                key = (event.route, event.target)
                self.flapping[key] = _fields(event, "ts route target penalty")
            case FlappingEnded():
                del self.flapping[event.route, event.target]
            case OperatorActed():
                self.acts.append(_fields(event, "ts action route target until"))
            case _:
                pass


def _fields(event: Event, names: str) -> dict[str, Any]:
    return {name: getattr(event, name) for name in names.split()}


def reborn(old: Play, now: float, new: Play | None = None) -> tuple[Play, list[Event]]:
    """The pool of a new process, and what it tells of its start."""
    history = History(old.events)
    new = new if new is not None else Play(old.config, seed=2)
    events = restore(
        new.pool,
        list(history.cooldowns.values()),
        history.switches,
        at(now),
        flapping=list(history.flapping.values()),
        acts=history.acts,
    )
    # Everything that was open is either going on or closed.
    closed = {each.cooldown_id for each in events if isinstance(each, CooldownEnded)}
    running = {rest.cooldown_id for rest in snapshot(new.pool, at(now)).rests}
    assert closed | running == set(history.cooldowns)
    assert not closed & running
    return new, events


def test_a_stated_rest_goes_on_under_its_own_id_to_its_own_end() -> None:
    old = play()
    old.ask({"p": bad("quota_exhausted", stated=600.0)})
    before = {rest.cooldown_id: rest for rest in snapshot(old.pool, at(60.0)).rests}
    new, events = reborn(old, 60.0)
    after = {rest.cooldown_id: rest for rest in snapshot(new.pool, at(60.0)).rests}
    assert events == []
    assert set(after) == set(before)
    for name, rest in after.items():
        assert (rest.until, rest.started, rest.source) == (
            before[name].until,
            before[name].started,
            before[name].source,
        )
    assert new.ask(now=61.0).tried == ["q/m main"]


def test_a_stated_rest_of_a_minute_stays_to_its_end_and_a_shorter_one_becomes_a_trial() -> None:
    old = play("p/m")
    old.ask({"p/m a": bad("auth", stated=50.0), "p/m b": bad("auth", stated=61.0)})
    new, events = reborn(old, 40.0)
    (ended,) = events
    assert isinstance(ended, CooldownEnded)
    assert (ended.credential, ended.ended) == ("a", CooldownEnd.SUPERSEDED)
    assert ended.duration_seconds == 40.0
    first, second = snapshot(new.pool, at(40.0)).providers[0].credentials
    assert (first.state, second.state) == (State.TRIAL, State.COOLING)


def test_a_guessed_rest_comes_back_as_one_trial_that_goes_on_from_its_step() -> None:
    old = play("p/m", "q/m", breaker_failures=1, cooldown_min_seconds=0.0, cooldown_multiplier=0.0)
    old.ask({"p": bad("overloaded"), "q": bad("overloaded")})
    new, events = reborn(old, 5.0)
    assert [type(each) for each in events] == [CooldownEnded, CooldownEnded]
    assert snapshot(new.pool, at(5.0)).rests == ()
    calls = [new.call(now=6.0) for _ in range(3)]
    sends = [call.step(at(6.0))[0] for call in calls]
    tested = [getattr(each, "probe", None) for each in sends]
    assert tested == [True, True, None]  # One each; the third finds both being tested.
    told = calls[0].failed(bad("overloaded"), at(7.0), NOT_SEEN)
    (rest,) = [each for each in told if isinstance(each, CooldownStarted)]
    assert rest.level == 2


def test_holds_and_the_pointer_stay_so_the_fallback_goes_on_serving() -> None:
    old = play(breaker_failures=1)
    old.ask(DOWN)
    new, events = reborn(old, 10.0)
    assert [each.reason for each in events if isinstance(each, CooldownEnded)] == ["overloaded"]
    view = snapshot(new.pool, at(10.0)).routes[0]
    assert (view.active, view.dwell_seconds) == ("q/m", 10.0)
    assert view.active_since == START.timestamp
    for number in range(5):
        assert new.ask(now=11.0 + number).tried == ["q/m main"]


def test_a_rest_by_an_operator_stays() -> None:
    old = play()
    acts = Hands(old.pool, rng=Random(1))
    old.events += acts.rest("p/m", Act(actor="ada", expires_seconds=50.0), at(0.0))
    new, events = reborn(old, 20.0)
    assert events == []
    target = snapshot(new.pool, at(20.0)).routes[0].targets[0]
    assert (target.state, target.reason) == (State.COOLING, "operator")
    assert Hands(new.pool, rng=Random(1)).enable("p/m", Act(actor="ada"), at(21.0))
    assert snapshot(new.pool, at(21.0)).routes[0].targets[0].state is State.READY


def test_penalties_decay_by_the_wall_clock_and_a_flapping_route_goes_on_flapping() -> None:
    old = play(suppress_at=1500.0, breaker_failures=1)
    old.ask(DOWN)
    old.events += old.pool.expire(at(500.0))
    hop, route = old.hop(0), old.route()
    old.events += pointer.penalize(route, hop, 1000.0, now=at(0.0))
    assert len(History(old.events).flapping) == 1
    new, events = reborn(old, 600.0)
    assert [each for each in events if isinstance(each, FlappingEnded)] == []
    view = snapshot(new.pool, at(600.0)).routes[0]
    assert view.flapping
    assert view.targets[0].penalty == pytest.approx(2000.0 * 2 ** (-600 / 1800), rel=1e-3)
    # Below the line of suppression and above that of reuse: only memory tells that it flaps.
    assert view.targets[0].penalty > new.hop(0).stability.reuse_at
    (calm,) = [each for each in new.pool.expire(at(3000.0)) if isinstance(each, FlappingEnded)]
    assert calm.duration_seconds == pytest.approx(3000.0)


def test_a_flap_that_calmed_meanwhile_is_told_to_be_over() -> None:
    old = play()
    hop = old.hop(0)
    old.events += pointer.penalize(old.route(), hop, hop.stability.suppress_at, now=at(0.0))
    new, events = reborn(old, 90_000.0)
    (calm,) = events
    assert isinstance(calm, FlappingEnded)
    assert (calm.route, calm.target, calm.duration_seconds) == ("coder", "p/m", 90_000.0)
    assert not snapshot(new.pool, at(90_000.0)).routes[0].flapping


def test_the_budget_of_voluntary_moves_is_not_given_anew() -> None:
    switches = [
        {
            "ts": at(float(10 * n)).timestamp,
            "route": "coder",
            "from": ("q/m", "p/m")[n % 2],
            "to": ("p/m", "q/m")[n % 2],
            "kind": ("return", "forced")[n % 2],
            "reason": ("recovered", "overloaded")[n % 2],
            "penalty": 0.0,
        }
        for n in range(5)
    ]
    new = play()
    restore(new.pool, [], switches, at(60.0))
    view = snapshot(new.pool, at(60.0)).routes[0]
    assert (view.active, view.dwell_seconds) == ("p/m", 20.0)
    assert view.moves_left == pytest.approx(0.0, abs=0.1)
    assert new.route().last_move == ("q/m", "p/m")


# -- what operators did --------------------------------------------------------------------------


def test_a_drain_outlives_the_process_until_its_end_or_until_it_is_enabled() -> None:
    old = play()
    hands = Hands(old.pool, rng=Random(1))
    old.events += hands.drain("p/m", Act(actor="ada"), at(0.0))
    old.events += hands.drain("q/m", Act(actor="ada", expires_seconds=30.0), at(0.0))
    old.events += hands.drain("r/m", Act(actor="ada"), at(0.0))
    old.events += hands.enable("r/m", Act(actor="ada"), at(1.0))
    states = [
        each.state for each in snapshot(reborn(old, 10.0)[0].pool, at(10.0)).routes[0].targets
    ]
    assert states == [State.DRAINED, State.DRAINED, State.READY]
    new, _ = reborn(old, 40.0)
    states = [each.state for each in snapshot(new.pool, at(40.0)).routes[0].targets]
    assert states == [State.DRAINED, State.READY, State.READY]
    assert new.hop(0).target.drained_until == FOR_GOOD


def test_a_pin_outlives_the_process_and_gives_the_route_back_at_its_end() -> None:
    old = play()
    hands = Hands(old.pool, rng=Random(1))
    old.events += hands.pin("coder", "r/m", Act(actor="ada", expires_seconds=60.0), at(0.0))
    new, events = reborn(old, 30.0)
    assert events == []
    view = snapshot(new.pool, at(30.0)).routes[0]
    assert (view.active, view.pinned, view.pinned_until) == ("r/m", "r/m", at(60.0).timestamp)
    (moved,) = [each for each in new.pool.expire(at(61.0)) if isinstance(each, Switched)]
    assert (moved.to_target, moved.reason) == ("p/m", "pin_expired")


def test_a_pin_that_ran_out_meanwhile_is_undone_with_an_event() -> None:
    old = play()
    hands = Hands(old.pool, rng=Random(1))
    old.events += hands.pin("coder", "r/m", Act(actor="ada", expires_seconds=60.0), at(0.0))
    new, _ = reborn(old, 600.0)
    assert snapshot(new.pool, at(600.0)).routes[0].pinned == ""
    (moved,) = [each for each in new.pool.expire(at(600.0)) if isinstance(each, Switched)]
    assert (moved.from_target, moved.to_target) == ("r/m", "p/m")


def test_an_undone_pin_is_forgotten() -> None:
    old = play()
    hands = Hands(old.pool, rng=Random(1))
    old.events += hands.pin("coder", "r/m", Act(actor="ada"), at(0.0))
    old.events += hands.unpin("coder", Act(actor="ada"), at(1.0))
    new, _ = reborn(old, 10.0)
    view = snapshot(new.pool, at(10.0)).routes[0]
    assert (view.active, view.pinned) == ("p/m", "")


# -- what is not there any more ------------------------------------------------------------------


def test_rows_of_what_is_not_configured_any_more_are_closed() -> None:
    old = play(breaker_failures=1)
    old.ask({"p": bad("overloaded"), "q": bad("auth", stated=900.0)})
    only_r = config(provider("r"), routes=[route("coder", "r/m")])
    new, events = reborn(old, 5.0, Play(only_r))
    assert {each.ended for each in events if isinstance(each, CooldownEnded)} == {
        CooldownEnd.SUPERSEDED
    }
    view = snapshot(new.pool, at(5.0)).routes[0]
    assert view.active == "r/m"


def test_a_limit_of_a_group_that_is_no_more_is_closed() -> None:
    old = play()
    old.ask({"p/m a": bad("rate_limited", stated=900.0)})
    assert [rest.scope for rest in snapshot(old.pool, at(0.0)).rests] == [Scope.QUOTA_GROUP]
    ungrouped = config(provider("p", "a", "b"), routes=[route("coder", "p/m")])
    _, events = reborn(old, 5.0, Play(ungrouped))
    assert len(events) == 1


def test_targets_that_clients_name_themselves_are_taken_over_too() -> None:
    old = play(breaker_failures=1)
    old.ask({"p": bad("model_not_found", stated=900.0)}, name="p/x")
    new, events = reborn(old, 5.0)
    assert events == []
    told = new.ask(now=6.0, name="p/x")
    assert told.tried == []
    assert told.gave_up is not None


def test_of_two_open_rests_of_one_place_the_later_end_stands() -> None:
    def row(name: str, seconds: float) -> dict[str, Any]:
        return {
            "cooldown_id": name,
            "scope": "target",
            "route": "",
            "provider": "p",
            "model": "m",
            "credential": "",
            "reason": "overloaded",
            "source": "stated",
            "level": None,
            "started": START.timestamp,
            "until": START.timestamp + round(seconds * MICROS),
        }

    new = play()
    events = restore(new.pool, [row("short", 300.0), row("long", 900.0)], [], at(1.0))
    assert [each.cooldown_id for each in events if isinstance(each, CooldownEnded)] == ["short"]
    assert [rest.cooldown_id for rest in snapshot(new.pool, at(1.0)).rests] == ["long"]
