"""How long everything takes: the run for the documents, a quick look, and the smoke run of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How long everything takes."""

    name: str
    rounds: int
    saturate_seconds: float
    rate_seconds: Mapping[int, float]
    streams: float = 1.0
    """Share of the streams that are begun, and of their chunks."""
    held: tuple[int, ...] = (1000, 3000)
    held_rounds: int = 3
    start_rounds: int = 3
    warm_seconds: float = 1.0
    repeats: int = 1
    """So often a disturbed slice is done once more."""
    settles: bool = True
    """Whether work that subjects put off is waited for."""


FULL = Scale("full", 5, 2.0, {100: 10.0, 500: 4.0})
QUICK = Scale(
    "quick",
    3,
    0.7,
    {100: 2.0, 500: 1.0},
    held=(1000,),
    held_rounds=1,
    start_rounds=1,
    warm_seconds=0.5,
    repeats=0,
)
SMOKE = Scale(
    "smoke",
    1,
    0.05,
    {100: 0.1, 500: 0.05},
    streams=0.04,
    settles=False,
    held_rounds=1,
    start_rounds=1,
    warm_seconds=0.02,
    repeats=0,
)
SCALES = {each.name: each for each in (FULL, QUICK, SMOKE)}
