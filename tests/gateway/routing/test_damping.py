"""Penalty, suppression and the budget of voluntary moves: alone as numbers, then on a route."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.config import Damping, Stability
from gateway.events import (
    CandidateSkipped,
    FlappingEnded,
    FlappingStarted,
    SkipReason,
    Switched,
    SwitchKind,
)
from gateway.routing.damping import Moves, Penalty, ceiling
from tests.gateway.routing.building import Play, Script, at, bad, config, provider, route

USUAL = Stability(suppress_at=2500.0)
DOWN: Script = {"p": bad("server_error")}


def value(of: Penalty, seconds: float, stability: Stability = USUAL) -> float:
    return of.value(stability, at(seconds).instant)


def add(of: Penalty, amount: float, seconds: float, stability: Stability = USUAL) -> bool:
    return of.add(amount, stability, at(seconds).instant)


def relax(of: Penalty, seconds: float) -> bool:
    return of.relax(USUAL, at(seconds).instant)


# -- the penalty -----------------------------------------------------------------------------------


def test_a_penalty_halves_with_each_half_life() -> None:
    it = Penalty()
    assert value(it, 0.0) == 0.0
    add(it, 1000.0, 0.0)
    found = [value(it, half * 1800.0) for half in range(4)]
    assert found == pytest.approx([1000.0, 500.0, 250.0, 125.0])


def test_what_is_added_comes_on_top_of_what_is_left() -> None:
    it = Penalty()
    add(it, 1000.0, 0.0)
    add(it, 1000.0, 1800.0)
    assert value(it, 1800.0) == pytest.approx(1500.0)


def test_the_suppress_line_is_crossed_once_and_left_at_the_reuse_line_not_before() -> None:
    it = Penalty()
    assert [add(it, 1000.0, 0.0) for _ in range(4)] == [False, False, True, False]
    # 4000 falls to 2500 after 1221 s and to 800 after 4180 s.
    assert [relax(it, seconds) for seconds in (1300.0, 4100.0, 4200.0, 4300.0)] == [
        False,
        False,
        True,
        False,
    ]


def test_between_the_lines_nothing_changes() -> None:
    it = Penalty()
    add(it, 2499.0, 0.0)
    assert not it.suppresses(USUAL)
    add(it, 1.0, 0.0)
    assert it.suppresses(USUAL)
    assert not relax(it, 1800.0)
    assert value(it, 1800.0) == pytest.approx(1250.0)
    assert it.suppresses(USUAL)


def test_a_penalty_stays_under_a_ceiling_from_which_the_longest_time_leads_to_the_reuse_line() -> (
    None
):
    it = Penalty()
    for _ in range(100):
        add(it, 1000.0, 0.0)
    assert value(it, 0.0) == ceiling(USUAL) == 12_800.0
    assert value(it, USUAL.suppress_max_seconds) == pytest.approx(USUAL.reuse_at)


def test_a_suppression_that_is_fed_all_the_time_ends_after_the_longest_time() -> None:
    it = Penalty()
    add(it, 5000.0, 0.0)
    for minute in range(1, 120):
        add(it, 1000.0, minute * 60.0)
        assert not relax(it, minute * 60.0)
    assert relax(it, 7200.0)
    assert value(it, 7200.0) == pytest.approx(USUAL.reuse_at)


def test_the_end_that_is_told_beforehand_is_the_end() -> None:
    for amount in (2500.0, 4000.0, 12_800.0):
        it = Penalty()
        add(it, amount, 0.0)
        end = it.latest_end(USUAL, at(0.0).instant) - at(0.0).instant
        assert not relax(it, end - 1.0)
        assert relax(it, end + 0.001)


def test_off_counts_nothing_and_observe_counts_and_is_not_obeyed() -> None:
    for mode, counted, obeyed in (
        (Damping.OFF, 0.0, False),
        (Damping.OBSERVE, 3000.0, False),
        (Damping.ENFORCE, 3000.0, True),
    ):
        it, stability = Penalty(), Stability(damping=mode)
        crossed = add(it, 3000.0, 0.0, stability)
        assert (value(it, 0.0, stability), it.suppresses(stability)) == (counted, obeyed)
        assert crossed is (mode is not Damping.OFF)


def test_an_operator_clears_it_and_a_restart_takes_it_over() -> None:
    it = Penalty()
    it.restore(3000.0, USUAL, at(0.0).instant)
    assert value(it, 1800.0) == pytest.approx(1500.0)
    assert it.suppresses(USUAL)
    assert it.clear()
    assert (value(it, 1800.0), it.suppresses(USUAL), it.clear()) == (0.0, False, False)


# -- the budget of moves -----------------------------------------------------------------------


def test_a_burst_of_moves_is_followed_by_one_per_refill() -> None:
    it = Moves()
    taken = [it.take(USUAL, at(seconds).instant) for seconds in (0.0, 1.0, 2.0, 3.0, 1100.0)]
    assert taken == [True, True, True, False, False]
    assert it.take(USUAL, at(1201.0).instant)
    assert not it.take(USUAL, at(1300.0).instant)


@pytest.mark.parametrize("seed", range(20))
def test_in_no_window_are_there_more_moves_than_the_burst_and_the_refills(seed: int) -> None:
    it, rng, now, moved = Moves(), Random(seed), 0.0, []
    for _ in range(300):
        now += rng.expovariate(1 / 200.0)
        if it.take(USUAL, at(now).instant):
            moved.append(now)
    for first, start in enumerate(moved):
        for last in range(first, len(moved)):
            window = moved[last] - start
            assert (
                last - first + 1 <= USUAL.moves_burst + window / USUAL.moves_refill_seconds + 1e-6
            )


# -- on a route --------------------------------------------------------------------------------


def restless(**more: Any) -> Play:
    """A route that leaves and returns as fast as its requests come."""
    stability: dict[str, Any] = {
        "cooldown_min_seconds": 1.0,
        "cooldown_multiplier": 0.0,
        "return_good_answers": 1,
        "return_good_seconds": 0.0,
        "return_good_max_seconds": 0.0,
        "moves_burst": 20,
        "breaker_failures": 99,
        "breaker_min_outcomes": 99,
    }
    settings = config(
        provider("p"), provider("q"), routes=[route("coder", "p/m", "q/m")], **{**stability, **more}
    )
    return Play(settings)


def departures(of: Play, count: int, *, every: float = 40.0) -> float:
    """`p` fails and is well again, so many times. The time after it."""
    for n in range(count):
        of.ask(DOWN, now=n * every)
        of.ask(now=n * every + every / 2)
    return count * every


def switches(of: Play) -> list[SwitchKind]:
    return [event.switch for event in of.events if isinstance(event, Switched)]


def flapping(of: Play) -> list[str]:
    return [e.kind for e in of.events if isinstance(e, FlappingStarted | FlappingEnded)]


def test_a_target_that_is_left_again_and_again_is_suppressed_and_told_once() -> None:
    it = restless()
    now = departures(it, 6)
    # Three departures cross the line; from then on the route stays where it is.
    assert switches(it) == [SwitchKind.FORCED, SwitchKind.RETURN] * 2 + [SwitchKind.FORCED]
    (started,) = [event for event in it.events if isinstance(event, FlappingStarted)]
    assert (started.route, started.target) == ("coder", "p/m")
    line = it.config.stability.suppress_at
    assert line <= started.penalty <= line + 1000.0
    told = it.ask(DOWN, now=now)
    assert told.tried == ["q/m main"]
    (skip,) = told.of(CandidateSkipped)
    assert (skip.reason, skip.cause) == (SkipReason.SUPPRESSED, "flapping")
    assert skip.until is not None
    assert abs(skip.until - started.until) < 2_000_000


def test_a_calm_target_is_returned_to_and_the_end_of_the_flapping_is_told() -> None:
    it = restless()
    departures(it, 6)
    (started,) = [event for event in it.events if isinstance(event, FlappingStarted)]
    end = (started.until - at(0.0).timestamp) / 1_000_000
    assert it.ask(now=end - 5.0).tried == ["q/m main"]
    told = it.ask(now=end + 5.0)
    assert told.tried == ["p/m main"]
    (ended,) = told.of(FlappingEnded)
    assert (ended.route, ended.target) == ("coder", "p/m")
    assert ended.penalty < 800.0
    assert switches(it)[-1] is SwitchKind.RETURN
    assert flapping(it) == ["flapping_started", "flapping_ended"]


def test_observe_tells_the_same_and_decides_as_if_there_were_no_damping() -> None:
    watching, without = restless(damping=Damping.OBSERVE), restless(damping=Damping.OFF)
    departures(watching, 6)
    departures(without, 6)
    assert flapping(watching) == ["flapping_started"]
    assert flapping(without) == []
    assert switches(watching) == switches(without) == [SwitchKind.FORCED, SwitchKind.RETURN] * 6


def test_a_suppressed_target_serves_when_it_is_the_only_one_left() -> None:
    it = restless()
    now = departures(it, 6)
    told = it.ask({"q": bad("rate_limited", stated=30.0)}, now=now)
    assert told.tried == ["q/m main", "p/m main"]
    assert told.gave_up is None


def test_a_failed_probe_costs_a_quarter_of_a_departure() -> None:
    it = restless(moves_burst=0)
    it.ask(DOWN)
    before = value(it.hop(0).penalty, 20.0)
    it.ask(DOWN, now=20.0)
    assert value(it.hop(0).penalty, 20.0) == pytest.approx(before + 250.0)
    # A request that is not a probe and fails elsewhere costs nothing.
    it.ask({"q": bad("rate_limited", stated=1.0)}, now=21.0)
    assert value(it.hop(1).penalty, 21.0) == 0.0


def test_a_return_waits_for_a_token_however_good_the_better_target_is() -> None:
    it = restless(moves_burst=1, moves_refill_seconds=1000.0, damping=Damping.OFF)
    departures(it, 1)
    it.ask(DOWN, now=40.0)
    for now in range(60, 1000, 20):
        it.ask(now=float(now))
    assert switches(it) == [SwitchKind.FORCED, SwitchKind.RETURN, SwitchKind.FORCED]
    for now in range(1000, 1100, 20):
        it.ask(now=float(now))
    assert switches(it)[3:] == [SwitchKind.RETURN]


def test_a_forced_move_needs_no_token() -> None:
    it = restless(moves_burst=0, cooldown_min_seconds=60.0)
    it.ask(DOWN)
    it.ask({"q": bad("server_error")}, now=10.0)
    assert switches(it) == [SwitchKind.FORCED, SwitchKind.FORCED]


def test_a_primary_that_fails_right_after_each_return_is_left_three_times_an_hour_at_most() -> None:
    providers = [provider("p"), provider("q")]
    it = Play(config(*providers, routes=[route("coder", "p/m", "q/m")]))
    left = []
    for now in range(0, 86_400, 7):
        on_it = it.route().active.index == 0
        told = it.ask(DOWN if on_it else {}, now=float(now))
        left += [now for event in told.of(Switched) if event.from_target == "p/m"]
        assert told.gave_up is None
    assert len(left) <= 52
    assert all(sum(start <= now < start + 3600 for now in left) <= 3 for start in left)
