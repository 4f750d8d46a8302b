"""Every shipped scenario comes out as it expects; this is also the tour of what the engine promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dry_run import reading
from gateway.dry_run.stage import play


@pytest.mark.parametrize("name", reading.shipped())
def test_a_shipped_scenario_keeps_what_it_expects(name: str) -> None:
    played = play(reading.load(name, cwd=Path()), timeline=False)
    assert played.faults == ()
