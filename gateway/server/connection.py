"""One client's connection: one request after the other, until it is closed or handed to aiohttp.

    state      | a head          | rest of a body         | answered             | what is no hot request
    -----------|-----------------|------------------------|----------------------|-----------------------
    IDLE       | READING or BUSY |                        |                      | OVER: aiohttp has it
    READING    |                 | BUSY at its end        | LINGERING            |
    BUSY       | is held         |                        | IDLE, what was held  |
    LINGERING  |                 | IDLE at its end        |                      |
    OVER       |                 |                        |                      |

A connection that ends with its request is OVER where another one would be IDLE.
In READING and BUSY a task handles the request. Aiohttp gets a connection between two requests only,
with every byte of the one that is not ours.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from enum import IntEnum
from math import inf
from typing import Final, Protocol, TypeAlias, cast

from gateway.relay.answering import Answer, ClientGone
from gateway.relay.incoming import Incoming
from gateway.server.answer import RawAnswer
from gateway.server.head import Heads, Odd
from gateway.server.limits import Limits
from gateway.server.request import RawRequest

HELD_BYTES_MAX: Final = 64 * 1024
"""Of requests behind one that is not answered: above it the socket is left alone."""

Handle: TypeAlias = Callable[[Incoming, Answer], Coroutine[None, None, None]]
"""Answers one request and raises nothing. An answer that is not ended is cut off."""


class State(IntEnum):
    IDLE = 0
    READING = 1
    BUSY = 2
    LINGERING = 3
    OVER = 4


class Owner(Protocol):
    """What connections have in common."""

    heads: Heads
    limits: Limits
    now: float
    """Loop time, at most a second old."""
    common: str

    def hot(self, target: str) -> Handle | None: ...

    def otherwise(self) -> asyncio.Protocol:
        """Of a connection that is not ours any more."""
        ...

    def made(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    __slots__ = (
        "_closing",
        "_drain",
        "_held",
        "_loop",
        "_owner",
        "_paused",
        "_request",
        "_transport",
        "deadline",
        "state",
        "takes",
        "task",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport
        self._held = b""
        """An unfinished head, or what came behind the request that is being answered."""
        self._request: RawRequest | None = None
        """While some of its body may still come."""
        self._paused = False
        self._drain: asyncio.Future[None] | None = None
        self._closing = False
        self.state = State.IDLE
        self.takes = True
        """False while the transport holds more for the client than it likes."""
        self.task: asyncio.Task[None] | None = None
        self.deadline = inf
        """Loop time at which whoever we wait for is late."""

    # -- the transport's side ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        made = transport.get_extra_info("socket")
        if made is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.deadline = self._owner.now + self._owner.limits.keep_alive_seconds
        self._owner.made(self)

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state is State.IDLE:
            self._next(self._held + data if self._held else data)
        elif state is State.BUSY:
            self._hold(data)
        elif state is not State.OVER:
            self._feed(data)

    def eof_received(self) -> bool:
        return False  # The transport closes itself: nobody waits for an answer.

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.takes = False

    def resume_writing(self) -> None:
        self.takes = True
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    # -- the answer's side ---------------------------------------------------------------------

    @property
    def common(self) -> str:
        return self._owner.common

    @property
    def gone(self) -> bool:
        return self.state is State.OVER or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self.state is State.OVER or self._transport.is_closing():
            raise ClientGone("closed")
        self._transport.write(data)

    def waiting_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Returns when the client has taken enough for more to be written."""
        self._drain = self._loop.create_future()
        try:
            async with asyncio.timeout(self._owner.limits.stalled_seconds):
                await self._drain
        except TimeoutError as error:
            self.abort()
            raise ClientGone("stalled") from error
        finally:
            self._drain = None

    def abort(self) -> None:
        self._transport.abort()

    # -- the owner's side ----------------------------------------------------------------------

    def late(self) -> None:
        """Its deadline is over: a client that stalls in the midst of a request loses it."""
        self.deadline = inf
        if self.state is State.READING:
            self._transport.abort()
        else:
            self._transport.close()

    def close(self) -> None:
        """At once where no request is under way, else behind its answer."""
        self._closing = True
        if self.task is None:
            self._leave()
            self._transport.close()

    # -- inside --------------------------------------------------------------------------------

    def _next(self, data: bytes) -> None:
        """A request begins with `data`, or has begun with it."""
        owner = self._owner
        head = owner.heads.read(data)
        if head is None:
            if not self._held:
                self.deadline = owner.now + owner.limits.head_seconds
            self._held = data
            return
        handle = None if head is Odd.ODD else owner.hot(head.target)
        if handle is None or head is Odd.ODD:
            self._hand_over(data)
            return
        end = head.size + head.length
        too_large = head.length > owner.limits.body_bytes_max
        request = RawRequest(head, data[head.size : end], too_large=too_large)
        self._held = data[end:]
        if request.left:
            self._request = request
            self.state = State.READING
            self.deadline = owner.now + owner.limits.body_seconds
        else:
            self.state = State.BUSY
            self.deadline = inf
        if len(self._held) >= HELD_BYTES_MAX:
            self._pause()
        answer = RawAnswer(self, close=head.close)
        self.task = self._loop.create_task(self._answer(handle, request, answer))

    async def _answer(self, handle: Handle, request: RawRequest, answer: RawAnswer) -> None:
        try:
            await handle(request, answer)
        finally:
            self.task = None
            self._answered(request, answer)

    def _answered(self, request: RawRequest, answer: RawAnswer) -> None:
        if self.state is State.OVER:
            return
        if not answer.ended:
            self._leave()
            self._transport.abort()
        elif request.left and not self._closing:
            # Also where the connection ends with this request: what is not read when it is
            # closed would reset it, and the client could lose its answer.
            request.forget()
            self.state = State.LINGERING
            self.deadline = self._owner.now + self._owner.limits.lingering_seconds
        elif request.close or self._closing:
            self._leave()
            self._transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """To the next request; some of it may have come."""
        self.state = State.IDLE
        self.deadline = self._owner.now + self._owner.limits.keep_alive_seconds
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._held:
            held, self._held = self._held, b""
            self._next(held)

    def _feed(self, data: bytes) -> None:
        """The body goes on: of a request that is handled, or of one that is answered already."""
        request = self._request
        assert request is not None
        self._held = request.feed(data)
        if request.left:
            if self.state is State.READING:
                self.deadline = self._owner.now + self._owner.limits.body_seconds
            return
        self._request = None  # A body is not kept until the next one comes.
        if self.state is State.READING:
            self.state = State.BUSY
            self.deadline = inf
            if len(self._held) >= HELD_BYTES_MAX:
                self._pause()
        elif request.close:
            self._leave()
            self._transport.close()
        else:
            self._go_on()

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= HELD_BYTES_MAX:
            self._pause()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _hand_over(self, data: bytes) -> None:
        transport, handler = self._transport, self._owner.otherwise()
        self._leave()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if not self.takes:
            handler.pause_writing()
        handler.data_received(data)

    def _leave(self) -> None:
        self.state = State.OVER
        self.deadline = inf
        self._held = b""
        self._owner.lost(self)
