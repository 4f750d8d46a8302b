"""Ways to react to failures, each as parameters over the same core: what this design is compared with.

The simple ones come out a little better here than where they come from: the core still sends one
request at a time to a place whose rest is over, and lengthens guessed rests by up to a fifth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from gateway.config import Config, Damping
from gateway.dry_run.scenario import Script

NEVER = 10**9
NO_TIME = 1e-9
"""For parameters that something is divided by."""

BLIND: Mapping[str, Any] = MappingProxyType(
    {
        # No fallback cooldown, no penalty, no sessions: the order of the file, minus what rests.
        "damping": Damping.OFF,
        "cooldown_min_seconds": 0.0,
        "cooldown_multiplier": 0.0,
        "session_idle_seconds": -1.0,  # Idle from the first moment on, also within one.
        # Back at the first chance: one good answer is enough, and there is no budget of moves.
        "probe_gap_seconds": 0.0,
        "probe_gap_max_seconds": 0.0,
        "return_good_answers": 1,
        "return_good_seconds": 0.0,
        "return_good_max_seconds": 0.0,
        "moves_burst": NEVER,
        "moves_refill_seconds": NO_TIME,
        "ramp_step_seconds": NO_TIME,
        # Failures are not remembered beyond their rest, and nobody waits instead of moving.
        "ladder_decay_seconds": NO_TIME,
        "wait_max_seconds": 0.0,
        "guard_credentials": NEVER,
        "long_unavailable_seconds": 0.0,
    }
)
"""What all of them lack."""

ORIGIN_SECONDS = max(300 * 1.5, 60)
"""What the project this one grew from lets a provider rest after a failure."""


def _always_primary() -> dict[str, Any]:
    """Nothing is remembered of any failure: each request begins at the first target."""
    return {
        **BLIND,
        "breaker_failures": NEVER,
        "breaker_min_outcomes": NEVER,
        "rate_limited_base_seconds": 0.0,
        "rate_limited_cap_seconds": 0.0,
        "stated_min_seconds": 0.0,
        "stated_max_seconds": 0.0,
        "long_unavailable_seconds": float(NEVER),
    }


def _cooldown(seconds: float) -> dict[str, Any]:
    """One failure is so many seconds of rest, whatever was stated, and then it is back."""
    return {
        **BLIND,
        "breaker_failures": 1,
        "breaker_base_seconds": seconds,
        "breaker_cap_seconds": seconds,
        "rate_limited_base_seconds": seconds,
        "rate_limited_cap_seconds": seconds,
        "stated_min_seconds": seconds,
        "stated_max_seconds": seconds,
    }


THIS = "this design"
STRATEGIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "always primary": _always_primary(),
        "cooldown 5 s": _cooldown(5.0),
        "cooldown 60 s": _cooldown(60.0),
        "450 s, blind": _cooldown(ORIGIN_SECONDS),
        THIS: {},
    }
)
"""By name, what differs from the scenario's own parameters."""

GOLDEN = (
    "alternating-30s",
    "alternating-5min",
    "random-errors",
    "outage",
    "rate-limit",
)
"""The shipped scenarios that are compared where none is named."""
GOLDEN_SECONDS = 6 * 3600.0


def under(script: Script, strategy: str, *, seconds: float | None = None) -> Script:
    """The script as that strategy would live through it, for `seconds` where given.

    Nothing is expected of it: the scenario's expectations are those of this design.
    """
    overrides = STRATEGIES[strategy]
    config = script.config if not overrides else _overridden(script.config, overrides)
    scenario = script.scenario
    if seconds is not None:
        scenario = replace(scenario, duration_seconds=seconds)
    return replace(script, scenario=scenario, config=config, expected=())


def _overridden(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Everywhere: what a provider or a route has of its own gives way, too."""
    return replace(
        config,
        stability=config.stability.with_overrides(overrides),
        providers={
            name: replace(provider, stability=_without(provider.stability, overrides))
            for name, provider in config.providers.items()
        },
        routes=tuple(
            replace(route, stability=_without(route.stability, overrides))
            for route in config.routes
        ),
    )


def _without(own: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in overrides}
