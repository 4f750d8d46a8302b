"""`Answer` on aiohttp: the relay's bytes as an HTTP response, with the client's absence noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiohttp import web
from multidict import CIMultiDict

from gateway.relay.answering import STALLED_SECONDS, ClientGone, Headers

AT_ONCE_BYTES_MAX = 16 * 1024
"""A write that leaves no more than this in the transport cannot wait, and needs no timer: a
transport holds its writer back above 64 KiB, and lets it go on at a quarter of that."""


class HttpAnswer:
    """Implements `Answer`. `response` is what the handler must return."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        response = web.Response(status=status, headers=CIMultiDict(headers), body=body)
        await self._prepare(response)
        await self._bounded(response.write_eof(), len(body))

    async def begin(self, status: int, headers: Headers) -> None:
        await self._prepare(web.StreamResponse(status=status, headers=CIMultiDict(headers)))

    async def write(self, chunk: bytes) -> None:
        assert self.response is not None
        await self._bounded(self.response.write(chunk), len(chunk))

    def put(self, chunk: bytes) -> bool:
        transport = self._request.transport
        if transport is None or transport.is_closing() or not _takes_at_once(transport, len(chunk)):
            return False
        assert self.response is not None
        writing = self.response.write(chunk)
        try:
            writing.send(None)  # It would only wait for a transport that holds too much.
        except StopIteration:
            return True
        except ConnectionError:
            return False
        raise AssertionError

    async def keep_alive(self, frame: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing() or not _takes_at_once(transport, len(frame)):
            return
        await self.write(frame)

    async def end(self) -> None:
        assert self.response is not None
        await self._bounded(self.response.write_eof(), 0)

    async def _prepare(self, response: web.StreamResponse) -> None:
        self.response = response
        body = self._request.content
        if body.exception() is not None:
            # Where the next request begins behind a broken body, nobody knows.
            response.force_close()
            body.feed_eof()  # aiohttp would read the rest of it, fail again and log a surprise.
        await self._bounded(response.prepare(self._request), 0)

    async def _bounded(self, writing: Awaitable[object], size: int) -> None:
        transport = self._request.transport
        try:
            if transport is not None and _takes_at_once(transport, size):
                await writing
            else:
                async with asyncio.timeout(STALLED_SECONDS):
                    await writing
        except (ConnectionError, TimeoutError) as error:
            if transport is not None:
                transport.abort()
            raise ClientGone(type(error).__name__) from error


def _takes_at_once(transport: asyncio.WriteTransport, size: int) -> bool:
    return transport.get_write_buffer_size() + size <= AT_ONCE_BYTES_MAX
