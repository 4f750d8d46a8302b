"""The pool as others see it: names, states and times, and no secret."""

from __future__ import annotations

from dataclasses import asdict
from random import Random

from gateway.config import Dialect, Provider
from gateway.events import CooldownSource, Scope
from gateway.routing.hands import Act, Hands
from gateway.routing.snapshot import STATE_CODES, Snapshot, State, snapshot
from tests.gateway.routing.building import Play, at, bad, config, provider, route


def play() -> Play:
    providers = [provider("p", "a", "b"), provider("q")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m")]))


def states(of: Snapshot) -> list[tuple[str, State, str, bool]]:
    return [(each.target, each.state, each.reason, each.active) for each in of.routes[0].targets]


def test_a_fresh_pool_is_ready_with_the_pointer_on_the_first_target() -> None:
    shown = snapshot(play().pool, at(5.0))
    assert states(shown) == [("p/m", State.READY, "", True), ("q/m", State.READY, "", False)]
    view = shown.routes[0]
    assert (view.route, view.active, view.dwell_seconds) == ("coder", "p/m", 5.0)
    assert view.active_since == at(0.0).timestamp
    assert shown.rests == ()
    assert shown.now == at(5.0).timestamp


def test_a_left_target_is_held_and_the_pointer_is_on_the_fallback() -> None:
    it = play()
    it.ask({"p": bad("server_error")})
    shown = snapshot(it.pool, at(1.0))
    assert states(shown) == [
        ("p/m", State.HELD, "server_error", False),
        ("q/m", State.READY, "", True),
    ]
    held = shown.routes[0].targets[0]
    assert (held.ready_in_seconds, held.credentials_ready, held.credentials) == (0.0, 2, 2)
    (rest,) = shown.rests
    assert (rest.scope, rest.route, rest.source) == (Scope.TARGET, "coder", CooldownSource.HOLD)
    assert rest.until == held.until
    assert 299.0 <= rest.remaining_seconds <= 359.0


def test_a_target_with_one_resting_key_is_ready_and_says_how_many_are() -> None:
    it = play()
    it.ask({"p/m a": bad("auth")})
    target = snapshot(it.pool, at(1.0)).routes[0].targets[0]
    assert (target.state, target.credentials_ready, target.credentials) == (State.READY, 1, 2)


def test_a_target_without_a_ready_key_cools_until_the_soonest_of_them() -> None:
    it = play()
    it.ask({"p/m a": bad("auth"), "p/m b": bad("rate_limited", stated=20.0)})
    shown = snapshot(it.pool, at(1.0))
    target = shown.routes[0].targets[0]
    assert (target.state, target.reason) == (State.COOLING, "rate_limited")
    assert target.ready_in_seconds is not None
    assert 19.0 <= target.ready_in_seconds <= 21.0
    a, b = shown.providers[0].credentials
    assert (a.state, a.reason, a.used) == (State.COOLING, "auth", 1)
    # The limit is the model's: the key itself is ready for others.
    assert (b.state, b.reason, b.until) == (State.READY, "", None)


def test_rests_are_listed_soonest_end_first_and_only_while_they_run() -> None:
    it = play()
    it.ask({"p/m a": bad("auth"), "p/m b": bad("rate_limited", stated=20.0)})
    ends = [rest.until for rest in snapshot(it.pool, at(1.0)).rests]
    assert ends == sorted(ends)
    assert len(ends) == 2
    # Nobody has noticed the end yet, and it is over all the same.
    assert [rest.reason for rest in snapshot(it.pool, at(30.0)).rests] == ["auth"]


def test_a_provider_without_credentials_is_disabled_and_never_holds_the_pointer() -> None:
    bare = Provider(name="p", dialect=Dialect.OPENAI)
    it = Play(config(bare, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    assert states(snapshot(it.pool, at(0.0))) == [
        ("p/m", State.DISABLED, "", False),
        ("q/m", State.READY, "", True),
    ]


def test_places_in_flight_are_shown() -> None:
    it = play()
    it.call().step(at(0.0))
    view = snapshot(it.pool, at(0.0)).providers[0]
    assert (view.in_flight, [each.in_flight for each in view.credentials]) == (1, [1, 0])


def test_no_secret_is_in_a_snapshot() -> None:
    it = play()
    it.ask({"p": bad("server_error")})
    assert "secret-of-" not in repr(asdict(snapshot(it.pool, at(1.0))))


def test_every_state_has_a_code_of_its_own() -> None:
    assert set(STATE_CODES) == set(State)
    assert len(set(STATE_CODES.values())) == len(State)


def test_a_pin_a_drain_and_a_flap_are_shown_with_their_ends() -> None:
    it = play()
    hands = Hands(it.pool, rng=Random(1))
    hands.drain("q/m", Act(actor="ada", expires_seconds=50.0), at(0.0))
    hands.pin("coder", "p/m", Act(actor="ada"), at(0.0))
    hop = it.hop(0)
    hop.penalty.add(hop.stability.suppress_at, hop.stability, at(0.0).instant)
    view = snapshot(it.pool, at(10.0)).routes[0]
    assert (view.pinned, view.pinned_until, view.flapping) == ("p/m", None, True)
    flaps, drained = view.targets
    assert (flaps.state, flaps.reason, flaps.suppressed) == (State.SUPPRESSED, "flapping", True)
    assert flaps.penalty < hop.stability.suppress_at
    assert flaps.until is not None
    assert flaps.until > at(600.0).timestamp
    assert (drained.state, drained.reason, drained.until, drained.ready_in_seconds) == (
        State.DRAINED,
        "operator",
        at(50.0).timestamp,
        40.0,
    )


def test_a_target_on_trial_and_one_that_is_being_tested_are_told_apart() -> None:
    it = play()
    it.ask({"p": bad("server_error", stated=5.0)})
    hold = it.hop(0).hold.cooldown
    assert hold is not None
    later = hold.until - at(0.0).instant + 1.0
    it.pool.expire(at(later))
    assert states(snapshot(it.pool, at(later)))[0][1] is State.TRIAL
    it.call(now=later).step(at(later))
    assert states(snapshot(it.pool, at(later)))[0][1] is State.PROBING


def test_sessions_waiters_and_moves_are_counted() -> None:
    it = play()
    it.ask(session="one")
    view = snapshot(it.pool, at(0.0)).routes[0]
    assert (view.sessions, view.waiting, view.moves_left) == (1, 0, 3.0)
    assert view.targets[0].good_answers == 0
