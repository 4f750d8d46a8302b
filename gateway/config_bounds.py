"""What numbers a configuration may hold: each in its bounds, and no two in contradiction.

Bounds go by a field's name, so that a parameter has the same ones wherever it may be set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final, NamedTuple

from gateway.config import Config, Stability
from gateway.config_shape import PRESETS
from gateway.config_yaml import Problem, below


class Bounds(NamedTuple):
    low: float
    high: float
    open: bool = False
    """`low` itself is already outside."""

    def hold(self, value: float) -> bool:
        above = value > self.low if self.open else value >= self.low
        return above and value <= self.high  # Both are false for what is not a number.

    def __str__(self) -> str:
        low = f"more than {self.low:.12g}" if self.open else f"at least {self.low:.12g}"
        return f"must be {low}" + (f" and at most {self.high:.12g}" if self.high < LARGE else "")


LARGE: Final = 10.0**15
"""Larger counts and sizes would not fit a database column or a double exactly."""
YEAR_SECONDS: Final = 366 * 86_400.0
COUNT: Final = Bounds(1, LARGE)
NOT_NEGATIVE: Final = Bounds(0, LARGE)
POSITIVE: Final = Bounds(0, LARGE, open=True)
SHARE: Final = Bounds(0, 1)
DURATION: Final = Bounds(0, YEAR_SECONDS, open=True)
DURATION_OR_NONE: Final = Bounds(0, YEAR_SECONDS)

BOUNDS: Final[Mapping[str, Bounds]] = {
    "port": Bounds(0, 65_535),
    "status": Bounds(100, 599),
    "seed": Bounds(-LARGE, LARGE),
    "rotation_tolerance": NOT_NEGATIVE,
    "tokens_per_second": POSITIVE,
    "probability": SHARE,
    "breaker_ratio": Bounds(0, 1, open=True),
    "cooldown_multiplier": NOT_NEGATIVE,
    "penalty_departure": NOT_NEGATIVE,
    "penalty_probe": NOT_NEGATIVE,
    "suppress_at": POSITIVE,
    "reuse_at": POSITIVE,
    "queue_waiters": NOT_NEGATIVE,
    "retry_budget_floor_per_minute": NOT_NEGATIVE,
    # Durations for which none at all makes sense: do not wait, do not drain, for ever.
    "drain_seconds": DURATION_OR_NONE,
    "keep_alive_seconds": DURATION_OR_NONE,
    "for_seconds": DURATION_OR_NONE,
    "first_token_seconds": DURATION_OR_NONE,
    "retry_after_seconds": DURATION_OR_NONE,
    "stated_min_seconds": DURATION_OR_NONE,
    "cooldown_min_seconds": DURATION_OR_NONE,
    "return_good_seconds": DURATION_OR_NONE,
    "session_stagger_seconds": DURATION_OR_NONE,
    "wait_max_seconds": DURATION_OR_NONE,
    "wait_base_seconds": DURATION_OR_NONE,
}
"""By field name; the others by their ending, see `bounds_of`."""

NOT_ABOVE: Final = (
    ("rate_limited_base_seconds", "rate_limited_cap_seconds"),
    ("quota_exhausted_base_seconds", "quota_exhausted_cap_seconds"),
    ("auth_base_seconds", "auth_cap_seconds"),
    ("breaker_base_seconds", "breaker_cap_seconds"),
    ("stated_min_seconds", "stated_max_seconds"),
    ("probe_gap_seconds", "probe_gap_max_seconds"),
    ("probe_starvation_seconds", "probe_starvation_max_seconds"),
    ("return_good_seconds", "return_good_max_seconds"),
)
"""Pairs of parameters of which the first must not exceed the second."""


def numbers(config: Config) -> Iterator[Problem]:
    """Every number that lies outside its bounds."""
    yield from _numbers_in(config, "")


def stability(config: Config) -> Iterator[Problem]:
    """Parameters that contradict each other, in general or for a provider or a route."""
    everywhere = dict(_stability_of(config.stability))
    yield from (Problem(f"stability.{key}", text) for key, text in everywhere.items())
    places = {f"providers.{name}": config.provider_stability(name) for name in config.providers}
    places |= {f"routes[{n}]": config.route_stability(each) for n, each in enumerate(config.routes)}
    for path, parameters in places.items():
        for key, text in _stability_of(parameters):
            if everywhere.get(key) != text:
                yield Problem(f"{path}.stability.{key}", text)


def bounds_of(name: str, value: float) -> Bounds:
    if name in BOUNDS:
        return BOUNDS[name]
    if name.endswith("_seconds"):
        return DURATION
    if name.endswith("_ratio"):
        return SHARE
    return COUNT if isinstance(value, int) else NOT_NEGATIVE


def _stability_of(parameters: Stability) -> Iterator[tuple[str, str]]:
    if parameters.preset not in PRESETS:
        yield "preset", f"must be one of {', '.join(map(repr, PRESETS))}"
    for low, high in NOT_ABOVE:
        small, large = getattr(parameters, low), getattr(parameters, high)
        if small > large:
            yield low, f"{small:.12g} must not be above {high}, {large:.12g}"
    suppress, reuse = parameters.suppress_at, parameters.reuse_at
    halvings = parameters.suppress_max_seconds / max(parameters.half_life_seconds, 1e-9)
    if not 0 < reuse < suppress:
        yield "reuse_at", f"{reuse:.12g} must be below suppress_at, {suppress:.12g}"
    elif math.log2(suppress / reuse) >= halvings:
        yield (
            "suppress_at",
            f"{suppress:.12g} does not decay to reuse_at, {reuse:.12g}, within suppress_max_seconds; "
            "it must be below reuse_at × 2^(suppress_max_seconds / half_life_seconds)",
        )


def _numbers_in(value: object, path: str) -> Iterator[Problem]:
    if is_dataclass(value) and not isinstance(value, type):
        inner = [(each.name, getattr(value, each.name)) for each in fields(value)]
    elif isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, tuple):
        for n, each in enumerate(value):
            yield from _numbers_in(each, below(path, n))
        return
    else:
        return
    for name, each in inner:
        here = below(path, name)
        if isinstance(each, int | float) and not isinstance(each, bool):
            bounds = bounds_of(name, each)
            if not bounds.hold(each):
                shown = f", not {each:.12g}" if abs(each) < LARGE else ""
                yield Problem(here, f"{bounds}{shown}")
        else:
            yield from _numbers_in(each, here)
