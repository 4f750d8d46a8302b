"""`Answer` on a connection of our own: bytes straight to the transport, one write where one will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.relay.answering import Answer, ClientGone, Headers
from gateway.server.answer_head import CHUNKED, empty, written

if TYPE_CHECKING:
    from gateway.server.connection import Connection

AT_ONCE_BYTES_MAX: Final = 16 * 1024
"""A frame without meaning is not sent to a client that has so much to take already."""


class RawAnswer:
    """Implements `Answer`. `ended`: the client was written all of it."""

    __slots__ = ("_bodiless", "_close", "_connection", "_head", "begun", "ended")

    def __init__(self, connection: Connection, *, close: bool) -> None:
        self._connection = connection
        self._close = close
        self._head = b""
        """Of a stream whose first chunk has not come: both are one write."""
        self._bodiless = False
        self.begun = False
        self.ended = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        connection = self._connection
        head = written(status, headers, len(body), connection.common, close=self._close)
        self._begin()
        connection.write(head if empty(status) else head + body)
        self.ended = True
        if not connection.takes:
            await connection.drained()

    async def begin(self, status: int, headers: Headers) -> None:
        connection = self._connection
        self._head = written(status, headers, CHUNKED, connection.common, close=self._close)
        self._bodiless = empty(status)
        self._begin()

    async def write(self, chunk: bytes) -> None:
        connection = self._connection
        self._write(chunk)
        if not connection.takes:
            await connection.drained()

    def put(self, chunk: bytes) -> bool:
        connection = self._connection
        if not connection.takes or connection.gone:
            return False
        self._write(chunk)
        return True

    async def keep_alive(self, frame: bytes) -> None:
        connection = self._connection
        if not connection.takes or connection.gone:
            return
        if connection.waiting_bytes() + len(frame) <= AT_ONCE_BYTES_MAX:
            await self.write(frame)

    async def end(self) -> None:
        connection = self._connection
        connection.write(self._head if self._bodiless else self._head + b"0\r\n\r\n")
        self._head = b""
        self.ended = True
        if not connection.takes:
            await connection.drained()

    def _write(self, chunk: bytes) -> None:
        if not chunk or self._bodiless:
            return
        if self._head:
            self._connection.write(b"%b%x\r\n%b\r\n" % (self._head, len(chunk), chunk))
            self._head = b""
        else:
            self._connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def _begin(self) -> None:
        if self.begun:
            # Only where something failed inside the gateway: half an answer is better cut off.
            self._connection.abort()
            raise ClientGone("begun")
        self.begun = True


_ANSWER: type[Answer] = RawAnswer
