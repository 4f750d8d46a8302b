"""For each alert two stretches of time: one in which it fires, alone, and one in which it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Story = dict[str, str]
"""Series → its values, a minute apart, in promtool's notation."""

UP: Final = {'up{job="evenkeel",instance="g"}': "1x400"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    fires: Story
    silent: Story
    at: str
    """When both are looked at."""


def gauge(metric: str, labels: str, values: str) -> Story:
    return {f'{metric}{{job="evenkeel",instance="g",{labels}}}': values}


def requests(ok: int, failed: int) -> Story:
    """So many a minute."""
    name = "evenkeel_requests_total"
    return gauge(name, 'route="coder",outcome="ok"', f"0+{ok}x400") | gauge(
        name, 'route="coder",outcome="exhausted"', f"0+{failed}x400"
    )


def candidates(left: str, configured: int) -> Story:
    labels = 'route="coder"'
    return gauge("evenkeel_route_candidates", labels, left) | gauge(
        "evenkeel_route_candidates_configured", labels, f"{configured}x400"
    )


def switches(there: str, back: str) -> Story:
    name, rest = "evenkeel_switches_total", 'route="coder",kind="forced",reason="overloaded"'
    return gauge(name, f'from="a/x",to="b/x",{rest}', there) | gauge(
        name, f'from="b/x",to="a/x",{rest}', back
    )


def dwell(short: str) -> Story:
    return gauge("evenkeel_dwell_seconds_bucket", 'route="coder",le="300.0"', short)


def serving(target: str, state_of_first: int) -> Story:
    found: dict[str, str] = {}
    for position, name in enumerate(("a/x", "b/x")):
        place = f'route="coder",target="{name}"'
        active = int(name == target)
        state = 0 if position else state_of_first
        found |= gauge("evenkeel_route_active", place, f"{active}x400")
        found |= gauge("evenkeel_route_position", place, f"{position}x400")
        found |= gauge("evenkeel_target_state", place, f"{state}x400")
    return found


def rests(cooldowns: str, relapses: str) -> Story:
    of = 'provider="a",scope="target",reason="overloaded",source="ladder"'
    return gauge("evenkeel_cooldowns_total", of, cooldowns) | gauge(
        "evenkeel_relapses_total", 'target="a/x"', relapses
    )


def _bare(metric: str, values: str) -> Story:
    return {f'{metric}{{job="evenkeel",instance="g"}}': values}


CASES: Final[Mapping[str, Case]] = {
    "EvenkeelErrorBudgetFastBurn": Case(
        fires=UP | requests(9, 1), silent=UP | requests(98, 2), at="15m"
    ),
    "EvenkeelErrorBudgetSlowBurn": Case(
        fires=UP | requests(95, 5), silent=UP | requests(98, 2), at="45m"
    ),
    "EvenkeelErrorBudgetBurn1d": Case(
        fires=UP | requests(98, 2), silent=UP | requests(99, 1), at="120m"
    ),
    "EvenkeelErrorBudgetBurn3d": Case(
        fires=UP | requests(99, 1), silent=UP | requests(249, 1), at="240m"
    ),
    "EvenkeelNoCandidateLeft": Case(
        fires=UP | candidates("3 0x20", 3), silent=UP | candidates("3 0 2x20", 3), at="5m"
    ),
    "EvenkeelSingleCandidateLeft": Case(
        fires=UP | candidates("1x30", 3), silent=UP | candidates("1x30", 1), at="15m"
    ),
    "EvenkeelRouteFlapping": Case(
        fires=UP | gauge("evenkeel_reversals_total", 'route="coder"', "0x5 0+1x10"),
        silent=UP | gauge("evenkeel_reversals_total", 'route="coder"', "0x5 0+1x3 3x20"),
        at="15m",
    ),
    "EvenkeelRoutePingPong": Case(
        fires=UP | switches("0x5 1x10 2x10 3x60", "0x10 1x10 2x10 3x60"),
        silent=UP | switches("0x5 1x90", "0x15 1x90"),
        at="45m",
    ),
    "EvenkeelShortDwell": Case(
        fires=UP | dwell("0x5 1x5 2x5 3x5 4x60"), silent=UP | dwell("0x5 1x90"), at="40m"
    ),
    "EvenkeelPrimaryAwayTooLong": Case(
        fires=UP | serving("b/x", 0), silent=UP | serving("b/x", 2), at="90m"
    ),
    "EvenkeelRelapses": Case(
        fires=UP | rests("0 0+0.25x100", "0 0+0.2x100"),
        silent=UP | rests("0 0+0.5x100", "0 0+0.1x100"),
        at="60m",
    ),
    "EvenkeelCredentialParked": Case(
        fires=UP | gauge("evenkeel_credential_state", 'provider="a",credential="old"', "8x30"),
        silent=UP | gauge("evenkeel_credential_state", 'provider="a",credential="old"', "2x30"),
        at="10m",
    ),
    "EvenkeelDown": Case(fires={next(iter(UP)): "1 0x20"}, silent=UP, at="5m"),
    "EvenkeelEventsDropped": Case(
        fires=UP | _bare("evenkeel_events_dropped_total", "0x3 4x20"),
        silent=UP | _bare("evenkeel_events_dropped_total", "0x20"),
        at="6m",
    ),
    "EvenkeelStoreInTrouble": Case(
        fires=UP | _bare("evenkeel_journal_bytes", "900x20"),
        silent=UP | _bare("evenkeel_journal_bytes", "0 900 900 0x20"),
        at="10m",
    ),
    "EvenkeelConfigStale": Case(
        fires=UP | _bare("evenkeel_config_stale", "1x20"),
        silent=UP | _bare("evenkeel_config_stale", "1 1 0x20"),
        at="10m",
    ),
    "EvenkeelLoopLag": Case(
        fires=UP | _bare("evenkeel_event_loop_lag_seconds", "0.8x20"),
        silent=UP | _bare("evenkeel_event_loop_lag_seconds", "0.8 0.01x20"),
        at="10m",
    ),
}

CLEAN_FAILOVER: Final = {
    **UP,
    **requests(20, 0),
    **candidates("3x10 2x20 3x200", 3),
    **gauge("evenkeel_flapping", 'route="coder"', "0x400"),
    **gauge("evenkeel_reversals_total", 'route="coder"', "0x30 1x200"),
    **switches("0x10 1x300", "0x30 1x300"),
    **dwell("0x30 0x300"),
    **rests("0x10 2x300", "0x300"),
    **serving("a/x", 0),
    **gauge("evenkeel_credential_state", 'provider="a",credential="k"', "0x10 2x20 0x200"),
}
"""The first target is down for twenty minutes, its requests are rescued, and it is gone back to."""

TEN_REVERSALS: Final = {
    **UP,
    **requests(20, 0),
    **gauge("evenkeel_flapping", 'route="coder"', "0x7 1x23 0x300"),
    **gauge("evenkeel_reversals_total", 'route="coder"', "0x5 0+1x10 10x300"),
    **switches("0x5 1 1 2 2 3 3 4 4 5 5x300", "0x5 0 1 1 2 2 3 3 4 4 5x300"),
    **dwell("0x5 0+1x10 10x300"),
}
"""Ten reversals in ten minutes, then damping holds the route where it is."""
