"""Keeps silent streams alive: the dialect's frame without meaning, for clients that have waited long.

One sweep over all open streams does it, so that a chunk that is passed on costs nothing here. Only
the client's side is touched: the clocks on the upstream run on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from gateway.relay.answering import Answer, ClientGone
from gateway.relay.exchange import Flow
from gateway.units import Clock

SWEEPS_TO_SILENCE = 2
"""A stream on which nothing was sent from one sweep to the next but one is silent."""
SWEEPS_PER_INTERVAL = 3
"""So that silence is noticed after two thirds of the interval at the earliest, and never after it."""


LOOK_SECONDS = 15.0
"""How soon keep-alives that a reload has switched on begin."""


class Sending(Protocol):
    """One attempt as far as it has come."""

    bytes_sent: int
    gate: Flow | None
    """Of a stream that waits for its next chunk."""


class _Watched(msgspec.Struct, eq=False):
    sending: Sending
    answer: Answer
    frame: bytes
    sent: int | None = None
    silent: int = 0

    def now(self) -> int | None:
        """Bytes sent so far; None where no frame may be put in."""
        gate = self.sending.gate
        return None if gate is None or gate.within else self.sending.bytes_sent


class KeepAlives:
    """The attempts under way."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}

    def watch(self, sending: Sending, answer: Answer, frame: bytes) -> None:
        self._watched[id(sending)] = _Watched(sending, answer, frame)

    def forget(self, sending: Sending) -> None:
        self._watched.pop(id(sending), None)

    async def run(self, clock: Clock, interval: Callable[[], float]) -> None:
        """Sweeps for ever; `interval` is asked each time, and 0 means that nothing is sent."""
        while True:
            seconds = interval()
            await clock.sleep((seconds or LOOK_SECONDS) / SWEEPS_PER_INTERVAL)
            if seconds:
                await self.sweep()

    async def sweep(self) -> None:
        """To be called `SWEEPS_PER_INTERVAL` times an interval."""
        for watched in list(self._watched.values()):
            sent = watched.now()
            if sent is None or sent != watched.sent:
                watched.sent, watched.silent = sent, 0
                continue
            watched.silent += 1
            if watched.silent >= SWEEPS_TO_SILENCE:
                watched.silent = 0
                with suppress(ClientGone):  # Whoever writes next finds out as well.
                    await watched.answer.keep_alive(watched.frame)
