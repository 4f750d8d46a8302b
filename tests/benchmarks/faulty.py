"""A provider that fails to order, in the process of the load: one clock, and every arrival on record."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import cast

from tests.benchmarks.http_bytes import body_length, chunked

_NUMBER = re.compile(rb"question (\d+)\.")
_STREAMED = re.compile(rb'"stream": ?true')
END = "the end of it"
"""Of every whole answer."""
CHUNKS = 6
CHUNK_SECONDS = 0.01
CUT_AFTER = 3
RETRY_AFTER_SECONDS = 20


class Fault(StrEnum):
    NONE = "none"
    ERROR = "500"
    LIMITED = "429"
    LIMITED_UNTIL = "429, retry-after"
    REFUSED = "refused"
    """Nobody listens, and connections that were open are reset."""
    SILENT = "no answer"
    """The request is taken, and nothing comes."""
    CUT = "stream cut"
    """The connection is reset after some content."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that came to a provider."""

    at: float
    number: int
    fault: Fault
    """That it met."""


class Faulty:
    """One provider on one port for its whole life, `refused` or not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fault = Fault.NONE
        self.arrivals: list[Arrival] = []
        self.port = 0
        self.open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        # Restarting on a port of its own must not wait for old connections to be forgotten.
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def turn(self, fault: Fault) -> float:
        """When it began."""
        if fault is Fault.REFUSED:
            self.close()
        elif self._server is None:
            await self.listen()
        self.fault = fault
        return perf_counter()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.open):
            transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Faulty) -> None:
        self._provider = provider
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._provider.open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._provider.open.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        end += body_length(self._received[:end])
        if len(self._received) < end:
            return
        request, self._received = self._received[:end], self._received[end:]
        found = _NUMBER.search(request)
        number = int(found[1]) if found is not None else -1
        fault = self._provider.fault
        if fault is Fault.REFUSED and self._transport is not None:
            self._transport.abort()  # It came while the connections were being reset.
            return
        self._provider.arrivals.append(Arrival(perf_counter(), number, fault))
        self._answer(fault, streamed=_STREAMED.search(request) is not None)

    def _answer(self, fault: Fault, *, streamed: bool) -> None:
        if fault is Fault.SILENT:
            return
        if fault in _ERRORS:
            self._write(_ERRORS[fault])
        elif streamed:
            self._write(_STREAM_HEAD + _frame(role="assistant", content=""))
            self._stream(CUT_AFTER if fault is Fault.CUT else CHUNKS, fault)
        else:
            self._write(_single(self._provider.name))

    def _stream(self, left: int, fault: Fault) -> None:
        if self._transport is None:
            return
        if left > 0:
            self._write(_frame(content=f"{self._provider.name}, "))
            loop = asyncio.get_running_loop()
            loop.call_later(CHUNK_SECONDS, self._stream, left - 1, fault)
        elif fault is Fault.CUT:
            self._transport.abort()
        else:
            self._write(_frame(content=END) + _STREAM_END)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _refusal(status: str, text: str, *headers: str) -> bytes:
    body = f'{{"error":{{"message":"{text}","type":"error","param":null,"code":null}}}}'
    head = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*head, *headers, "", body]).encode()


_ERRORS = {
    Fault.ERROR: _refusal("500 Internal Server Error", "The server had an error"),
    Fault.LIMITED: _refusal("429 Too Many Requests", "Rate limit reached"),
    Fault.LIMITED_UNTIL: _refusal(
        "429 Too Many Requests", "Rate limit reached", f"retry-after: {RETRY_AFTER_SECONDS}"
    ),
}
_BASE = '"id":"chatcmpl-fault0000","created":1795435200,"model":"model-a"'
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _frame(*, content: str, role: str = "", finish: str = "null") -> bytes:
    who = f'"role":"{role}",' if role else ""
    choice = f'{{"index":0,"delta":{{{who}"content":"{content}"}},"finish_reason":{finish}}}'
    event = f'data: {{{_BASE},"object":"chat.completion.chunk","choices":[{choice}]}}\n\n'
    return chunked(event.encode())


_STREAM_END = _frame(content="", finish='"stop"') + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _single(name: str) -> bytes:
    message = f'{{"role":"assistant","content":"{name}, {END}"}}'
    body = (
        f'{{{_BASE},"object":"chat.completion","choices":[{{"index":0,"message":{message},'
        '"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,'
        '"total_tokens":13}}'
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()
