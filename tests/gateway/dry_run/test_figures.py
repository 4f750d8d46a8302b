"""The figures count what happened, and only that: compared with a run whose every part is known."""

from __future__ import annotations

from dataclasses import fields

from gateway.dry_run.figures import FIGURES, Figures
from gateway.dry_run.stage import play
from tests.gateway.dry_run.building import lasting, script

DOWN = ("simulated: {answer_tokens: 2}", "simulated: {weather: [{failure: server_error}]}")
ALWAYS_DOWN = (
    "weather: [{for_seconds: 600}, {for_seconds: 300, failure: server_error}, {for_seconds: 0}]",
    "weather: [{failure: server_error}]",
)


def test_in_fair_weather_everything_is_served_by_the_primary() -> None:
    figures = play(lasting(script(), 500)).figures
    assert figures.requests > 100
    assert figures.served == figures.requests
    assert (figures.served_share, figures.primary_share, figures.primary_attempts_share) == (
        1,
        1,
        1,
    )
    nothing = ("failed", "wasted_attempts", "switches", "probes", "cooldowns", "session_moves")
    assert [getattr(figures, name) for name in nothing] == [0] * len(nothing)
    assert figures.time_to_leave_seconds is None
    assert figures.time_to_return_seconds is None


def test_an_outage_is_left_and_come_back_from() -> None:
    figures = play(script()).figures
    assert (figures.failed, figures.failed_with_healthy) == (0, 0)
    assert (figures.forced, figures.returns, figures.reversals) == (1, 1, 1)
    assert figures.switches == figures.forced + figures.returns
    assert figures.time_to_leave_seconds is not None
    assert figures.time_to_leave_seconds < 60
    assert figures.time_to_return_seconds is not None
    assert figures.rescued >= 1
    assert figures.wasted_attempts >= figures.rescued
    assert figures.session_switches_per_hour >= 3 / 1.5
    assert 0 < figures.primary_share < 1


def test_where_everything_is_down_nothing_healthy_was_missed() -> None:
    figures = play(lasting(script(DOWN, ALWAYS_DOWN), 300)).figures
    assert figures.failed == figures.requests > 0
    assert figures.failed_with_healthy == 0
    assert figures.served_share == 0
    assert figures.first_content_max_seconds is None


def test_a_failure_beside_a_healthy_target_is_seen_as_one() -> None:
    """The route is made unable to fall back: what it could have done is still known."""
    unable = ("backup:\n      dialect", "backup:\n      billing: metered\n      dialect")
    free = ("primary:\n      dialect", "primary:\n      billing: free\n      dialect")
    shut = ("name: coder,", "name: coder, allow_metered_fallback: false,")
    figures = play(lasting(script(ALWAYS_DOWN, unable, free, shut), 300)).figures
    assert figures.failed == figures.failed_with_healthy > 0


def test_an_answer_that_breaks_off_is_broken_and_not_failed() -> None:
    breaks = (ALWAYS_DOWN[0], "weather: [{failure: stream_broken}]")
    streams = ("turn_seconds: 10", "turn_seconds: 10, stream_share: 1")
    figures = play(lasting(script(breaks, streams), 300)).figures
    assert figures.broken > 0
    assert figures.failed == 0
    assert figures.served + figures.broken == figures.requests


def test_who_hangs_up_is_no_failure() -> None:
    hangs_up = (
        "turn_seconds: 10",
        "turn_seconds: 10, cancel_share: 0.5, cancel_after_seconds: 0.1",
    )
    figures = play(lasting(script(hangs_up), 500)).figures
    assert figures.cancelled > 10
    assert figures.failed == figures.wasted_attempts == figures.switches == 0
    assert figures.served_share == 1


def test_every_figure_has_a_name_to_expect_it_by() -> None:
    assert tuple(each.name for each in fields(Figures)) == FIGURES
