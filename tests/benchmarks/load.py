"""The load of the benchmarks where there is no compiler: what load.c does, in Python.

Raw bytes on kept connections, so that it costs little itself. What counts as a whole answer is told
at the head of load.c.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, perf_counter_ns
from typing import cast

from tests.benchmarks.http_bytes import STAMP, Steer, body_length

EXCHANGE_SECONDS_MAX = 20.0
"""A gateway that takes longer is broken, not slow."""
RATE_CONNECTIONS_MAX = 256
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_STAMP_BYTES = 18


class Broken(Exception):
    """An answer that a benchmark must not count."""


@dataclass(slots=True)
class Took:
    """What one run of load came to; times in seconds."""

    seconds: float = 0.0
    to_first: Sequence[float] = field(default_factory=list)
    """To the first content, one entry a whole answer: from the sending, or from when it was due."""
    to_last: Sequence[float] = field(default_factory=list)
    transit: Sequence[float] = field(default_factory=list)
    """Of each chunk, from the provider to here."""
    sent: int = 0
    failed: int = 0
    incomplete: int = 0
    chunks: int = 0
    why: str = ""
    """Of the first failure."""

    @property
    def requests(self) -> int:
        """Answers that came whole."""
        return len(self.to_last)


class Connection(asyncio.Protocol):
    """One exchange after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self._head, self._tail, self._carried = b"", b"", b""
        self._left: int | None = None
        """Bytes of the body still to come; None: it is chunked."""
        self._bytes = 0
        self._first = 0.0
        self._transit: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass.

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail("the connection was closed")

    def data_received(self, data: bytes) -> None:
        if not self._head.endswith(b"\r\n\r\n"):
            data = self._read_head(data)
            if not data:
                return
        self._read_body(data)
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
        self._head, body = self._head[:end], self._head[end:]
        if not self._head.startswith(b"HTTP/1.1 200"):
            self._fail(self._head.partition(b"\r\n")[0].decode())
            return b""
        self._left = body_length(self._head) or None
        return body

    def _read_body(self, data: bytes) -> None:
        now = perf_counter_ns()
        self._first = self._first or now / 1e9
        self._bytes += len(data)
        text = self._carried + data
        end = 0
        for found in STAMP.finditer(text):
            self._transit.append((now - int(found[1])) / 1e9)
            end = found.end()
        self._carried = text[max(end, len(text) - _STAMP_BYTES + 1) :]

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Broken(why))

    async def exchange(
        self, request: bytes, took: Took, steer: Steer | None = None, due: float = 0.0
    ) -> None:
        """Times count from `due`, or from now. Raises `Broken`."""
        if self._transport is None:
            raise Broken("the connection is closed")
        self._reset()
        self._done = self._loop.create_future()
        began = due or perf_counter()
        self._transport.write(request)
        await self._done
        if steer is not None and (self._bytes < steer.least or len(self._transit) != steer.chunks):
            message = f"{self._bytes} bytes, {len(self._transit)} chunks"
            raise Broken(message)
        cast("list[float]", took.to_first).append(self._first - began)
        cast("list[float]", took.to_last).append(perf_counter() - began)
        cast("list[float]", took.transit).extend(self._transit)
        took.chunks += len(self._transit)

    async def counted(
        self, request: bytes, took: Took, steer: Steer | None, due: float = 0.0
    ) -> bool:
        """An exchange whose failure is only counted."""
        took.sent += 1
        try:
            await self.exchange(request, took, steer, due)
        except Broken as broken:
            took.failed += 1
            took.why = took.why or str(broken)
            return False
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _dial(port: int) -> Connection:
    _, made = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return made


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    opened: list[Connection] = []
    try:
        for _ in range(count):
            opened.append(await _dial(port))  # noqa: PERF401 - those that are open get closed
        async with asyncio.timeout(EXCHANGE_SECONDS_MAX):
            yield opened
    finally:
        for each in opened:
            each.close()


async def closed_loop(
    port: int, request: bytes, *, count: int, seconds: float, steer: Steer | None = None
) -> Took:
    """`count` connections, each sending its next request as soon as it has an answer."""
    took = Took()

    async def work(connection: Connection, end: float) -> None:
        # One at least: a starved machine may be late for its very beginning.
        while await connection.counted(request, took, steer):
            if perf_counter() >= end:
                return

    async with connections(port, count) as opened:
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for each in opened:
                group.create_task(work(each, began + seconds))
        took.seconds = perf_counter() - began
    return took


async def once_each(
    port: int, request: bytes, *, count: int, spread_seconds: float, steer: Steer | None = None
) -> Took:
    """One request on each of `count` connections, begun evenly over that time."""
    took = Took()

    async def work(connection: Connection, due: float) -> None:
        await asyncio.sleep(max(0.0, due - perf_counter()))
        await connection.counted(request, took, steer)

    async with connections(port, count) as opened:
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, each in enumerate(opened):
                group.create_task(work(each, began + spread_seconds * number / count))
        took.seconds = perf_counter() - began
    return took


async def fixed_rate(
    port: int, request: bytes, *, per_second: float, seconds: float, steer: Steer | None = None
) -> Took:
    """One request every so often, on as many connections as that takes; a time counts from when
    the request was due."""
    took, idle, dialled = Took(), list[Connection](), list[Connection]()

    async def work(due: float) -> None:
        if not idle:
            if len(dialled) >= RATE_CONNECTIONS_MAX:
                took.incomplete += 1
                return
            dialled.append(await _dial(port))
            idle.append(dialled[-1])
        connection = idle.pop()
        if await connection.counted(request, took, steer, due):
            idle.append(connection)

    began = perf_counter()
    try:
        async with asyncio.timeout(seconds + EXCHANGE_SECONDS_MAX), asyncio.TaskGroup() as group:
            for number in range(round(per_second * seconds)):
                due = began + number / per_second
                await asyncio.sleep(max(0.0, due - perf_counter()))
                group.create_task(work(due))
    finally:
        for each in dialled:
            each.close()
    took.seconds = perf_counter() - began
    return took
