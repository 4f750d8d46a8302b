"""The strategies of `evenkeel dry-run --compare`, as whole parameters for the simulation."""

from __future__ import annotations

from gateway.config import Stability
from gateway.dry_run.strategies import STRATEGIES as OVERRIDES
from gateway.dry_run.strategies import THIS

STRATEGIES: dict[str, Stability] = {
    name: Stability(**overrides) for name, overrides in OVERRIDES.items()
}

__all__ = ["STRATEGIES", "THIS"]
