"""The end of serving, and what all connections share."""

from __future__ import annotations

import asyncio

from tests.gateway.server.test_conformance import post
from tests.gateway.server.test_connection import WAITING, server_of, until
from tests.gateway.server.twins import ours, talk


async def test_idle_connections_are_closed_at_once_and_busy_ones_behind_their_answer() -> None:
    async with ours() as own:
        server = server_of(own)
        idle = asyncio.ensure_future(talk(own.port, [post(body=b"1")], quiet=5))
        half = asyncio.ensure_future(talk(own.port, [post(body=b"1")[:20]], quiet=5))
        busy = asyncio.ensure_future(talk(own.port, [WAITING + post(body=b"never")], quiet=5))
        await until(lambda: len(server._connections) == 3 and len(server._tasks()) == 1)
        await until(lambda: len(own.application.told) == 1)
        stopping = asyncio.ensure_future(server.stop(5))
        await until(lambda: idle.done() and half.done())
        assert not busy.done()
        own.application.go.set()
        await stopping
        heard = await busy
        assert (heard.data.count(b"HTTP/1.1 200"), heard.closed) == (1, True)
        assert not server._connections


async def test_what_takes_longer_than_the_drain_is_cancelled() -> None:
    async with ours() as own:
        busy = asyncio.ensure_future(talk(own.port, [WAITING], quiet=5))
        await until(lambda: bool(server_of(own)._tasks()))
        await server_of(own).stop(0.05)
        assert own.application.told == ["cancelled"]
        assert (await busy).data == b""


async def test_the_date_is_the_sweep_s() -> None:
    async with ours() as own:
        server = server_of(own)
        server.common = "Date: old\r\n"
        server.tick()
        assert "old" not in server.common
