"""The floor: the smallest sensible gateway on aiohttp, to have something to be compared with.

`python -m tests.benchmarks.floor UPSTREAM_URL`. No keys, no routing, no events, no care for
failures; every switch that makes aiohttp faster is set.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import click
import msgspec
import uvloop
from aiohttp import web

_DROPPED = {"host", "content-length", "authorization", "accept-encoding", "connection"}
_ADDED_ANYWAY = ("User-Agent", "Accept-Encoding")


class _Asked(msgspec.Struct):
    model: str
    stream: bool = False


_DECODER = msgspec.json.Decoder(_Asked)


class Floor:
    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        self._session = session
        self._url = f"{upstream}/v1/chat/completions"

    async def relay(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _DROPPED}
        headers["Authorization"] = "Bearer upstream-key"
        async with self._session.post(self._url, data=body, headers=headers) as reply:
            kind = {"content-type": reply.headers["content-type"]}
            if not _DECODER.decode(body).stream:
                read = await reply.read()
                return web.Response(status=reply.status, body=read, headers=kind)
            response = web.StreamResponse(status=reply.status, headers=kind)
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(upstream: str) -> None:
    """For ever, on a free port that it tells."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_ADDED_ANYWAY,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", Floor(session, upstream).relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        click.echo(f"serves on http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
