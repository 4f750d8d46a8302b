"""`Answer` on aiohttp: the relay's bytes as an HTTP response, with the client's absence noticed."""

from __future__ import annotations

import asyncio

from aiohttp import web
from multidict import CIMultiDict

from gateway.relay.answering import ClientGone, Headers

STALLED_SECONDS = 300.0
"""A client that takes no byte for so long is gone: its upstream call costs money."""


class HttpAnswer:
    """Implements `Answer`. `response` is what the handler must return."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        response = web.Response(status=status, headers=CIMultiDict(headers), body=body)
        await self._prepare(response)
        await self._bounded(response.write_eof())

    async def begin(self, status: int, headers: Headers) -> None:
        await self._prepare(web.StreamResponse(status=status, headers=CIMultiDict(headers)))

    async def write(self, chunk: bytes) -> None:
        assert self.response is not None
        await self._bounded(self.response.write(chunk))

    async def end(self) -> None:
        assert self.response is not None
        await self._bounded(self.response.write_eof())

    async def _prepare(self, response: web.StreamResponse) -> None:
        self.response = response
        body = self._request.content
        if body.exception() is not None:
            # Where the next request begins behind a broken body, nobody knows.
            response.force_close()
            body.feed_eof()  # aiohttp would read the rest of it, fail again and log a surprise.
        await self._bounded(response.prepare(self._request))

    async def _bounded(self, writing: object) -> None:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await writing  # type: ignore[misc]
        except (ConnectionError, TimeoutError) as error:
            transport = self._request.transport
            if transport is not None:
                transport.abort()
            raise ClientGone(type(error).__name__) from error
