"""Hypothesis in CI: the same examples each time, so that a red build is red again when it is looked
at; HYPOTHESIS_PROFILE=explore draws new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile(
    "explore", settings.get_profile("ci"), derandomize=False, max_examples=3000
)
