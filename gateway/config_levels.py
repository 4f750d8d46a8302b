"""Which parameters of stability may be set where: in general, for a provider, for a route.

Credentials and targets are shared by all routes, so that what governs them cannot be a route's
own; sessions, waits and the bounds of a request belong to a route. The others are asked for each
target of each route, the route's value before the provider's. docs/stability.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.config import STABILITY_KEYS, Config
from gateway.config_shape import PRESETS, preset_values

OF_ACCOUNTS: Final = frozenset(
    {
        "rate_limited_base_seconds",
        "rate_limited_cap_seconds",
        "quota_exhausted_base_seconds",
        "quota_exhausted_cap_seconds",
        "auth_base_seconds",
        "auth_cap_seconds",
        "recheck_seconds",
        "stated_min_seconds",
        "stated_max_seconds",
        "guard_credentials",
        "guard_window_seconds",
        "breaker_failures",
        "breaker_min_outcomes",
        "breaker_window_seconds",
        "breaker_ratio",
        "breaker_base_seconds",
        "breaker_cap_seconds",
    }
)
"""Of credentials and targets: a provider may have its own, a route may not."""
OF_ROUTES: Final = frozenset(
    {
        "probe_first_content_seconds",
        "moves_burst",
        "moves_refill_seconds",
        "session_idle_seconds",
        "session_pin_seconds",
        "session_stable_seconds",
        "session_stagger_seconds",
        "wait_max_seconds",
        "wait_base_seconds",
        "deadline_seconds",
        "max_attempts",
        "max_attempts_per_provider",
        "retry_budget_ratio",
        "retry_budget_floor_per_minute",
    }
)
"""Of a route and its requests: a route may have its own, a provider may not."""
OF_PLACES: Final = STABILITY_KEYS - OF_ACCOUNTS - OF_ROUTES
"""Of a target on a route, and of either's queue: both may have their own."""


def without_effect(config: Config) -> Iterator[str]:
    """A line for each override that nobody asks for."""
    for name, provider in config.providers.items():
        for key in sorted(_written(provider.stability) & OF_ROUTES):
            yield f"providers.{name}.stability.{key}: has no effect here; set it for the route"
    for n, route in enumerate(config.routes):
        for key in sorted(_written(route.stability) & OF_ACCOUNTS):
            yield f"routes[{n}].stability.{key}: has no effect here; set it for the provider"


def _written(stability: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that somebody set; a preset sets whatever it has."""
    preset = str(stability.get("preset", ""))
    laid = preset_values(preset) if preset in PRESETS else {}
    return frozenset(key for key, value in stability.items() if laid.get(key) != value)
