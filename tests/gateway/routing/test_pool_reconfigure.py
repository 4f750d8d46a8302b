"""A new configuration for a pool at work: what stays keeps its state, what is gone is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.config import Config, Fallback, RouteTarget
from gateway.events import CooldownEnd, CooldownEnded, Event, Switched, SwitchKind
from gateway.routing.hands import Act, Hands
from gateway.routing.snapshot import State, snapshot
from gateway.units import Secret
from tests.gateway.routing.building import (
    SEEN,
    Play,
    at,
    bad,
    config,
    credential,
    provider,
    route,
)

ACT = Act(actor="ada")


def usual(**stability: Any) -> Config:
    return config(
        provider("p", "a", "b"),
        provider("q"),
        provider("r"),
        routes=[route("coder", "p/m", "q/m"), route("writer", "q/m")],
        fallback=Fallback(compatible={"p": ("r",)}),
        **stability,
    )


def with_route(whole: Config, *targets: str) -> Config:
    first, *others = whole.routes
    listed = tuple(RouteTarget(target=each) for each in targets)
    return replace(whole, routes=(replace(first, targets=listed), *others))


def reload(it: Play, fresh: Config, now: float) -> list[Event]:
    return it.pool.reconfigure(fresh, at(now))


def ended(events: list[Event]) -> list[tuple[str, str]]:
    found = [each for each in events if isinstance(each, CooldownEnded)]
    assert all(each.ended is CooldownEnd.SUPERSEDED for each in found)
    return [(f"{each.provider}/{each.model}", each.credential) for each in found]


def test_the_same_configuration_again_changes_nothing() -> None:
    it = Play(usual())
    it.ask({"p": bad("overloaded")}, session="one")
    before = snapshot(it.pool, at(5.0))
    assert reload(it, usual(), 5.0) == []
    assert snapshot(it.pool, at(5.0)) == before
    assert it.ask(now=6.0).tried == ["q/m main"]


def test_parameters_are_obeyed_from_now_on() -> None:
    it = Play(usual())
    reload(it, usual(breaker_failures=1, ladder_decay_seconds=5.0), 1.0)
    it.ask({"p": bad("overloaded")}, now=2.0)
    target = it.hop(0).target
    assert target.spot.cooldown is not None
    assert target.spot.decay_seconds == 5.0
    assert it.hop(0).hold.decay_seconds == 5.0
    assert it.hop(0).stability.breaker_failures == 1


def test_a_target_that_is_gone_takes_its_hold_its_sessions_and_the_pointer_with_it() -> None:
    it = Play(usual())
    it.ask({"p": bad("overloaded")}, session="one")
    assert it.route().active is it.hop(1)
    gone = it.hop(1)
    events = reload(it, with_route(usual(), "p/m", "r/m"), 5.0)
    (moved,) = [each for each in events if isinstance(each, Switched)]
    assert (moved.switch, moved.from_target, moved.to_target, moved.reason) == (
        SwitchKind.OPERATOR,
        "q/m",
        "p/m",
        "reload",
    )
    assert gone not in it.route().hops
    assert len(it.route().sessions) == 0
    assert [each.target for each in snapshot(it.pool, at(5.0)).routes[0].targets] == ["p/m", "r/m"]


def test_a_new_better_target_is_tried_before_it_is_trusted() -> None:
    it = Play(usual())
    it.ask()
    reload(it, with_route(usual(), "r/m", "p/m"), 5.0)
    assert it.route().active.target.name == "p/m"
    told = it.ask(now=6.0)
    assert told.tried == ["r/m main"]
    assert it.route().active.target.name == "p/m"


def test_rests_of_what_is_gone_are_over() -> None:
    it = Play(usual(breaker_failures=1))
    it.ask({"p": bad("overloaded"), "q": bad("auth")})
    assert len(snapshot(it.pool, at(1.0)).rests) == 3
    left = replace(usual(), providers={"r": usual().providers["r"]}, routes=())
    events = reload(it, left, 1.0)
    assert sorted(ended(events)) == [("p/m", ""), ("p/m", ""), ("q/", "main")]
    assert snapshot(it.pool, at(1.0)).rests == ()
    assert it.pool.expire(at(9999.0)) == []


def test_a_changed_key_is_fresh_and_the_others_are_not() -> None:
    it = Play(usual())
    it.ask({"p": bad("auth")})
    whole = usual()
    keys = (
        replace(credential("a"), key=Secret("another")),
        credential("b", priority=2),
        credential("c"),
    )
    p = replace(whole.providers["p"], credentials=keys)
    events = reload(it, replace(whole, providers={**whole.providers, "p": p}), 1.0)
    assert ended(events) == [("p/", "a")]
    view = snapshot(it.pool, at(1.0)).providers[0]
    assert [(each.credential, each.state, each.used) for each in view.credentials] == [
        ("a", State.READY, 0),
        ("c", State.READY, 0),
        ("b", State.COOLING, 1),
    ]


def test_another_address_is_another_account() -> None:
    it = Play(usual(breaker_failures=1))
    it.ask({"p": bad("overloaded")}, session="one")
    whole = usual()
    p = replace(whole.providers["p"], base_url="https://elsewhere.example/v1")
    events = reload(it, replace(whole, providers={**whole.providers, "p": p}), 1.0)
    assert ("p/m", "") in ended(events)
    assert it.hop(0).target.spot.cooldown is None
    assert not it.hop(0).hold.rests(at(1.0).instant)


def test_requests_under_way_end_on_what_they_began_with() -> None:
    it = Play(usual())
    calls = [it.call(session="one") for _ in range(3)]
    for call in calls:
        call.step(at(0.0))
    reload(it, replace(with_route(usual(), "r/m"), routes=(route("coder", "r/m"),)), 1.0)
    served, broken, left = calls
    served.committed(at(2.0))
    served.finished(at(3.0), SEEN)
    broken.failed(bad("overloaded"), at(2.0), SEEN)
    step, _ = broken.step(at(2.0))
    assert type(step).__name__ == "Send"
    left.abandoned(at(4.0), SEEN)
    broken.committed(at(4.0))
    assert it.route().active.target.name == "r/m"
    assert it.pool.providers["p"].in_flight == 0
    session = it.route().sessions.peek("laptop\x1fone")
    assert session is not None
    assert session.home.hop in it.route().hops


def test_a_seat_with_a_key_that_is_gone_is_forgotten() -> None:
    it = Play(usual())
    it.ask(session="one")
    whole = usual()
    p = replace(whole.providers["p"], credentials=(credential("b"),))
    reload(it, replace(whole, providers={**whole.providers, "p": p}), 1.0)
    assert len(it.route().sessions) == 0
    assert it.ask(now=2.0, session="one").tried == ["p/m b"]


def test_a_pin_stays_if_its_target_does() -> None:
    it = Play(usual())
    hands = Hands(it.pool, rng=it._rng)
    hands.pin("coder", "q/m", ACT, at(0.0))
    reload(it, with_route(usual(), "r/m", "q/m"), 1.0)
    assert snapshot(it.pool, at(1.0)).routes[0].pinned == "q/m"
    assert hands.unpin("coder", ACT, at(2.0))[1:] == []
    hands.pin("coder", "q/m", ACT, at(3.0))
    reload(it, with_route(usual(), "r/m"), 4.0)
    assert snapshot(it.pool, at(4.0)).routes[0].pinned == ""
    assert it.ask(now=5.0).tried == ["r/m main"]


def test_a_drained_target_stays_drained() -> None:
    it = Play(usual())
    Hands(it.pool, rng=it._rng).drain("p/m", ACT, at(0.0))
    reload(it, usual(), 1.0)
    assert snapshot(it.pool, at(1.0)).routes[0].targets[0].state is State.DRAINED


def test_chains_of_direct_names_keep_their_holds_while_they_can_be_asked_for() -> None:
    it = Play(usual())
    it.ask({"p": bad("overloaded")}, name="p/m")
    reload(it, usual(), 1.0)
    assert it.ask(now=2.0, name="p/m").tried == ["r/m main"]
    whole = usual()
    reload(it, replace(whole, providers={"q": whole.providers["q"]}, routes=()), 3.0)
    assert it.pool.route("p/m", at(4.0)) is None


def test_a_route_that_is_gone_is_not_watched_any_more() -> None:
    it = Play(usual())
    hop = it.hop(0)
    hop.penalty.add(hop.stability.suppress_at, hop.stability, at(0.0).instant)
    it.pool.restless[it.route()] = None
    reload(it, replace(usual(), routes=usual().routes[1:]), 1.0)
    assert it.pool.expire(at(99_999.0)) == []
