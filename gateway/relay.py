"""The only loop: decide, send, report, emit. Streams and single answers take the same way.

A reply is always a stream of bytes and *commit* is one fact: until the first content nothing has
reached the client and a failure falls back unseen; after it nothing may switch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from gateway.config import Dialect
from gateway.events import Event
from gateway.routing.call import Bad, Call, Facts, Seen
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import Clock
from gateway.upstream.base import Reply, Upstream
from gateway.wire.base import Judge, Wire

HELD_BYTES_MAX = 64 * 1024 * 1024
"""Of one answer before its first content: a single answer is held whole, and judged, first."""
ERROR_BYTES_MAX = 1024 * 1024
"""Of an error's body: enough for any sentence, too little to fill memory with."""
TAIL_SECONDS = 1.0
"""How long an upstream may keep a stream open after its terminal marker."""
CLIENT_CLOSED = 499
"""What the history calls the status of a request whose client went away before any answer."""


class ClientGone(Exception):
    """The client's connection is closed: raised by `Answer`."""


class Answer(Protocol):
    """The client's side. Every method may raise `ClientGone`."""

    async def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None: ...

    async def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None: ...

    async def write(self, chunk: bytes) -> None: ...

    async def end(self) -> None: ...


class Emitter(Protocol):
    def emit_all(self, events: Sequence[Event]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A client's request, read and allowed."""

    wire: Wire
    path: str
    """Below the dialect's root, for upstream."""
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    facts: Facts


@dataclass(slots=True)
class _Progress:
    """What one attempt has come to."""

    reply: Reply | None = None
    status: int | None = None
    committed: bool = False
    told: bool = False
    """The client has seen the upstream's own error event."""
    bytes_sent: int = 0
    judge: Judge | None = None
    held: list[bytes] = field(default_factory=list)

    def seen(self) -> Seen:
        headers: Mapping[str, str] = self.reply.headers if self.reply is not None else {}
        upstream_id = headers.get("request-id") or headers.get("x-request-id") or ""
        return Seen(
            status=self.status,
            upstream_request_id=upstream_id[:128],
            bytes_sent=self.bytes_sent,
            usage=self.judge.usage if self.judge is not None else None,
        )


@dataclass(frozen=True, slots=True)
class _ErrorReply:
    """An upstream's error answer, kept in case it is the client's own fault and is handed on."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class _Failed(Exception):
    """This attempt is over; `bad` says how."""

    def __init__(self, bad: Bad, reply: _ErrorReply | None = None) -> None:
        super().__init__(bad.failure)
        self.bad = bad
        self.reply = reply


class Relay:
    """Carries requests of one pool."""

    def __init__(
        self,
        *,
        pool: Pool,
        upstreams: Mapping[Dialect, Upstream],
        spine: Emitter,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._pool = pool
        self._upstreams = upstreams
        self._spine = spine
        self._clock = clock
        self._rng = rng

    async def serve(self, inbound: Inbound, route: RouteState, answer: Answer) -> None:
        """Answer one request, whatever happens. Raises only `CancelledError`."""
        now = self._clock.now()
        self._spine.emit_all(self._pool.expire(now))
        call = Call(self._pool, route, inbound.facts, now=now, rng=self._rng)
        progress = _Progress()
        try:
            outcome, status = await self._run(call, inbound, answer)
        except (ClientGone, asyncio.CancelledError) as gone:
            progress = self._progress or progress
            self._abandon(call, progress)
            if isinstance(gone, asyncio.CancelledError):
                raise
            return
        now = self._clock.now()
        self._spine.emit_all([call.closed(now, outcome=outcome, status=status)])
