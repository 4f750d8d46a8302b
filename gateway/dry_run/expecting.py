"""What a scenario expects of its figures: bounds, written in the file, and told where they do not hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

from gateway.config_shape import nearest
from gateway.config_yaml import Problem, Tree, below
from gateway.dry_run.figures import FIGURES, Figures

BOUNDS = ("min", "max")
TRUTHS: Mapping[str, bool] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Bounds of one figure, both ends included; None = open."""

    figure: str
    low: float | None = None
    high: float | None = None

    def fault(self, figures: Figures) -> str:
        """How the figure misses its bounds; empty if it keeps them."""
        value = getattr(figures, self.figure)
        if value is None:
            return f"{self.figure}: expected {self.words()}, but there was none"
        low = self.low is None or value >= self.low
        high = self.high is None or value <= self.high
        return "" if low and high else f"{self.figure}: expected {self.words()}, was {value:.4g}"

    def words(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        parts = (
            "" if self.low is None else f"at least {self.low:g}",
            "" if self.high is None else f"at most {self.high:g}",
        )
        return " and ".join(part for part in parts if part)


def faults(expected: Iterable[Expectation], figures: Figures) -> list[str]:
    """One line for each expectation that does not hold."""
    return [fault for each in expected if (fault := each.fault(figures))]


def read(tree: Tree, path: str = "expect") -> tuple[tuple[Expectation, ...], list[Problem]]:
    """The file's `expect`: figure → number, `true` (at least one), `false` (none), or bounds."""
    if tree is None:
        return (), []
    if not isinstance(tree, dict):
        return (), [Problem(path, "must be a mapping of figures to what they should be")]
    found: list[Expectation] = []
    problems: list[Problem] = []
    for name, value in tree.items():
        here = below(path, name)
        if name in FIGURES:
            found.append(_expectation(name, value, here, problems))
        else:
            guess = nearest(name, FIGURES)
            hint = f"; did you mean {guess!r}?" if guess else ""
            problems.append(Problem(here, f"no such figure{hint}"))
    return tuple(found), problems


def _expectation(name: str, value: Tree, path: str, problems: list[Problem]) -> Expectation:
    if isinstance(value, dict):
        bounds: dict[str, float | None] = {}
        for key, each in value.items():
            if key in BOUNDS:
                bounds[key] = _number(each, below(path, key), problems)
            else:
                problems.append(Problem(below(path, key), "unknown key; there are min and max"))
        if not value:
            problems.append(Problem(path, "needs min, max or both"))
        return Expectation(figure=name, low=bounds.get("min"), high=bounds.get("max"))
    if isinstance(value, str) and value in TRUTHS:
        return Expectation(figure=name, low=1.0) if TRUTHS[value] else _exactly(name, 0.0)
    return _exactly(name, _number(value, path, problems))


def _exactly(name: str, number: float | None) -> Expectation:
    return Expectation(figure=name, low=number, high=number)


def _number(value: Tree, path: str, problems: list[Problem]) -> float | None:
    number = _finite(value) if isinstance(value, str) else None
    if number is None:
        problems.append(Problem(path, "must be a number, or bounds: {min: …, max: …}"))
    return number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
