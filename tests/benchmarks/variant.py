"""`python -m tests.benchmarks.variant SINKS --config FILE`: the gateway with some sinks only.

SINKS is a list of their names with commas between, or `none`. For benchmarks: people cannot switch
a sink off, since rows, metrics and spans are views of the same events.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from gateway import __main__ as program
from gateway import app
from gateway.delivery_parts import Sink, SinkStats
from gateway.spine import Spine

NONE = "none"


class Chosen(Spine):
    """Hands events to the chosen sinks. The others stand beside a spine that tells nothing, so
    that whoever asks after them gets an answer."""

    names: frozenset[str] = frozenset()

    def __init__(self, **of: Any) -> None:
        super().__init__(**of)
        self._silent = Spine(**of)

    def attach(self, sink: Sink, **how: Any) -> None:
        if sink.name in self.names:
            super().attach(sink, **how)
        else:
            self._silent.attach(sink, **how)

    async def settled(self, name: str, timeout_seconds: float) -> bool:
        if name in self.names:
            return await super().settled(name, timeout_seconds)
        return await self._silent.settled(name, timeout_seconds)

    async def safe(self, name: str, timeout_seconds: float) -> bool:
        if name in self.names:
            return await super().safe(name, timeout_seconds)
        return True

    def stats(self) -> Mapping[str, SinkStats]:
        return {**self._silent.stats(), **super().stats()}

    async def __aenter__(self) -> Chosen:
        await self._silent.__aenter__()
        await super().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._silent.__aexit__(None, None, None)


def main() -> None:
    chosen = sys.argv.pop(1)
    Chosen.names = frozenset(() if chosen == NONE else chosen.split(","))
    setattr(app, "Spine", Chosen)  # noqa: B010 - mypy takes a class for a constant
    sys.argv[1:1] = ["serve"]
    program.main()


if __name__ == "__main__":
    main()
