"""A bar for long work: on a terminal, after a while, and gone when the work is done."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from gateway.cli_progress import Progress


def shown(*, terminal: bool, patience_seconds: float) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=60)
    with Progress("playing", console=console, patience_seconds=patience_seconds) as progress:
        for percent in range(0, 101, 10):
            progress(percent / 100)
    return out.getvalue()


def test_long_work_on_a_terminal_has_a_bar() -> None:
    assert "playing" in shown(terminal=True, patience_seconds=0)


@pytest.mark.parametrize(("terminal", "patience"), [(False, 0.0), (True, 60.0)])
def test_short_work_and_a_pipe_have_none(*, terminal: bool, patience: float) -> None:
    assert shown(terminal=terminal, patience_seconds=patience) == ""
