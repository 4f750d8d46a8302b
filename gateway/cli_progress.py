"""A bar for work that takes longer than a moment, on a terminal only, beside what is printed."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final

from gateway.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

PATIENCE_SECONDS: Final = 2.0
"""Shorter work is over before anyone wonders."""


class Progress:
    """Call it with the share that is done, from 0 to 1. `console`: None = standard error."""

    def __init__(
        self,
        what: str,
        *,
        console: Console | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._what = what
        self._console = console
        self._patience_seconds = patience_seconds
        self._clock = SystemClock()
        self._began = self._clock.now().instant
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, share: float) -> None:
        if self._bar is None and not self._due():
            return
        bar = self._bar or self._begun()
        bar.update(bar.task_ids[0], completed=share)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _due(self) -> bool:
        waited = self._clock.now().instant - self._began
        seen = self._console.is_terminal if self._console is not None else sys.stderr.isatty()
        return seen and waited >= self._patience_seconds

    def _begun(self) -> Bar:
        # 0.1 s to import, and only a terminal needs it.
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._bar = bar = Bar(console=self._console or Console(stderr=True), transient=True)
        bar.add_task(self._what, total=1.0)
        bar.start()
        return bar
