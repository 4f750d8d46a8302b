"""A request on a connection of our own, with the part of its body that has come."""

from __future__ import annotations

import asyncio

from gateway.relay.incoming import BodyTooLarge, Incoming
from gateway.server.head import Head


class RawRequest:
    """Implements `Incoming`. `left`: bytes of the body that have not come."""

    __slots__ = ("_first", "_more", "_too_large", "_waiter", "close", "headers", "left")

    def __init__(self, head: Head, begun: bytes, *, too_large: bool) -> None:
        self.headers = head.headers
        self.close = head.close
        self.left = head.length - len(begun)
        self._too_large = too_large
        self._first = begun
        self._more: list[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        if self._too_large:
            raise BodyTooLarge
        if self.left:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._more is not None:
            self._first = b"".join((self._first, *self._more))
            self._more = None
        return self._first

    def feed(self, data: bytes) -> bytes:
        """Takes what belongs to the body; the rest is another request's."""
        part = data[: self.left]
        self.left -= len(part)
        if not self._too_large:
            self._more = self._more or []
            self._more.append(part)
        if not self.left and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return data[len(part) :]

    def forget(self) -> None:
        """Nobody wants the body any more; what is still to come is thrown away."""
        self._too_large = True
        self._first, self._more = b"", None


_INCOMING: type[Incoming] = RawRequest
