"""Sessions on their way: a home, one sticky detour, and the rules of going home."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from gateway.config import ReturnPolicy, Rotation
from gateway.events import AttemptFinished, SessionMoved
from gateway.routing.seating import OUTCOMES_MIN, session_key
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    Script,
    Told,
    answer,
    at,
    bad,
    candidate_of,
    config,
    credential,
    facts,
    kinds,
    provider,
    route,
    sent,
)

DOWN: Script = {"p": bad("server_error")}


def play(
    *keys: str, others: str = "q", returns: ReturnPolicy = ReturnPolicy.AUTO, **more: Any
) -> Play:
    providers = [
        provider("p", *keys, rotation=Rotation.LEAST_IN_FLIGHT),
        *(provider(name) for name in others),
    ]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets, returns=returns)], **more))


def turns(of: Play, times: Sequence[float], script: Script | None = None, **more: Any) -> list[str]:
    """One turn of session `s` at each of the times: who answered it."""
    told = [of.ask(script, now=now, **{"session": "s", **more}) for now in times]
    return [each.tried[-1] for each in told]


def moves(of: Play | Told) -> list[tuple[str, str, str]]:
    """(kind, from, to) of every move of a session."""
    return [
        (
            event.move,
            f"{event.from_target} {event.from_credential}",
            f"{event.to_target} {event.to_credential}",
        )
        for event in kinds(of.events, SessionMoved)
    ]


def well(of: Play, start: float, end: float, *, every: float = 20.0) -> float:
    """Cold traffic and the session's turns, everything well. The time after it."""
    now = start
    while now < end:
        of.ask(now=now)
        of.ask(now=now + 1.0, session="s")
        now += every
    return now


# -- home ----------------------------------------------------------------------------------------


def test_each_session_stays_on_one_key_and_new_sessions_spread() -> None:
    it = play("a", "b", "c")
    seats: dict[str, set[str]] = {name: set() for name in "xyz"}
    for turn in range(10):
        for name in seats:
            seats[name].update(it.ask(now=turn * 10.0, session=name).tried)
    assert sorted(tuple(keys) for keys in seats.values()) == [
        ("p/m a",),
        ("p/m b",),
        ("p/m c",),
    ]
    assert moves(it) == []


def test_a_key_is_kept_apart_by_client_and_needs_a_session() -> None:
    assert session_key(facts(session="s")) != session_key(facts(session="s", client="other"))
    assert session_key(facts(conversation="hash")) == session_key(facts(session="hash"))
    assert session_key(facts()) == ""


def test_a_hashed_beginning_is_a_session_from_its_second_turn_on() -> None:
    it = play("a", "b")
    first = it.ask(conversation="c", first_turn=True)
    assert first.tried == ["p/m a"]
    # Another conversation that begins alike is another session: it has no cache there.
    assert it.ask(now=1.0, conversation="c", first_turn=True).tried == ["p/m b"]
    assert it.ask(now=2.0, conversation="c").tried == ["p/m b"]
    assert moves(it) == []


def test_conversations_that_begin_alike_part_with_their_first_answers() -> None:
    it = play("a", "b")
    first = it.ask(conversation="c", first_turn=True).tried
    second = it.ask(now=1.0, conversation="c", continued="c1").tried
    other = it.ask(now=2.0, conversation="c", first_turn=True).tried
    assert first == second != other
    for now in (3.0, 4.0):
        assert it.ask(now=now, conversation="c", continued="c2").tried == other
        assert it.ask(now=now, conversation="c", continued="c1").tried == first
    assert len(it.route().sessions) == 2


def test_a_named_session_is_one_from_its_first_turn_on() -> None:
    it = play("a", "b")
    it.ask(session="s", first_turn=True)
    assert it.ask(now=1.0, session="s", first_turn=True).tried == ["p/m a"]


# -- detours -------------------------------------------------------------------------------------


def test_while_a_key_rests_its_session_uses_one_other_key_and_moves_once() -> None:
    it = play("a", "b", "c")
    assert turns(it, [0.0, 1.0, 2.0]) == ["p/m a"] * 3
    other = [it.ask(now=float(n), session="t").tried for n in range(3)]
    # At turn four the key is limited, for a while that outlasts the session.
    limited = {"p/m a": bad("rate_limited", stated=600.0)}
    rest = turns(it, [float(turn) for turn in range(4, 11)], limited)
    assert len(set(rest)) == 1
    assert rest[0] != "p/m a"
    assert moves(it) == [("detour", "p/m a", rest[0])]
    (moved,) = kinds(it.events, SessionMoved)
    assert (moved.session, moved.reason) == ("s", "rate_limited")
    assert [it.ask(now=11.0, session="t").tried] == other[:1]


