"""The golden table: this design at least as calm as the reference, and no request lost.

The whole table, all strategies, is printed by `python -m tests.simulation.golden`.
"""

from __future__ import annotations

import pytest

from gateway.dry_run.strategies import GOLDEN as COMPARED
from tests.simulation import shipped
from tests.simulation.golden import GOLDEN, TRAFFIC, Figures, play
from tests.simulation.strategies import STRATEGIES, THIS

REFERENCE = {
    "alternates 30 s / 30 s": 0.8,
    "alternates 5 min / 5 min": 0.3,
    "20 % random errors": 0.4,
    "one 20 min outage": 0.33,
    "demand 1.5 × the rate limit": 1.8,
}
"""Session switches per session-hour of the model that the design started from, to its digits."""
MOVES = {"alternates 10 min / 10 min": 4.0, "10 min outage each hour": 12.0}
"""Moves of the route in six hours; the latter has six outages, and each is answered."""
SEEDS = (1,)


def rounded(figures: Figures, like: float) -> float:
    digits = len(f"{like}".partition(".")[2])
    return round(figures.switches_per_session_hour, digits)


@pytest.fixture(scope="module")
def found() -> dict[str, Figures]:
    return {name: play(sky, STRATEGIES[THIS], seeds=SEEDS) for name, sky in GOLDEN.items()}


def test_the_table_is_that_of_the_comparison() -> None:
    assert set(shipped.SCENARIOS) == set(REFERENCE)
    assert list(shipped.SCENARIOS.values()) == list(COMPARED)
    assert all(shipped.traffic(row) == TRAFFIC for row in shipped.SCENARIOS)


@pytest.mark.parametrize("weather", REFERENCE)
def test_sessions_switch_no_more_often_than_in_the_reference(
    found: dict[str, Figures], weather: str
) -> None:
    assert rounded(found[weather], REFERENCE[weather]) <= REFERENCE[weather]


@pytest.mark.parametrize("weather", GOLDEN)
def test_no_request_fails_while_the_fallback_is_well(
    found: dict[str, Figures], weather: str
) -> None:
    assert found[weather].failed == 0
    assert found[weather].requests > 10_000


@pytest.mark.parametrize("weather", GOLDEN)
def test_hardly_an_attempt_is_wasted(found: dict[str, Figures], weather: str) -> None:
    assert found[weather].wasted_per_request <= 0.01


@pytest.mark.parametrize("weather", MOVES)
def test_incidents_that_come_and_go_do_not_swing_the_route(
    found: dict[str, Figures], weather: str
) -> None:
    assert found[weather].moves_per_six_hours <= MOVES[weather]


def test_a_primary_that_is_well_again_gets_its_sessions_back(found: dict[str, Figures]) -> None:
    assert found["one 20 min outage"].primary_share >= 0.8


@pytest.mark.parametrize(("strategy", "least"), [("always primary", 40.0), ("cooldown 60 s", 2.0)])
def test_the_simple_ways_are_far_worse(strategy: str, least: float) -> None:
    sky = GOLDEN["alternates 30 s / 30 s"]
    figures = play(sky, STRATEGIES[strategy], seeds=(1,), hours=1)
    assert figures.switches_per_session_hour >= least
    assert figures.failed == 0
