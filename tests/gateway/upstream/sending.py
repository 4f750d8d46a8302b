"""Requests to send, and raw servers that no HTTP library would play."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.config import Credential, Dialect, Provider, Simulated, Timeouts
from gateway.units import Secret
from gateway.upstream.base import Outgoing, Reply, chunks

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHAT = {"model": "model-a", "messages": [{"role": "user", "content": "Hello"}]}
PATHS = {"openai": "/chat/completions", "anthropic": "/v1/messages"}


def outgoing(
    base_url: str = "",
    *,
    dialect: str = "openai",
    path: str = "",
    query: str = "",
    key: str = "key-1",
    credential: str = "one",
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
    body: dict[str, Any] | bytes | None = None,
    stream: bool = False,
    timeouts: Timeouts | None = None,
    simulated: Simulated | None = None,
    provider: str = "somewhere",
) -> Outgoing:
    simulates = simulated is not None
    fields = body if body is not None else CHAT | ({"stream": True} if stream else {})
    used = Credential(name=credential, key=Secret(key))
    return Outgoing(
        provider=Provider(
            name=provider,
            dialect=Dialect.SIMULATED if simulates else Dialect(dialect),
            base_url=base_url,
            credentials=(used,),
            simulated=simulated or Simulated(),
        ),
        credential=used,
        model="model-a",
        dialect=dialect,
        path=path or PATHS[dialect],
        query=query,
        headers=headers,
        body=fields if isinstance(fields, bytes) else json.dumps(fields).encode(),
        stream=stream,
        timeouts=timeouts or Timeouts(),
    )


async def read(reply: Reply) -> bytes:
    return b"".join([part async for part in chunks(reply)])


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """The URL of a server that speaks whatever `handler` writes."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await handler(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def writes(*parts: bytes) -> Handler:
    """Reads one request's head, writes `parts` and closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    return handler
