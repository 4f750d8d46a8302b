"""The port: our own server in front for the inference routes, aiohttp's for all else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from aiohttp import web

from gateway.api.context import Context
from gateway.api.hot import HotRoutes
from gateway.api.routes import application
from gateway.app_background import background
from gateway.config import HttpServer
from gateway.server.connection import Handle
from gateway.server.limits import Limits
from gateway.server.server import Server

BACKLOG = 128
"""Connections that the kernel accepts ahead of us, as aiohttp has it."""


async def listen(
    stack: AsyncExitStack, context: Context, *, host: str | None = None, port: int | None = None
) -> str:
    """Serves until `stack` closes; what is under way then has `server.drain_seconds`. The URL."""
    server = context.config.server
    host = server.host if host is None else host
    port = server.port if port is None else port
    runner = web.AppRunner(
        application(context),
        access_log=None,  # A line per request comes from the log sink, for a fifth of the price.
        handler_cancellation=True,
        shutdown_timeout=server.drain_seconds,
    )
    await runner.setup()
    if server.http_server is HttpServer.AIOHTTP:
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port).start()
        return _url(runner.addresses[0])
    return await _in_front(stack, context, runner, host, port)


async def _in_front(
    stack: AsyncExitStack, context: Context, runner: web.AppRunner, host: str, port: int
) -> str:
    otherwise, routes = runner.server, HotRoutes(context)
    assert otherwise is not None

    def hot(target: str) -> Handle | None:
        found = routes(target)
        return None if found is None else found.answer

    own = Server(
        hot=hot,
        otherwise=otherwise,
        limits=Limits(body_bytes_max=context.config.server.max_body_bytes),
        clock=context.clock,
    )
    tasks = await stack.enter_async_context(background())
    tasks.run(own.sweep(), name="slow clients")

    async def stop() -> None:
        """Both ends at once: they have the same time to drain."""
        await asyncio.sleep(0)  # What has just been read becomes a request, and is served.
        async with asyncio.TaskGroup() as group:
            group.create_task(own.stop(context.config.server.drain_seconds))
            group.create_task(runner.cleanup())

    stack.push_async_callback(stop)
    listening = await asyncio.get_running_loop().create_server(own, host, port, backlog=BACKLOG)
    stack.callback(listening.close)
    return _url(listening.sockets[0].getsockname())


def _url(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
