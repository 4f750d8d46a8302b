"""The promises of docs/stability.md over thousands of seeded schedules, each promise a test."""

from __future__ import annotations

import os

import pytest

from tests.simulation.schedules import Outcome

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "2000"))
"""So many schedules of about fifty requests take about half a minute on a slow core."""
FIRST_SEED = int(os.environ.get("SIMULATION_FIRST_SEED", "0"))

PROMISES = (
    "voluntary moves",
    "serves",
    "soft rules",
    "one probe",
    "rests end",
    "pointer",
    "nobody's fault",
    "waits",
    "bounds",
    "permits",
)
MUST_HAPPEN = (
    "probe",
    "recheck",
    "wait",
    "asked again when its limit was over",
    "cancelled",
    "local_network",
    "pool_wide_failure",
    "flapping_started",
    "session_moved",
    "operator_acted",
    "cooldown_extended",
    "stream_broken",
    "deadline",
    "first_content_timeout",
    "switch: forced",
    "switch: return",
    "switch: operator",
    "rest ended: expired",
    "rest ended: probe",
    "rest ended: operator",
    "rest ended: superseded",
    "skipped: suppressed",
    "skipped: held",
    "skipped: probing",
    "skipped: at_capacity",
)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    found = Outcome()
    for seed in range(FIRST_SEED, FIRST_SEED + SCHEDULES):
        found.play(seed)
    return found


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_holds_in_every_schedule(outcome: Outcome, promise: str) -> None:
    broken = outcome.broken[promise]
    seeds = ", ".join(str(seed) for seed in list(broken)[:5])
    assert not broken, (
        f"{len(broken)} of {SCHEDULES} schedules break it, such as {seeds}: "
        f"{next(iter(broken.values()))}. "
        f"Run one again: python -m tests.simulation.schedules {next(iter(broken))}"
    )


def test_the_promises_are_all_those_that_are_watched(outcome: Outcome) -> None:
    assert set(outcome.broken) == set(PROMISES)


@pytest.mark.parametrize("what", MUST_HAPPEN)
def test_the_schedules_meet_everything_that_the_promises_are_about(
    outcome: Outcome, what: str
) -> None:
    assert outcome.census.seen[what] >= max(1, SCHEDULES // 400)
