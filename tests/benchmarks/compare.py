"""`python -m tests.benchmarks.compare OLD NEW`: what has become worse between two results files.

Two runs are two moods of a machine, so what is compared is each run's ratio to the bare aiohttp
proxy (A), which had the same mood. A change counts if it is larger than both a share of its own and
what the rounds of either run differed by. Exit status 1 if something has become worse.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click

from tests.benchmarks.figures import Spread, ratio, spread
from tests.benchmarks.results import Results, from_json
from tests.benchmarks.subjects import AIOHTTP, DIRECT, NGINX
from tests.benchmarks.tables import number

SHARE_MIN = 0.05
"""Smaller changes are never told as such."""
MORE_IS_BETTER = frozenset({"requests/s", "chunks/s", "whole"})
BESIDE = (DIRECT, AIOHTTP, NGINX)
"""Not ours: they are the measure."""
COMPARED = (
    "ready s",
    "idle MB",
    "loaded MB",
    "requests/s",
    "chunks/s",
    "whole",
    "CPU us/request",
    "CPU us/chunk",
    "added p50 us",
    "first chunk p50 us",
    "transit p99 us",
    "KB/stream",
    "plain p50 us",
    "fallback added p50 us",
    "sticky added p50 us",
    "rotation added p50 us",
)


class Change(StrEnum):
    WORSE = "WORSE"
    BETTER = "better"
    NONE = "same"


@dataclass(frozen=True, slots=True)
class Difference:
    scenario: str
    subject: str
    figure: str
    beside_a: bool
    """Ratios to A are compared; otherwise the values themselves, where A has none."""
    old: Spread
    new: Spread

    @property
    def share(self) -> float:
        return self.new.middle / self.old.middle - 1 if self.old.middle else 0.0

    @property
    def change(self) -> Change:
        """By medians, if those are further apart than chance may put them: neither median lies
        between the other run's least and most."""
        inside = (
            self.old.least <= self.new.middle <= self.old.most
            or self.new.least <= self.old.middle <= self.new.most
        )
        if inside or abs(self.share) < SHARE_MIN:
            return Change.NONE
        return (
            Change.BETTER if (self.share > 0) is (self.figure in MORE_IS_BETTER) else Change.WORSE
        )


def differences(old: Results, new: Results) -> Iterator[Difference]:
    for scenario, subjects in new.rounds.items():
        for subject, rounds in subjects.items():
            before = old.of(scenario, subject)
            if subject in BESIDE or not before:
                continue
            for figure in COMPARED:
                bases = old.of(scenario, AIOHTTP), new.of(scenario, AIOHTTP)
                was, now = ratio(before, bases[0], figure), ratio(rounds, bases[1], figure)
                beside = was is not None and now is not None
                if not beside:
                    was, now = spread(before, figure), spread(rounds, figure)
                if was is not None and now is not None:
                    yield Difference(scenario, subject, figure, beside, was, now)


def render(found: list[Difference]) -> str:
    lines = [f"{'':6} {'scenario':18} {'subject':14} {'figure':24} {'old':>22} {'new':>22}"]
    order = list(Change)
    for each in sorted(found, key=lambda each: order.index(each.change)):
        name = f"{each.figure}{' / A' if each.beside_a else ''}"
        old, new = (f"{number(s.middle)} [{number(s.least)}..{number(s.most)}]"
                    for s in (each.old, each.new))  # fmt: skip
        lines.append(
            f"{each.change:6} {each.scenario:18} {each.subject:14} {name:24} {old:>22} {new:>22}"
            f" {each.share:+7.0%}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(old: Path, new: Path) -> None:
    """Compare two results files."""
    read = [from_json(each.read_text(encoding="utf-8")) for each in (old, new)]
    found = list(differences(*read))
    if not found:
        raise click.ClickException("the files have nothing in common")
    click.echo(render(found))
    worse = sum(each.change is Change.WORSE for each in found)
    click.echo(f"{len(found)} figures, {worse} worse")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
