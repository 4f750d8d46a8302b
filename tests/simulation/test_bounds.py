"""Bounds on moves: a primary that fails right after each return, and one that is well for good."""

from __future__ import annotations

import pytest

from gateway.config import Damping, Stability
from gateway.events import Failure
from tests.simulation.adversary import betrayed, most_within, time_to_return
from tests.simulation.weathers import FOR_EVER, Sky, Spell

HOUR = 3600.0
DAY_HOURS = 24.0
DEFAULT = Stability()
UNDAMPED = Stability(
    damping=Damping.OFF,
    moves_burst=10**6,
    moves_refill_seconds=1e-6,
    return_good_max_seconds=DEFAULT.return_good_seconds,
)
"""The fallback cooldown alone."""


@pytest.mark.parametrize("patience", [0.0, 100.0, 300.0])
def test_a_primary_that_fails_after_each_return_is_left_three_times_an_hour_and_52_a_day(
    patience: float,
) -> None:
    traitor = betrayed(DEFAULT, hours=DAY_HOURS, seed=3, every=10.0, patience=patience)
    assert len(traitor.returns) >= 20, "it must be given its chances"
    assert most_within(traitor.departures, HOUR) <= 3
    assert len(traitor.departures) <= 52


def test_the_fallback_cooldown_alone_would_leave_it_many_times_as_often() -> None:
    traitor = betrayed(UNDAMPED, hours=DAY_HOURS / 4, seed=3, every=10.0)
    assert most_within(traitor.departures, HOUR) >= 8
    assert len(traitor.departures) >= 45


def longest_return(stability: Stability) -> float:
    """What docs/stability.md promises for a target that is well for good, with cold traffic."""
    hold = stability.cooldown_multiplier * stability.breaker_cap_seconds * 1.2 * 1.2
    return (
        max(stability.breaker_cap_seconds * 1.2, hold, stability.suppress_max_seconds)
        + stability.probe_gap_max_seconds
        + stability.return_good_max_seconds
        + stability.moves_refill_seconds
    )


FAIR = Spell(seconds=FOR_EVER)
WEATHERS = {
    "one outage": Sky(
        spells=(Spell(seconds=600), Spell(seconds=1200, failure=Failure.OVERLOADED), FAIR)
    ),
    "a morning of flapping": Sky(
        spells=(*(Spell(seconds=500), Spell(seconds=90, failure=Failure.SERVER_ERROR)) * 20, FAIR)
    ),
    "limits": Sky(
        spells=(
            *(
                Spell(seconds=200),
                Spell(seconds=200, failure=Failure.RATE_LIMITED, stated=150.0),
            )
            * 10,
            FAIR,
        )
    ),
    "hangs": Sky(
        spells=(
            Spell(seconds=4000, failure=Failure.FIRST_CONTENT_TIMEOUT, probability=0.5),
            FAIR,
        )
    ),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", WEATHERS)
def test_a_target_that_is_well_for_good_serves_again_in_bounded_time(
    weather: str, seed: int
) -> None:
    sky = WEATHERS[weather]
    well_from = sum(spell.seconds for spell in sky.spells[:-1])
    bound = longest_return(DEFAULT)
    found = time_to_return(sky, well_from, seed=seed, every=7.0, longest=bound)
    assert found is not None, f"not back after {bound:.0f} s"


def test_warm_sessions_alone_bring_a_target_back_too() -> None:
    sky = WEATHERS["one outage"]
    bound = longest_return(DEFAULT) + DEFAULT.probe_starvation_max_seconds
    found = time_to_return(sky, 1800.0, seed=1, every=7.0, longest=bound, sessions=5)
    assert found is not None
    assert found < 2400.0


def test_a_short_outage_costs_no_more_than_its_hold() -> None:
    sky = Sky(spells=(Spell(seconds=600), Spell(seconds=30, failure=Failure.OVERLOADED), FAIR))
    found = time_to_return(sky, 630.0, seed=2, every=7.0, longest=3600.0)
    assert found is not None
    assert found <= DEFAULT.cooldown_min_seconds * 1.2 + 2 * DEFAULT.return_good_seconds
