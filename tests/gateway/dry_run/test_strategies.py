"""Other strategies over the same core, and that this design is steadier than all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dry_run import reading
from gateway.dry_run.figures import Figures
from gateway.dry_run.stage import play
from gateway.dry_run.strategies import GOLDEN, STRATEGIES, THIS, under
from tests.gateway.dry_run.building import script

OWN = ("name: coder,", "name: coder, stability: {cooldown_min_seconds: 99, max_attempts: 2},")


def figures(scenario: str, strategy: str, *, hours: float) -> Figures:
    made = reading.load(scenario, cwd=Path())
    return play(under(made, strategy, seconds=hours * 3600), timeline=False).figures


def test_a_strategy_wins_over_what_routes_have_of_their_own() -> None:
    blind = under(script(OWN), "cooldown 60 s").config
    [route] = blind.routes
    assert blind.route_stability(route).cooldown_min_seconds == 0
    assert blind.route_stability(route).max_attempts == 2
    this = under(script(OWN), THIS)
    assert this.config == script(OWN).config
    assert this.expected == ()


def test_each_golden_scenario_is_shipped() -> None:
    assert set(GOLDEN) <= set(reading.shipped())


@pytest.mark.parametrize("scenario", ["alternating-30s", "random-errors", "rate-limit"])
def test_this_design_moves_sessions_least_and_misses_nobody(scenario: str) -> None:
    found = {name: figures(scenario, name, hours=1) for name in ("always primary", "cooldown 60 s")}
    this = figures(scenario, THIS, hours=1)
    assert this.failed_with_healthy == 0
    for other in found.values():
        assert this.session_switches_per_hour < other.session_switches_per_hour / 2


@pytest.mark.parametrize(
    ("scenario", "reference"), [("alternating-5min", 0.3), ("rate-limit", 1.8)]
)
def test_six_hours_are_no_worse_than_in_the_model_that_the_design_started_from(
    scenario: str, reference: float
) -> None:
    """All rows are held by the simulation of the core; these two with the relay around it."""
    found = figures(scenario, THIS, hours=6)
    assert round(found.session_switches_per_hour, 1) <= reference
    assert found.failed_with_healthy == 0


def test_always_primary_asks_the_primary_each_time() -> None:
    found = figures("alternating-30s", "always primary", hours=0.5)
    assert found.primary_attempts_share > 0.99
    assert found.failed == 0


def test_a_fixed_cooldown_is_that_long_and_no_longer() -> None:
    found = figures("outage", "cooldown 60 s", hours=1)
    # Twenty minutes of outage, looked at once a minute or a little less often.
    assert 14 <= found.failed_probes <= 20


def test_all_strategies_are_there() -> None:
    assert list(STRATEGIES)[-1] == THIS
    assert len(STRATEGIES) == 5
