"""Every shipped scenario comes out as it expects; this is also the tour of what the engine promises."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.dry_run import reading
from gateway.dry_run.figures import FIGURES
from gateway.dry_run.scenario import Deed, Scenario, Traffic
from gateway.dry_run.stage import play
from gateway.dry_run.strategies import STRATEGIES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", reading.shipped())
def test_a_shipped_scenario_keeps_what_it_expects(name: str) -> None:
    played = play(reading.load(name, cwd=Path()), timeline=False)
    assert played.faults == ()


def test_the_page_on_dry_runs_names_every_key_and_every_figure() -> None:
    page = (ROOT / "docs" / "dry-run.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    named = {name for cell in cells for name in re.findall(r"`([a-z0-9_]+)`", cell)}
    keys = {each.name for kind in (Scenario, Traffic, Deed) for each in fields(kind)}
    assert named == keys | {*reading.SECTIONS} | {*FIGURES}


def test_the_page_compares_the_strategies_that_there_are() -> None:
    page = (ROOT / "docs" / "dry-run.md").read_text(encoding="utf-8")
    assert f"| the primary | {' | '.join(STRATEGIES)} |" in page
