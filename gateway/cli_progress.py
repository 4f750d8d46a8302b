"""A bar for work that takes longer than a moment, on a terminal only, beside what is printed."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final

from gateway.clock import SystemClock

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE_SECONDS: Final = 2.0
"""Shorter work is over before anyone wonders."""


class Progress:
    """Call it with the share that is done, from 0 to 1."""

    def __init__(self, what: str) -> None:
        self._what = what
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
        return sys.stderr.isatty() and waited >= PATIENCE_SECONDS

    def _begun(self) -> Bar:
        # 0.1 s to import, and only a terminal needs it.
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._bar = Bar(console=Console(stderr=True), transient=True)
        self._bar.add_task(self._what, total=1.0)
        self._bar.start()
        return self._bar