def test_a_detour_is_sticky_across_targets_too() -> None:
    it = play("a", others="qr")
    turns(it, [0.0])
    first = it.ask(DOWN, now=1.0, session="s")
    assert first.tried == ["p/m a", "q/m main"]
    assert moves(first) == [("detour", "p/m a", "q/m main")]
    assert turns(it, [float(now) for now in range(2, 40)], DOWN) == ["q/m main"] * 38
    assert len(moves(it)) == 1


def test_a_detour_that_fails_is_left_for_another_one() -> None:
    it = play("a", others="qr")
    turns(it, [0.0])
    turns(it, [1.0], DOWN)
    assert turns(it, [2.0], {"q": bad("server_error")}) == ["r/m main"]
    assert moves(it) == [
        ("detour", "p/m a", "q/m main"),
        ("detour", "q/m main", "r/m main"),
    ]


def test_one_rescued_request_moves_nothing_while_home_is_good() -> None:
    it = play("a", "b")
    turns(it, [0.0])
    # A failure of this one answer only: the key rests nowhere, another one rescues.
    hiccup: Script = {"p/m a": bad("overloaded")}
    settings = config(provider("p", "a", "b"), routes=[route("coder", "p/m")], breaker_failures=99)
    it = Play(settings)
    turns(it, [0.0])
    assert turns(it, [1.0], hiccup) == ["p/m b"]
    assert turns(it, [2.0]) == ["p/m a"]
    assert moves(it) == []


def test_a_session_whose_key_was_limited_stays_with_who_served_it_instead() -> None:
    it = play("a")
    turns(it, [0.0])
    call = it.call(now=10.0, session="s")
    assert candidate_of(sent(call, 10.0)) == "p/m a"
    call.failed(bad("rate_limited", stated=1.0), at(10.0), NOT_SEEN)
    assert candidate_of(sent(call, 10.0)) == "q/m main"
    it.events += answer(call, 14.0)
    assert moves(it) == [("detour", "p/m a", "q/m main")]
    assert turns(it, [20.0]) == ["q/m main"]


def test_a_session_that_nobody_can_place_is_still_served() -> None:
    it = play("a", others="")
    turns(it, [0.0])
    it.ask({"p": bad("rate_limited", stated=30.0)}, now=1.0)
    told = it.ask(now=2.0, session="s")
    assert told.gave_up is not None
    assert turns(it, [40.0]) == ["p/m a"]


def test_keys_that_share_a_cache_are_preferred() -> None:
    keys = (
        credential("a", cache_domain="org-1"),
        credential("b", cache_domain="org-2"),
        credential("c", cache_domain="org-1"),
    )
    it = Play(config(provider("p", *keys), routes=[route("coder", "p/m")]))
    turns(it, [0.0])
    assert turns(it, [1.0], {"p/m a": bad("rate_limited", stated=600.0)}) == ["p/m c"]
    assert turns(it, [2.0]) == ["p/m c"]


# -- going home ----------------------------------------------------------------------------------


def detoured(**more: Any) -> Play:
    """A session whose home p has failed at 1 s; it lives on q now."""
    it = play("a", **{"session_pin_seconds": 0.0, **more})
    turns(it, [0.0])
    assert turns(it, [1.0], DOWN) == ["q/m main"]
    return it


def home_at(of: Play, end: float = 4000.0) -> float:
    """When the session goes home, if all is well from now on."""
    now = 400.0
    while now < end:
        of.ask(now=now)
        if any(move[0] == "rehome" for move in moves(of.ask(now=now + 1.0, session="s"))):
            return now + 1.0
        now += 20.0
    return float("inf")


def test_a_warm_session_goes_home_when_home_has_been_stable_long_enough() -> None:
    it = detoured()
    turns(it, [100.0, 200.0, 300.0])
    gone = home_at(it)
    # Ten minutes without a failure, and 98 % good outcomes: probes, then the route's traffic.
    assert 601.0 <= gone < 1500.0
    assert len(it.hop(0).target.health.outcomes) >= OUTCOMES_MIN
    assert turns(it, [gone + 1.0]) == ["p/m a"]
    assert moves(it) == [("detour", "p/m a", "q/m main"), ("rehome", "q/m main", "p/m a")]


