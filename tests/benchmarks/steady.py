"""Requests at a fixed rate, whatever becomes of them, and what each client saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from tests.benchmarks.faulty import END
from tests.benchmarks.http_bytes import body_length

PATIENCE_SECONDS = 60.0
"""Of a client. What has no answer then is lost."""
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request as its client saw it. Times are of `perf_counter`."""

    number: int
    sent: float
    ended: float
    status: int
    """0: no answer at all."""
    whole: bool
    served_by: str
    """Of the providers, by the name in the answer; empty: nobody."""

    @property
    def seconds(self) -> float:
        return self.ended - self.sent


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request is for."""

    model: str
    headers: Mapping[str, str]


class Traffic:
    """One request every so often, on kept connections, as many as it takes; `asks` in turn."""

    def __init__(self, port: int, asks: Sequence[Ask], *, path: str, streamed: bool) -> None:
        self._port, self._asks, self._path, self._streamed = port, asks, path, streamed
        self._idle: list[_Connection] = []
        self._late = 0.0
        self.answers: list[Answer] = []
        """In the order of their ends."""
        self.sent = 0
        """The number of the last request."""

    @property
    def latest_seconds(self) -> float:
        """How late a request was sent at the most: whether the rate was kept."""
        return self._late

    async def all_ended(self, number: int) -> None:
        """Waits for the requests up to that one."""
        while sum(each.number <= number for each in self.answers) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # An event for each answer would cost the answers.

    async def run(self, per_second: float, *, patience: float = PATIENCE_SECONDS) -> None:
        """Until it is cancelled; requests under way are then given up and not in `answers`."""
        async with asyncio.TaskGroup() as group:
            began, first = perf_counter(), self.sent
            while True:
                due = began + (self.sent - first) / per_second
                await asyncio.sleep(max(0.0, due - perf_counter()))
                self._late = max(self._late, perf_counter() - due)
                self.sent += 1
                group.create_task(self._one(self.sent, patience))

    async def _one(self, number: int, patience: float) -> None:
        sent = perf_counter()
        connection = _Connection()
        try:
            async with asyncio.timeout(patience):
                connection = await self._connection()
                await connection.exchange(self._request(number))
        except (TimeoutError, OSError):
            pass  # It is told as an answer without a status, or that is not whole.
        finally:
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
        body = connection.body
        self.answers.append(
            Answer(
                number,
                sent,
                perf_counter(),
                connection.status,
                connection.status == 200 and connection.over and END.encode() in body,
                next((name for name in ("first", "second") if f"{name}, ".encode() in body), ""),
            )
        )

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.reusable:
                return kept
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        return made

    def _request(self, number: int) -> bytes:
        ask = self._asks[number % len(self._asks)]
        asked: dict[str, object] = {
            "model": ask.model,
            "messages": [{"role": "user", "content": f"This is question {number}."}],
        }
        if self._streamed:
            asked["stream"] = True
        body = json.dumps(asked)
        lines = [
            f"POST {self._path} HTTP/1.1",
            "host: 127.0.0.1",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in ask.headers.items()),
        ]
        return "\r\n".join([*lines, "", body]).encode()

    async def close(self) -> None:
        """Of the kept connections; whoever waits for the gateway's end blocks the loop after this."""
        for each in self._idle:
            each.close()
        await asyncio.sleep(0.05)


class _Connection(asyncio.Protocol):
    """One exchange after the other; every byte of the body is kept until the next."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._received = bytearray()
        self._end = 0
        """Of the head; 0: not there yet."""
        self._length: int | None = None
        """Of the body; None: it is chunked."""
        self._keeps = True
        self.status = 0
        self.over = False
        """All of the body is there."""

    @property
    def body(self) -> bytes:
        return bytes(self._received[self._end :]) if self._end else b""

    @property
    def reusable(self) -> bool:
        return self._transport is not None and self.over and self._keeps

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._end:
            self._read_head()
        if self._end:
            if self._length is not None:
                self.over = len(self._received) >= self._end + self._length
            else:
                self.over = self._received.endswith(_LAST_CHUNK)
        if self.over:
            self._finish()

    async def exchange(self, request: bytes) -> None:
        """Until the answer is whole or the connection is lost."""
        self._received.clear()
        self._end, self.status, self.over = 0, 0, False
        self._done = asyncio.get_running_loop().create_future()
        if self._transport is None:
            return
        self._transport.write(request)
        await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = bytes(self._received[:end])
        chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
        self._end, self._length = end, None if chunked else body_length(head)
        self.status = int(head[9:12])
        self._keeps = b"\r\nconnection: close" not in head.lower()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
