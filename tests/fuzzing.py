"""How long fuzzing lasts: CI asks for about a minute each, somebody at work for a quarter of that."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SHARE = float(os.environ.get("FUZZ_SHARE", "1"))


def fuzz(examples: int) -> settings:
    """For one property; `examples` are those of a share of 1."""
    return settings(
        max_examples=max(1, round(examples * SHARE)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