def test_the_detour_must_be_old_enough_and_each_return_doubles_what_is_asked() -> None:
    it = detoured(session_pin_seconds=1800.0)
    turns(it, [100.0, 200.0, 300.0])
    first = home_at(it)
    assert 1801.0 <= first < 1830.0
    assert turns(it, [first + 10.0], DOWN) == ["q/m main"]
    now = well(it, first + 30.0, first + 10.0 + 3600.0)
    assert [move[0] for move in moves(it)] == ["detour", "rehome", "detour"]
    well(it, now, now + 400.0)
    assert [move[0] for move in moves(it)] == ["detour", "rehome", "detour", "rehome"]


def test_a_failure_at_home_begins_its_stable_time_anew() -> None:
    it = detoured()
    turns(it, [100.0, 200.0, 300.0])
    well(it, 400.0, 560.0)
    it.hop(0).target.health.bad(at(560.0).instant)
    well(it, 560.0, 1100.0)
    assert [move[0] for move in moves(it)] == ["detour"]


def test_a_home_that_fails_now_and_then_is_not_gone_back_to() -> None:
    it = detoured(session_stable_seconds=0.0)
    for n in range(OUTCOMES_MIN):
        it.hop(0).target.health.outcomes.append(n > 0)
    turns(it, [100.0, 200.0, 300.0, 400.0, 500.0])
    assert [move[0] for move in moves(it)] == ["detour"]


def test_sessions_go_home_one_after_another() -> None:
    it = play("a", session_pin_seconds=0.0, session_idle_seconds=9999.0)
    names = [f"s{n}" for n in range(4)]
    for name in names:
        it.ask(session=name)
    for name in names:
        it.ask(DOWN, now=1.0, session=name)
    home: dict[str, float] = {}
    for tick in range(80, 400):
        now = tick * 10.0
        it.ask(now=now)
        for name in names:
            told = it.ask(now=now + 1.0, session=name)
            if any(move[0] == "rehome" for move in moves(told)):
                home[name] = now
    times = sorted(home.values())
    assert len(times) == 4
    assert all(later - earlier >= 30.0 for earlier, later in pairwise(times))


@pytest.mark.parametrize("returns", [ReturnPolicy.SESSION_END, ReturnPolicy.MANUAL])
def test_other_return_policies_leave_a_warm_session_where_it_is(returns: ReturnPolicy) -> None:
    it = detoured(returns=returns)
    turns(it, [100.0, 200.0, 300.0])
    assert home_at(it) == float("inf")


def test_a_session_that_goes_home_and_fails_there_stays_on_its_detour() -> None:
    it = detoured(session_stable_seconds=0.0)
    it.hop(0).target.health.outcomes.extend([True] * 60)
    it.hop(0).evidence.next_probe = at(9999.0).instant
    turns(it, [100.0, 200.0, 300.0])
    told = it.ask(DOWN, now=400.0, session="s")
    assert told.tried == ["p/m a", "q/m main"]
    assert moves(told) == []
    assert turns(it, [401.0]) == ["q/m main"]


# -- free moments --------------------------------------------------------------------------------


def test_an_idle_session_is_cold_and_goes_where_the_route_is() -> None:
    it = play("a", session_idle_seconds=100.0)
    turns(it, [0.0])
    turns(it, [1.0], DOWN)
    turns(it, [90.0])
    # All is well with p again, but the route has not returned yet.
    it.hop(0).evidence.next_probe = at(9999.0).instant
    assert turns(it, [500.0]) == ["q/m main"]
    assert [move[0] for move in moves(it)] == ["detour"]


def test_a_compacted_session_moves_to_the_route_s_target_and_tells_of_it() -> None:
    it = detoured()
    turns(it, [100.0, 200.0, 300.0], body_tokens=100_000)
    for now in range(400, 480, 16):
        it.ask(now=float(now))
    assert it.route().active is it.hop(0)
    assert turns(it, [500.0], body_tokens=60_000) == ["q/m main"]
    assert turns(it, [510.0], body_tokens=20_000) == ["p/m a"]
    assert moves(it)[-1] == ("rebind", "q/m main", "p/m a")
    assert turns(it, [520.0], body_tokens=21_000) == ["p/m a"]


def test_a_session_begun_on_the_fallback_has_its_home_there() -> None:
    it = play("a")
    it.ask(DOWN)
    assert turns(it, [1.0]) == ["q/m main"]
    for now in range(400, 480, 16):
        it.ask(now=float(now))
        turns(it, [now + 1.0])
    assert it.route().active is it.hop(0)
    assert turns(it, [now + 2.0 for now in range(480, 4000, 60)]) == ["q/m main"] * 59
    assert moves(it) == []


def test_a_session_tells_its_key_with_every_attempt() -> None:
    it = play("a", "b")
    told = it.ask(session="s")
    assert [event.session for event in told.of(AttemptFinished)] == ["s"]
