"""One connection to a provider: an asyncio protocol around llhttp's parser.

It carries one exchange at a time. What a read brings is handed on as one chunk, however many frames of
chunked encoding it holds; a reader that falls behind stops the socket from being read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import lru_cache
from typing import Final, Protocol, cast

import httptools

from gateway.upstream.base import Take
from gateway.upstream.waits import NEVER

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of one line of an answer's head: CDNs send policies that are longer than 8 KiB."""
HEADERS_MAX: Final = 256
UNREAD_BYTES_MAX: Final = 256 * 1024
"""Waiting to be read by us: above it the socket is left alone, below half of it read again."""
SWITCHING: Final = 101
HEADERS_TIMEOUT: Final = "headers_timeout"
WITH_LENGTH: Final = frozenset({"content-length", "transfer-encoding"})
NAMES_KEPT: Final = 512
"""Names of headers that are decoded once."""


class Broken(Exception):
    """An exchange that did not come to its end. `reason` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Exchange:
    """One request's answer on its way. Outlives the connection, which may serve others by then.

    Implements `Wait`: for its head."""

    __slots__ = (
        "_bytes",
        "_connection",
        "_loop",
        "_parts",
        "_take",
        "_waiter",
        "complete",
        "error",
        "headers",
        "status",
        "until",
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection: Connection | None = connection
        self._loop = loop
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.complete = False
        self.error: Broken | None = None
        self.until = NEVER
        self._parts: deque[bytes] = deque()
        self._bytes = 0
        self._take: Take | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Returns when status and headers are there. Raises `Broken`."""
        while not self.status:
            if self.error is not None:
                raise self.error
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def chunk(self) -> bytes | None:
        """What has come since; None at the end. Raises `Broken`, after all that came before it."""
        while not self._parts:
            if self.error is not None:
                raise self.error
            if self.complete:
                return None
            assert self._waiter is None, "one reader at a time"
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        part = self._parts.popleft()
        self._bytes -= len(part)
        if self._connection is not None and self._bytes <= UNREAD_BYTES_MAX // 2:
            self._connection.resume()
        return part

    def whole(self) -> bytes | None:
        """All of the body, where it is here and nothing of it was read; else None."""
        if not self.complete:
            return None
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return body

    def pour(self, take: Take | None) -> None:
        """As `Reply.pour`."""
        self._take = take

    def ring(self) -> None:
        """Its headers took too long; nothing happens where they have come."""
        if not self.status:
            connection = self._connection
            self.finish(Broken(HEADERS_TIMEOUT))
            if connection is not None:
                connection.abort()

    def abort(self) -> None:
        """Ends the call, read or not; the connection is used by nobody any more."""
        if self._connection is not None:
            self._connection.abort()

    # -- the connection's side -----------------------------------------------------------------

    def feed(self, part: bytes) -> bool:
        """False: enough waits already."""
        waiter = self._waiter
        if self._take is not None and waiter is not None and not (self._parts or waiter.done()):
            left = self._take(part)
            if left is None:
                return True
            part = left
        self._parts.append(part)
        self._bytes += len(part)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return self._bytes < UNREAD_BYTES_MAX

    def finish(self, error: Broken | None = None) -> None:
        self._connection = None
        if error is None:
            self.complete = True
        elif not self.complete and self.error is None:
            self.error = error
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """`free` is called with the connection when it may be used again."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._headers: list[tuple[str, str]] = []
        self._got: list[bytes] = []
        self._paused = False
        self._interim = False
        self.idle_since = 0.0
        self.closed = False

    def ask(self, request: bytes, body: bytes) -> Exchange:
        """Sends one request. The connection must be idle."""
        assert self._exchange is None
        assert self._transport is not None
        self._exchange = exchange = Exchange(self, self._loop)
        self._headers = []
        if len(body) <= HEAD_BYTES_MAX:
            self._transport.write(request + body)
        else:
            self._transport.writelines((request, body))
        return exchange

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            # `close` alone would first flush what is unsent, to a peer that may not read.
            self._transport.abort()

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    # -- asyncio's side ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            # Nobody asked: what a request that is sent now would take for its answer.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, Broken):
            self._fail("bad_http")
            return
        self._hand_on()

    def eof_received(self) -> bool:
        if self._exchange is not None:
            self._hand_on()
            self._end_by_close()
        self.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._exchange is not None:
            if error is None:
                self._end_by_close()
            else:
                self._fail("reset")
        self._owner.lost(self)

    # -- llhttp's side -------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if len(headers) >= HEADERS_MAX or len(name) + len(value) > HEAD_BYTES_MAX:
            raise Broken("bad_http")
        headers.append((_name(name), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.status:
            raise Broken("bad_http")  # A second answer to one question.
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200 and status != SWITCHING
        if self._interim:
            return
        exchange.status, exchange.headers = status, self._headers
        self._headers = []  # What comes behind the body is no header of the answer.
        exchange.wake()

    def on_body(self, body: bytes) -> None:
        self._got.append(body)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if self._interim or exchange is None:
            self._headers = []
            self._interim = False
            return
        self._hand_on()
        self._exchange = None
        reusable = self._parser.should_keep_alive() and not self.closed
        exchange.finish()
        if self._paused:
            self.resume()
        if reusable:
            self._owner.free(self)
        else:
            self.abort()

    # -- inside --------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        got, exchange = self._got, self._exchange
        if not got or exchange is None:
            return
        part = got[0] if len(got) == 1 else b"".join(got)
        self._got = []
        if not exchange.feed(part) and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _end_by_close(self) -> None:
        """The provider has closed: that ends a body without a length, and breaks any other."""
        exchange = self._exchange
        assert exchange is not None
        if not exchange.status:
            self._fail("disconnected")
        elif not any(name.lower() in WITH_LENGTH for name, _ in exchange.headers):
            # The body has no length of its own: the connection's end is the body's.
            self._exchange = None
            exchange.finish()
        else:
            self._fail("truncated")

    def _fail(self, reason: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.finish(Broken(reason))
        self.abort()


@lru_cache(maxsize=NAMES_KEPT)
def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class Owner(Protocol):
    """What a connection tells whoever keeps it."""

    def free(self, connection: Connection) -> None:
        """It may be used again."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""
