"""What an operator may do, as scripts: acts in, events and the next decisions out."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    CooldownStarted,
    Event,
    FlappingEnded,
    OperatorActed,
    Switched,
    SwitchKind,
)
from gateway.routing.hands import Act, Hands, Place, UnknownPlace
from gateway.routing.snapshot import State, snapshot
from gateway.units import MICROS
from tests.gateway.routing.building import SEEN, Play, at, bad, config, provider, route

ACT = Act(actor="ada", note="maintenance")
DOWN = {"p": bad("overloaded")}


def play(**stability: Any) -> Play:
    providers = [provider("p", "a", "b"), provider("q"), provider("r")]
    routes = [route("coder", "p/m", "q/m", "r/m"), route("writer", "q/m", "p/m")]
    return Play(config(*providers, routes=routes, **stability))


def hands(it: Play) -> Hands:
    return Hands(it.pool, rng=Random(3))


def acted(events: list[Event]) -> OperatorActed:
    """The one act, which comes first."""
    first, *others = events
    assert isinstance(first, OperatorActed)
    assert not [each for each in others if isinstance(each, OperatorActed)]
    return first


def state(it: Play, now: float, place: int = 0) -> State:
    return snapshot(it.pool, at(now)).routes[0].targets[place].state


# -- reset ---------------------------------------------------------------------------------------


def test_a_reset_ends_rest_hold_and_trial_and_brings_the_route_back() -> None:
    it = play(breaker_failures=1)
    it.ask(DOWN)
    events = hands(it).reset(Place(target="p/m"), ACT, at(10.0))
    act = acted(events)
    assert (act.action, act.target, act.provider, act.actor) == ("reset", "p/m", "p", "ada")
    ended = [each for each in events if isinstance(each, CooldownEnded)]
    assert {(each.source, each.ended, each.actor, each.note) for each in ended} == {
        (source, CooldownEnd.OPERATOR, "ada", "maintenance")
        for source in (CooldownSource.LADDER, CooldownSource.HOLD)
    }
    (moved,) = [each for each in events if isinstance(each, Switched)]
    assert (moved.switch, moved.to_target) == (SwitchKind.OPERATOR, "p/m")
    assert it.ask(now=10.0).tried == ["p/m b"]
    assert not it.hop(0).target.spot.unproven


def test_a_reset_of_one_credential_touches_no_other_and_no_route() -> None:
    it = play()
    it.ask({"p/m a": bad("auth"), "p/m b": bad("auth")})
    it.ask(DOWN, now=1.0, name="p/m")
    events = hands(it).reset(Place(provider="p", credential="b"), ACT, at(2.0))
    (ended,) = [each for each in events if isinstance(each, CooldownEnded)]
    assert (ended.credential, ended.reason) == ("b", "auth")
    assert [each.state for each in snapshot(it.pool, at(2.0)).providers[0].credentials] == [
        State.COOLING,
        State.READY,
    ]
    assert not [each for each in events if isinstance(each, Switched)]


def test_a_reset_of_a_credential_leaves_the_counts_of_the_targets() -> None:
    it = play()
    it.ask(DOWN)
    counted = it.hop(0).target.breaker
    before = repr([getattr(counted, name) for name in counted.__slots__])
    hands(it).reset(Place(credential="a"), ACT, at(1.0))
    assert repr([getattr(counted, name) for name in counted.__slots__]) == before


def test_a_reset_of_everything_leaves_nothing_resting() -> None:
    it = play()
    it.ask({**DOWN, "q": bad("auth")})
    it.ask({"q": bad("overloaded")}, name="writer", now=1.0)
    hands(it).reset(Place(), ACT, at(2.0))
    shown = snapshot(it.pool, at(2.0))
    assert shown.rests == ()
    assert [route.active for route in shown.routes] == ["p/m", "q/m"]


def test_a_reset_of_a_provider_is_about_its_targets_and_keys_only() -> None:
    it = play()
    it.ask({**DOWN, "q": bad("overloaded")})
    hands(it).reset(Place(provider="q"), ACT, at(1.0))
    (rest,) = snapshot(it.pool, at(1.0)).rests
    assert rest.provider == "p"


def test_a_reset_leaves_the_pointer_where_it_is_if_the_better_target_flaps_or_is_drained() -> None:
    it = play()
    it.ask(DOWN)
    penalty, stability = it.hop(0).penalty, it.hop(0).stability
    penalty.add(stability.suppress_at, stability, at(1.0).instant)
    hands(it).reset(Place(target="p/m"), ACT, at(1.0))
    assert it.route().active is it.hop(1)
    hands(it).clear_penalty("coder", ACT, at(1.0))
    hands(it).drain("p/m", ACT, at(1.0))
    hands(it).reset(Place(target="p/m"), ACT, at(1.0))
    assert it.route().active is it.hop(1)


# -- rest, drain, enable -------------------------------------------------------------------------


def test_a_rested_target_is_left_without_hold_and_without_penalty() -> None:
    it = play()
    events = hands(it).rest("p/m", Act(actor="ada", expires_seconds=60.0), at(0.0))
    assert acted(events).until == at(60.0).timestamp
    (rest,) = [each for each in events if isinstance(each, CooldownStarted)]
    assert (rest.source, rest.actor, rest.duration_seconds) == (CooldownSource.OPERATOR, "ada", 60)
    told = it.ask(now=1.0)
    assert told.tried == ["q/m main"]
    (moved,) = told.of(Switched)
    assert (moved.switch, moved.reason, moved.hold_seconds) == (SwitchKind.OPERATOR, "operator", 0)
    assert it.hop(0).penalty.value(it.hop(0).stability, at(1.0).instant) == 0.0
    assert state(it, 61.0) is State.READY


def test_a_rest_without_an_end_is_over_after_an_hour() -> None:
    it = play()
    act = acted(hands(it).rest("p/m", ACT, at(0.0)))
    assert act.until == at(3600.0).timestamp
    assert (state(it, 3599.0), state(it, 3601.0)) == (State.COOLING, State.READY)


def test_a_drained_target_takes_nothing_new_until_it_is_enabled() -> None:
    it = play()
    under_way = it.call()
    under_way.step(at(0.0))
    assert acted(hands(it).drain("p/m", ACT, at(1.0))).until is None
    told = it.ask(now=2.0)
    assert told.rows[0] == (1, "p/m", "drained", "operator")
    assert told.tried == ["q/m main"]
    under_way.committed(at(2.0))
    under_way.finished(at(3.0), SEEN)
    assert it.route().active is it.hop(1)
    view = snapshot(it.pool, at(4.0)).routes[0].targets[0]
    assert (view.state, view.until, view.ready_in_seconds) == (State.DRAINED, None, None)
    assert acted(hands(it).enable("p/m", ACT, at(5.0))).action == "enable"
    # Not at once: the route goes back on evidence, and looks for it when a probe is due.
    assert it.ask(now=6.0).tried == ["q/m main"]
    assert it.ask(now=20.0).tried == ["p/m a"]


def test_a_drain_ends_by_itself_where_it_has_an_end() -> None:
    it = play()
    hands(it).drain("p/m", Act(actor="ada", expires_seconds=30.0), at(0.0))
    view = snapshot(it.pool, at(10.0)).routes[0].targets[0]
    assert (view.until, view.ready_in_seconds) == (at(30.0).timestamp, 20.0)
    assert (state(it, 29.0), state(it, 31.0)) == (State.DRAINED, State.READY)


def test_enabling_ends_an_operators_rest_and_no_other() -> None:
    it = play(breaker_failures=1)
    it.ask(DOWN)
    hands(it).enable("p/m", ACT, at(1.0))
    assert state(it, 1.0) is State.COOLING
    hands(it).rest("q/m", ACT, at(1.0))
    events = hands(it).enable("q/m", ACT, at(2.0))
    assert [each.ended for each in events if isinstance(each, CooldownEnded)] == [
        CooldownEnd.OPERATOR
    ]


def test_a_target_that_only_a_client_could_name_can_be_drained() -> None:
    it = play()
    hands(it).drain("p/other", ACT, at(0.0))
    told = it.ask(now=1.0, name="p/other")
    assert told.gave_up is not None
    assert told.tried == []


# -- pin, unpin ----------------------------------------------------------------------------------


def test_a_pinned_target_serves_and_others_stand_in_while_it_cannot() -> None:
    it = play()
    events = hands(it).pin("coder", "r/m", ACT, at(0.0))
    assert acted(events).until is None
    (moved,) = [each for each in events if isinstance(each, Switched)]
    assert (moved.from_target, moved.to_target, moved.reason) == ("p/m", "r/m", "pin")
    assert it.ask(now=1.0).tried == ["r/m main"]
    assert it.ask({"r": bad("overloaded")}, now=2.0).tried == ["r/m main", "p/m a"]
    assert it.route().active is it.hop(2)
    view = snapshot(it.pool, at(3.0)).routes[0]
    assert (view.pinned, view.pinned_until) == ("r/m", None)


def test_a_pin_that_runs_out_gives_the_route_back() -> None:
    it = play()
    hands(it).pin("coder", "q/m", Act(actor="ada", expires_seconds=60.0), at(0.0))
    assert snapshot(it.pool, at(1.0)).routes[0].pinned_until == at(60.0).timestamp
    told = it.ask(now=61.0)
    (moved,) = told.of(Switched)
    assert (moved.switch, moved.to_target, moved.reason) == (
        SwitchKind.OPERATOR,
        "p/m",
        "pin_expired",
    )
    assert told.tried == ["p/m a"]


def test_a_second_pin_remembers_where_the_route_stood_before_the_first() -> None:
    it = play()
    hands(it).pin("coder", "q/m", ACT, at(0.0))
    hands(it).pin("coder", "r/m", ACT, at(1.0))
    events = hands(it).unpin("coder", ACT, at(2.0))
    assert acted(events).action == "unpin"
    assert it.route().active is it.hop(0)
    assert hands(it).unpin("coder", ACT, at(3.0))[1:] == []


def test_an_unpinned_route_does_not_go_back_to_a_target_that_is_held() -> None:
    it = play()
    hands(it).pin("coder", "q/m", ACT, at(0.0))
    it.ask({"q": bad("overloaded"), "p": bad("overloaded")}, now=1.0)
    assert hands(it).unpin("coder", ACT, at(2.0))[1:] == []
    assert it.route().active is it.hop(1)


# -- penalties -----------------------------------------------------------------------------------


def test_a_cleared_penalty_ends_flapping_at_once() -> None:
    it = play()
    hop = it.hop(0)
    hop.penalty.add(hop.stability.suppress_at, hop.stability, at(0.0).instant)
    assert snapshot(it.pool, at(1.0)).routes[0].flapping
    events = hands(it).clear_penalty("coder", ACT, at(60.0))
    (calm,) = [each for each in events if isinstance(each, FlappingEnded)]
    assert (calm.target, calm.penalty, calm.duration_seconds) == ("p/m", 0.0, 60.0)
    shown = snapshot(it.pool, at(60.0)).routes[0]
    assert (shown.flapping, shown.targets[0].penalty) == (False, 0.0)


# -- all of them ---------------------------------------------------------------------------------


def test_every_act_is_told_with_who_why_and_how_long() -> None:
    it = play()
    act = Act(actor="ada", note="why", expires_seconds=5.0)
    does = hands(it)
    told = [
        acted(events)
        for events in (
            does.reset(Place(provider="p"), act, at(0.0)),
            does.rest("p/m", act, at(0.0)),
            does.enable("p/m", act, at(0.0)),
            does.drain("p/m", act, at(0.0)),
            does.pin("coder", "q/m", act, at(0.0)),
            does.unpin("coder", act, at(0.0)),
            does.clear_penalty("coder", act, at(0.0)),
        )
    ]
    assert {(each.actor, each.note) for each in told} == {("ada", "why")}
    assert [(each.action, each.route, each.target) for each in told] == [
        ("reset", "", ""),
        ("rest", "", "p/m"),
        ("enable", "", "p/m"),
        ("drain", "", "p/m"),
        ("pin", "coder", "q/m"),
        ("unpin", "coder", ""),
        ("clear_penalty", "coder", ""),
    ]
    ends = {each.action: each.until for each in told}
    later = at(0.0).timestamp + 5 * MICROS
    assert {name for name, until in ends.items() if until == later} == {"rest", "drain", "pin"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place(target="p/zzz/none"), None),
        (Place(target="nobody/m"), "there is no target 'nobody/m'; there are"),
        (Place(target="p/m", provider="q"), "target 'p/m' is none of provider 'q'"),
        (Place(provider="nobody"), "there is no provider 'nobody'"),
        (Place(credential="c"), "there is no credential 'c'"),
        (Place(provider="q", credential="a"), "there is no credential 'a'"),
    ],
)
def test_an_unknown_place_is_refused_by_name(place: Place, said: str | None) -> None:
    it = play()
    if said is None:  # A provider without a list of models may be asked for any.
        hands(it).reset(place, ACT, at(0.0))
        return
    with pytest.raises(UnknownPlace, match=said):
        hands(it).reset(place, ACT, at(0.0))


def test_an_unknown_route_or_target_of_it_is_refused_with_what_there_is() -> None:
    it = play()
    with pytest.raises(UnknownPlace, match="there are coder, writer"):
        hands(it).unpin("codr", ACT, at(0.0))
    with pytest.raises(UnknownPlace, match="it has q/m, p/m"):
        hands(it).pin("writer", "r/m", ACT, at(0.0))
    assert it.events == []


def test_who_waits_looks_again_when_an_operator_made_room() -> None:
    it = play()
    for name in ("p/m", "q/m", "r/m"):
        hands(it).rest(name, Act(actor="ada", expires_seconds=1.5), at(0.0))
    waiting = it.call()
    step, _ = waiting.step(at(0.0))
    assert type(step).__name__ == "Wait"
    assert it.pool.waiting.woken() == []
    hands(it).enable("q/m", ACT, at(0.5))
    assert it.pool.waiting.woken() == [waiting.facts.request_id]
