"""The client of the benchmarks: raw bytes on kept connections, so that it costs little itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

from tests.benchmarks.http_bytes import body_length

EXCHANGE_SECONDS_MAX = 20.0
"""A gateway that takes longer is broken, not slow."""
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Broken(Exception):
    """An answer that a benchmark must not count."""


@dataclass(slots=True)
class Took:
    """What one run of load came to; times in seconds."""

    seconds: float = 0.0
    to_first: list[float] = field(default_factory=list)
    """From the request sent to the first byte of the body, one entry a request."""
    to_last: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.to_last)


class Connection(asyncio.Protocol):
    """One exchange after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._head = b""
        self._left: int | None = None
        """Bytes of the body still to come; None: it is chunked."""
        self._tail = b""
        self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass.

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail("the connection was closed")

    def data_received(self, data: bytes) -> None:
        if not self._first:
            data = self._read_head(data)
            if not data:
                return
            self._first = perf_counter()
        if self._left is not None:
            self._left -= len(data)
            over = self._left <= 0
        else:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            over = self._tail == _LAST_CHUNK
        if over and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _read_head(self, data: bytes) -> bytes:
        """What of `data` belongs to the body."""
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        if end < 4:
            return b""
        head, body = self._head[:end], self._head[end:]
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(head.partition(b"\r\n")[0].decode())
            return b""
        self._left = body_length(head) or None
        return body

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Broken(why))

    async def exchange(self, request: bytes, took: Took) -> None:
        """Raises `Broken`."""
        if self._transport is None:
            raise Broken("the connection is closed")
        self._head, self._tail, self._first = b"", b"", 0.0
        self._done = self._loop.create_future()
        began = perf_counter()
        self._transport.write(request)
        await self._done
        took.to_first.append(self._first - began)
        took.to_last.append(perf_counter() - began)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    try:
        for _ in range(count):
            _, made = await loop.create_connection(Connection, "127.0.0.1", port)
            opened.append(made)
        async with asyncio.timeout(EXCHANGE_SECONDS_MAX):
            yield opened
    finally:
        for each in opened:
            each.close()


async def closed_loop(port: int, request: bytes, *, count: int, seconds: float) -> Took:
    """`count` connections, each sending its next request as soon as it has an answer."""
    took = Took()

    async def work(connection: Connection, end: float) -> None:
        while perf_counter() < end:
            await connection.exchange(request, took)

    async with connections(port, count) as opened:
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for each in opened:
                group.create_task(work(each, began + seconds))
        took.seconds = perf_counter() - began
    return took


async def once_each(port: int, request: bytes, *, count: int, spread_seconds: float) -> Took:
    """One request on each of `count` connections, begun evenly over that time."""
    took = Took()

    async def work(connection: Connection, wait: float) -> None:
        await asyncio.sleep(wait)
        await connection.exchange(request, took)

    async with connections(port, count) as opened:
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, each in enumerate(opened):
                group.create_task(work(each, spread_seconds * number / count))
        took.seconds = perf_counter() - began
    return took


async def fixed_rate(port: int, request: bytes, *, per_second: float, seconds: float) -> Took:
    """One request every so often, on two connections in turn.

    A time counts from the sending, not from the plan: the rate is meant to be far below what
    saturates anyone, and the loop's timers are no finer than a millisecond.
    """
    took = Took()
    async with connections(port, 2) as opened, asyncio.TaskGroup() as group:
        began = perf_counter()
        busy: list[asyncio.Task[None] | None] = [None, None]
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - perf_counter()))
            turn = number % 2
            before = busy[turn]
            if before is not None:
                await before
            busy[turn] = group.create_task(opened[turn].exchange(request, took))
    took.seconds = perf_counter() - began
    return took
