"""Chance as it was recorded: where the core draws, the draw of that moment is given again.

A recorded draw is taken where it falls near the present moment and within the bounds that the core
asks for; so it is also right where another configuration draws between other bounds. What was not
recorded comes from a seed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from gateway.replay.recorded import Draw
from gateway.units import MICROS, Moment

NEAR_MICROS = MICROS // 4
"""Two clocks, and the loop's own delays, lie between a decision and its record."""
ROUNDING_SECONDS = 2e-6
"""Recorded times are whole microseconds."""
NEVER = 1.0 - 2.0**-53


class Chance(Random):
    """`now` tells the time. Draws that are no lengths are given by `about`."""

    def __init__(self, draws: Sequence[Draw], *, now: Callable[[], Moment], seed: int = 1) -> None:
        super().__init__(seed)
        self._draws = draws
        self._times = [each.ts for each in draws]
        self._taken: set[int] = set()
        self._now = now
        self._at_active: bool | None = None
        self._credential = ""
        self.guessed = 0
        """How many lengths no record has told."""

    def about(self, *, at_active: bool | None = None, credential: str = "") -> None:
        """What the request that decides next did: whether it stayed with its route's target of the
        moment, and the key it took. None and empty: nobody knows."""
        self._at_active, self._credential = at_active, credential

    def uniform(self, a: float, b: float) -> float:
        now = self._now().timestamp
        low = bisect_left(self._times, now - NEAR_MICROS)
        best: int | None = None
        for place in range(low, len(self._times)):
            away = self._times[place] - now
            if away > NEAR_MICROS:
                break
            seconds = self._draws[place].seconds
            fits = a - ROUNDING_SECONDS <= seconds <= b + ROUNDING_SECONDS
            if place in self._taken or not fits:
                continue
            if best is None or abs(away) < abs(self._times[best] - now):
                best = place
        if best is None:
            self.guessed += 1
            return a + (b - a) * super().random()
        self._taken.add(best)
        return self._draws[best].seconds

    def random(self) -> float:
        """The lot that says who may follow a return: low to go with the route, high to stay."""
        if self._at_active is None:
            return super().random()
        return 0.0 if self._at_active else NEVER

    def choices(self, population: Any, weights: Any = None, **more: Any) -> list[Any]:  # noqa: ANN401
        """The lot between the keys of a target."""
        for each in population:
            if self._credential and each.name == self._credential:
                return [each]
        return super().choices(population, weights, **more)
