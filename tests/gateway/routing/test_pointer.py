"""Where a route's pointer stands and what it leaves behind: requests in, holds and switches out."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import Damping
from gateway.events import CooldownSource, CooldownStarted, Switched, SwitchKind
from gateway.routing.policy import JITTER
from gateway.routing.steps import Seen
from tests.gateway.routing.building import (
    NOT_SEEN,
    SEEN,
    Play,
    Script,
    Told,
    at,
    bad,
    config,
    provider,
    route,
)


def play(**stability: Any) -> Play:
    providers = [provider("p"), provider("q"), provider("r")]
    routes = [route("coder", "p/m", "q/m", "r/m"), route("writer", "p/m", "q/m")]
    return Play(config(*providers, routes=routes, **stability))


def hold(told: Told) -> CooldownStarted:
    (event,) = holds(told)
    return event


def holds(told: Told) -> list[CooldownStarted]:
    return [each for each in told.of(CooldownStarted) if each.source is CooldownSource.HOLD]


def moves(told: Told) -> list[tuple[str, str, SwitchKind, str]]:
    return [
        (each.from_target, each.to_target, each.switch, each.reason) for each in told.of(Switched)
    ]


def returning(of: Play, now: float) -> list[Told]:
    """Five good probes of a better target, over a little more than a minute."""
    return [of.ask(now=now + 16.0 * n) for n in range(5)]


DOWN: Script = {"p": bad("server_error")}


def test_ill_health_starts_the_hold_at_the_first_request_that_leaves_the_target() -> None:
    told = play().ask(DOWN)
    event = hold(told)
    assert (event.route, event.provider, event.model) == ("coder", "p", "m")
    assert (event.reason, event.trigger_attempt_id) == ("server_error", "r1.1")
    assert 300.0 <= event.duration_seconds <= 300.0 * (1 + JITTER)
    assert moves(told) == [("p/m", "q/m", SwitchKind.FORCED, "server_error")]


def test_the_hold_is_told_before_the_next_attempt_and_the_switch_when_it_has_content() -> None:
    kinds = [event.kind for event in play().ask(DOWN).events]
    assert kinds == [
        "attempt_finished",
        "cooldown_started",
        "switched",
        "attempt_finished",
        "request_finished",
    ]


def test_a_switch_tells_dwell_hold_and_whether_it_undoes_the_one_before() -> None:
    it = play()
    (down,) = it.ask(DOWN, now=50.0).of(Switched)
    assert (down.dwell_seconds, down.penalty, down.reversal) == (50.0, 1000.0, False)
    assert down.hold_seconds == pytest.approx(it.hop(0).hold.cooldown.seconds)  # type: ignore[union-attr]
    (up,) = returning(it, 500.0)[-1].of(Switched)
    assert (up.switch, up.reason, up.hold_seconds) == (SwitchKind.RETURN, "recovered", 0.0)
    assert (up.dwell_seconds, up.reversal) == (514.0, True)


def test_a_short_limit_moves_the_request_and_not_the_route() -> None:
    it = play()
    told = it.ask({"p": bad("rate_limited", stated=60.0 / 1.2)})
    assert told.tried == ["p/m main", "q/m main"]
    assert (holds(told), moves(told)) == ([], [])
    assert it.route().active.target.name == "p/m"


def test_a_long_limit_of_all_keys_moves_the_route() -> None:
    told = play().ask({"p": bad("rate_limited", stated=3600.0)})
    assert moves(told) == [("p/m", "q/m", SwitchKind.FORCED, "rate_limited")]
    event = hold(told)
    assert 1.5 * 3600.0 <= event.duration_seconds <= 1.5 * 3602.0 * (1 + JITTER)


def test_the_hold_is_the_multiple_of_its_cause_or_the_minimum() -> None:
    for stated, least in ((100.0, 300.0), (250.0, 375.0)):
        told = play(long_unavailable_seconds=10.0).ask({"p": bad("rate_limited", stated=stated)})
        most = max(300.0, 1.5 * (stated + 2.0)) * (1 + JITTER)
        assert least <= hold(told).duration_seconds <= most


def test_a_key_left_over_keeps_the_route_however_long_the_other_rests() -> None:
    two = provider("p", "a", "b")
    it = Play(config(two, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    told = it.ask({"p/m a": bad("auth")})
    assert told.tried == ["p/m a", "p/m b"]
    assert (holds(told), moves(told)) == ([], [])


def test_a_running_hold_is_not_lengthened_by_stragglers() -> None:
    it = play()
    late = [it.call(), it.call()]
    for call in late:
        call.step(at(0.0))
    first = hold(it.ask(DOWN))
    for call in late:
        call.failed(bad("server_error"), at(30.0), NOT_SEEN)
        _, events = call.step(at(30.0))
        assert events == []
    cooldown = it.hop(0).hold.cooldown
    assert cooldown is not None
    assert at(0.0).at(cooldown.until) == first.until


def test_a_late_answer_of_a_held_target_does_not_take_the_pointer_back() -> None:
    it = play()
    slow = it.call()
    slow.step(at(0.0))
    it.ask(DOWN)
    assert it.route().active.target.name == "q/m"
    assert slow.committed(at(10.0)) == []
    slow.finished(at(11.0), SEEN)
    assert it.route().active.target.name == "q/m"


def test_a_target_opened_through_another_route_is_left_with_a_hold_here_too() -> None:
    it = play()
    # Three requests of the other route, under way together: their failures open p's breaker.
    stragglers = [it.call("writer") for _ in range(3)]
    for call in stragglers:
        call.step(at(0.0))
    for call in stragglers:
        call.failed(bad("server_error"), at(1.0), NOT_SEEN)
    assert it.hop(0).target.spot.rests(at(1.0).instant)
    told = it.ask(now=2.0)
    assert told.tried == ["q/m main"]
    assert hold(told).route == "coder"
    assert moves(told) == [("p/m", "q/m", SwitchKind.FORCED, "server_error")]
    assert it.ask(now=100.0).tried == ["q/m main"]


def test_a_broken_stream_holds_its_target_for_the_next_request() -> None:
    it = play()
    call = it.call()
    call.step(at(0.0))
    call.committed(at(1.0))
    events = call.failed(bad("stream_broken"), at(2.0), Seen(bytes_sent=5))
    assert [event.kind for event in events] == ["attempt_finished", "cooldown_started"]
    assert it.ask(now=3.0).tried == ["q/m main"]


def test_the_only_target_of_a_route_is_never_held() -> None:
    it = Play(config(provider("p"), routes=[route("coder", "p/m")]))
    told = it.ask(DOWN)
    assert holds(told) == []


def test_a_second_fallback_is_left_for_the_third_and_each_return_goes_as_far_as_it_can() -> None:
    it = play()
    it.ask(DOWN)
    told = it.ask({"q": bad("overloaded")}, now=200.0)
    assert moves(told) == [("q/m", "r/m", SwitchKind.FORCED, "overloaded")]
    # p's hold has ended, q's has not.
    back = returning(it, 400.0)
    assert [each.tried for each in back] == [["p/m main"]] * 5
    assert [moves(each) for each in back[:4]] == [[]] * 4
    assert moves(back[4]) == [("r/m", "p/m", SwitchKind.RETURN, "recovered")]


def test_when_all_are_held_the_route_s_first_serves_and_has_the_pointer() -> None:
    it = play()
    it.ask(DOWN)
    it.ask({"q": bad("server_error")}, now=10.0)
    told = it.ask({"r": bad("server_error")}, now=20.0)
    assert told.tried == ["r/m main", "p/m main"]
    assert moves(told) == [("r/m", "p/m", SwitchKind.FORCED, "server_error")]


def test_a_client_s_own_fault_moves_nothing() -> None:
    for failure in ("bad_request", "content_policy", "context_too_long", "deadline"):
        it = play()
        told = it.ask({"p": bad(failure)})
        assert told.tried == ["p/m main"]
        assert [event.kind for event in told.events] == ["attempt_finished", "request_finished"]


def test_a_provider_s_hold_parameters_stand_under_the_route_s() -> None:
    quick = provider("p", stability={"cooldown_min_seconds": 20.0})
    own = route("coder", "p/m", "q/m")
    other = route("writer", "p/m", "q/m", stability={"cooldown_min_seconds": 40.0})
    it = Play(config(quick, provider("q"), routes=[own, other]))
    assert 20.0 <= hold(it.ask(DOWN)).duration_seconds <= 24.0
    assert 40.0 <= hold(it.ask(DOWN, name="writer")).duration_seconds <= 48.0


# -- returns ---------------------------------------------------------------------------------------


def test_a_target_without_a_hold_is_left_only_when_it_opens() -> None:
    it = play(cooldown_min_seconds=0.0, cooldown_multiplier=0.0)
    told = [it.ask(DOWN, now=float(n)) for n in range(4)]
    assert [holds(each) for each in told] == [[]] * 4
    assert [moves(each) for each in told] == [
        [],
        [],
        [("p/m", "q/m", SwitchKind.FORCED, "server_error")],
        [],
    ]
    assert told[3].tried == ["q/m main"]


def test_the_answers_of_sessions_that_stayed_are_evidence_too() -> None:
    it = play()
    it.ask(session="s")
    it.route().active = it.hop(1)
    it.hop(0).evidence.next_probe = at(9999.0).instant
    told = [it.ask(now=10.0 + 16.0 * n, session="s") for n in range(5)]
    assert [each.tried for each in told] == [["p/m main"]] * 5
    assert moves(told[4]) == [("q/m", "p/m", SwitchKind.RETURN, "recovered")]


def test_a_forced_move_may_go_up_without_any_evidence() -> None:
    it = play()
    it.ask(DOWN)
    told = it.ask({"q": bad("server_error"), "p": []}, now=400.0)
    assert told.tried == ["p/m main"]
    told = it.ask({"q": bad("server_error")}, now=401.0)
    assert told.tried == ["q/m main", "p/m main"]
    assert moves(told) == [("q/m", "p/m", SwitchKind.FORCED, "server_error")]


def test_a_target_that_was_left_soon_must_next_time_be_well_for_longer() -> None:
    it = play(damping=Damping.OFF)
    it.ask(DOWN)
    assert moves(returning(it, 400.0)[-1]) == [("q/m", "p/m", SwitchKind.RETURN, "recovered")]
    # It was well from 400 s to 600 s: half as long again is asked for now.
    it.ask(DOWN, now=600.0)
    back = [it.ask(now=1000.0 + 16.0 * n) for n in range(25)]
    when = next(n for n, told in enumerate(back) if moves(told))
    assert 16.0 * (when - 1) < 1.5 * 200.0 <= 16.0 * when


def test_an_operator_s_drain_moves_the_route_and_costs_the_target_nothing() -> None:
    it = play()
    it.hop(0).target.drained_until = at(600.0).instant
    told = it.ask(now=1.0)
    assert moves(told) == [("p/m", "q/m", SwitchKind.OPERATOR, "operator")]
    assert holds(told) == []
    assert it.hop(0).penalty.value(it.hop(0).stability, at(1.0).instant) == 0.0
