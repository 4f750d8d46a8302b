"""The weather and the traffic of scenarios that are shipped, for the simulation.

So that `evenkeel dry-run --compare` and the golden table are about the same: one through the relay,
the other through the core alone.
"""

from __future__ import annotations

from pathlib import Path

from gateway.config import Simulated
from gateway.dry_run import reading
from gateway.dry_run.scenario import Script, Traffic
from tests.simulation.weathers import FOR_EVER, MINUTE, Limit, Sky, Spell

SCENARIOS = {
    "alternates 30 s / 30 s": "alternating-30s",
    "alternates 5 min / 5 min": "alternating-5min",
    "20 % random errors": "random-errors",
    "one 20 min outage": "outage",
    "demand 1.5 × the rate limit": "rate-limit",
}
"""Rows of the golden table that are a scenario each."""


def sky(row: str) -> Sky:
    """The weather of that row's primary."""
    script = _script(row)
    primary = script.config.routes[0].targets[0].provider
    simulated = script.config.providers[primary].simulated
    assert simulated is not None
    return _sky(simulated)


def traffic(row: str) -> Traffic:
    """Of that row; there is one kind of clients only."""
    [found] = _script(row).scenario.traffic
    return found


def _script(row: str) -> Script:
    return reading.load(SCENARIOS[row], cwd=Path())


def _sky(simulated: Simulated) -> Sky:
    spells = tuple(
        Spell(
            seconds=each.for_seconds or FOR_EVER,
            failure=each.failure,
            probability=each.probability,
            every=each.every,
            stated=each.retry_after_seconds,
            content_seconds=each.first_token_seconds,
        )
        for each in simulated.weather
    )
    per_minute = simulated.requests_per_minute
    return Sky(
        spells=spells,
        limits=() if per_minute is None else (Limit(requests=per_minute, window_seconds=MINUTE),),
        content_seconds=simulated.first_token_seconds,
        answer_seconds=simulated.answer_tokens / simulated.tokens_per_second,
    )
