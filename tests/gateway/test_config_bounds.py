"""Numbers: bounds by name, and parameters that must agree with each other."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from gateway.config import Config, Dialect, Provider, Route, RouteTarget, Server, Stability
from gateway.config_bounds import NOT_ABOVE, bounds_of, numbers, stability
from gateway.config_shape import PRESETS


def provider(**values: Any) -> Provider:
    return Provider(name="a", dialect=Dialect.SIMULATED, **values)


def test_the_defaults_and_all_presets_are_within_bounds() -> None:
    for preset in PRESETS.values():
        config = Config(stability=Stability().with_overrides(preset), providers={"a": provider()})
        assert [*numbers(config), *stability(config)] == []


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("port", 0, True),
        ("port", 65_536, False),
        ("idle_seconds", 0.0, False),
        ("drain_seconds", 0.0, True),
        ("drain_seconds", -1.0, False),
        ("deadline_seconds", math.inf, False),
        ("deadline_seconds", math.nan, False),
        ("trace_sample_ratio", 1.0, True),
        ("trace_sample_ratio", 1.1, False),
        ("breaker_ratio", 0.0, False),
        ("max_attempts", 0, False),
        ("queue_waiters", 0, True),
        ("max_body_bytes", 10**400, False),
        ("seed", -5, True),
    ],
)
def test_bounds_go_by_the_name(name: str, value: float, *, holds: bool) -> None:
    assert bounds_of(name, value).hold(value) is holds


def test_a_number_out_of_bounds_is_found_wherever_it_stands() -> None:
    config = Config(
        server=Server(port=70_000, max_body_bytes=10**400),
        providers={"a": provider(stability={"max_attempts": 0})},
        routes=(Route(name="r", targets=(RouteTarget(target="a/b", context_tokens=-1),)),),
    )
    assert [f"{each.path}: {each.text}" for each in numbers(config)] == [
        "server.port: must be at least 0 and at most 65535, not 70000",
        "server.max_body_bytes: must be at least 1",
        "providers.a.stability.max_attempts: must be at least 1, not 0",
        "routes[0].targets[0].context_tokens: must be at least 1, not -1",
    ]


@pytest.mark.parametrize(("low", "high"), NOT_ABOVE)
def test_a_base_above_its_cap_is_a_problem(low: str, high: str) -> None:
    values: dict[str, Any] = {low: 2.0, high: 1.0}
    [problem] = stability(Config(stability=replace(Stability(), **values)))
    assert problem.path == f"stability.{low}"
    assert problem.text == f"2 must not be above {high}, 1"


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"reuse_at": 2500.0}, "stability.reuse_at"),
        ({"reuse_at": math.nan}, "stability.reuse_at"),
        ({"suppress_at": 12_800.0}, "stability.suppress_at"),
        ({"suppress_at": math.inf}, "stability.suppress_at"),
        ({"half_life_seconds": 7200.0}, "stability.suppress_at"),
        ({"preset": "hasty"}, "stability.preset"),
    ],
)
def test_penalties_that_could_never_end_are_a_problem(values: dict[str, Any], path: str) -> None:
    config = Config(stability=replace(Stability(), **values))
    assert [each.path for each in stability(config)] == [path]


def test_a_providers_and_a_routes_own_contradictions_are_found_at_their_places() -> None:
    own = {"auth_base_seconds": 90_000.0}
    config = Config(
        providers={"a": provider(stability=own), "b": provider()},
        routes=(Route(name="r", targets=(), stability={"reuse_at": 9000.0}),),
    )
    assert [each.path for each in stability(config)] == [
        "providers.a.stability.auth_base_seconds",
        "routes[0].stability.reuse_at",
    ]


def test_a_general_contradiction_is_told_once() -> None:
    general = replace(Stability(), reuse_at=9000.0)
    config = Config(stability=general, providers={"a": provider()})
    assert [each.path for each in stability(config)] == ["stability.reuse_at"]


def test_every_parameter_in_a_pair_exists() -> None:
    known = {each.name for each in fields(Stability)}
    assert {name for pair in NOT_ABOVE for name in pair} <= known
