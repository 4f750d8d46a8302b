"""Figures as text: one table a benchmark, each row beside its ratio to the floor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import click

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""Subject → figure → its values, one a round."""


def show(title: str, note: str, figures: Figures, *, base: str = "floor") -> None:
    """Medians over the rounds, and in brackets the median ratio to `base` in the same round."""
    names = list(next(iter(figures.values())))
    width = max(len(name) for name in names) + 2
    click.echo(f"\n{title}\n  {note}")
    click.echo("  " + " " * 10 + "".join(name.rjust(max(width, 20)) for name in names))
    for subject, values in figures.items():
        cells = [_cell(values[name], figures.get(base, {}).get(name)) for name in names]
        click.echo(f"  {subject:<10}" + "".join(cell.rjust(max(width, 20)) for cell in cells))


def _cell(values: Sequence[float], base: Sequence[float] | None) -> str:
    if not values:
        return "-"
    told = f"{median(values):,.{_digits(median(values))}f}"
    if not base or values is base:
        return told
    # Of the same round each: the machine is not equally fast in all of them.
    ratios = [value / other for value, other in zip(values, base, strict=True) if other]
    return f"{told} (x{median(ratios):.2f})" if ratios else told


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2
