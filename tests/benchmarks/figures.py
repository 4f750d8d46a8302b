"""The arithmetic of the benchmarks: percentiles, medians with their spread, ratios within a round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ROUNDS_CLEAN_MIN = 2
"""With so many undisturbed rounds the disturbed ones are left out."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between what the values were."""

    middle: float
    least: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread | None:
        """None of no values."""
        return Spread(median(values), min(values), max(values)) if values else None


@dataclass(frozen=True, slots=True)
class Round:
    """What one subject came to in one round of a scenario."""

    number: int
    figures: Mapping[str, float]
    foreign: float = 0.0
    """Share of the subject's core that others used."""
    disturbed: bool = False


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent are not above. NaN of no values."""
    return of_sorted(sorted(values), percent)


def of_sorted(values: Sequence[float], percent: float) -> float:
    if not values:
        return math.nan
    place = math.ceil(len(values) * percent / 100) - 1
    return values[min(len(values) - 1, max(0, place))]


def usable(rounds: Sequence[Round]) -> list[Round]:
    """The undisturbed ones, if there are enough of them."""
    clean = [each for each in rounds if not each.disturbed]
    return clean if len(clean) >= min(ROUNDS_CLEAN_MIN, len(rounds)) else list(rounds)


def values(rounds: Sequence[Round], figure: str) -> list[float]:
    return [
        value
        for each in usable(rounds)
        if (value := each.figures.get(figure, math.nan)) == value  # Not NaN.
    ]


def spread(rounds: Sequence[Round], figure: str) -> Spread | None:
    return Spread.of(values(rounds, figure))


def ratios(rounds: Sequence[Round], base: Sequence[Round], figure: str) -> list[float]:
    """Of the same round each: a machine is not equally fast in all of them."""
    bases = {each.number: each.figures.get(figure, math.nan) for each in usable(base)}
    found = []
    for each in usable(rounds):
        under, value = bases.get(each.number, math.nan), each.figures.get(figure, math.nan)
        if under and under == under and value == value:
            found.append(value / under)
    if not found and (usable(rounds) != list(rounds) or usable(base) != list(base)):
        return ratios(_as_clean(rounds), _as_clean(base), figure)
    return found


def _as_clean(rounds: Sequence[Round]) -> list[Round]:
    """No round was clean for both: then all of them have to do."""
    return [Round(each.number, each.figures, each.foreign) for each in rounds]


def ratio(rounds: Sequence[Round], base: Sequence[Round], figure: str) -> Spread | None:
    return Spread.of(ratios(rounds, base, figure))
