"""The provider of the benchmarks: answers chat requests as fast as Python can, in a process apart.

`python -m tests.benchmarks.provider`. A request's field `user` steers the answer: `"100 20"`
asks for a stream of 100 chunks, 20 ms apart (0: all at once); without it one JSON body comes.
Anything else that is posted gets that body as well, which is enough for an OTLP exporter.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import cast

import click
import uvloop

from tests.benchmarks.http_bytes import body_length, chunked

_STEERED = re.compile(rb'"user":\s*"(\d+) (\d+)"')

_CHUNK = {
    "id": "chatcmpl-benchmark000000000000000",
    "object": "chat.completion.chunk",
    "created": 1_795_435_200,
    "model": "model-a",
    "service_tier": "default",
    "system_fingerprint": "fp_benchmark",
}
_ANSWER = {
    **_CHUNK,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A keel keeps a boat upright. " * 18},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 126, "total_tokens": 166},
}


def _frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**_CHUNK, "choices": [choice]}).encode() + b"\n\n"


def _single() -> bytes:
    body = json.dumps(_ANSWER).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\nx-request-id: req_benchmark\r\n\r\n" + body


SINGLE = _single()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_benchmark\r\n\r\n"
)
ROLE = chunked(_frame({"role": "assistant", "content": ""}))
CONTENT = chunked(_frame({"content": " upright"}))
END = chunked(_frame({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass.

    def connection_lost(self, exc: Exception | None) -> None:
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
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        steered = _STEERED.search(request)
        if steered is None:
            self._write(SINGLE)
            return
        chunks, pause_ms = int(steered[1]), int(steered[2])
        self._write(STREAM_HEAD + ROLE)
        if pause_ms:
            self._pace(chunks, pause_ms / 1000, self._loop.time())
            return
        for _ in range(chunks):
            self._write(CONTENT)
        self._write(END)

    def _pace(self, left: int, pause: float, due: float) -> None:
        """The next chunk, and a timer for the one after it; late ones do not add up."""
        if left == 0:
            self._write(END)
            return
        self._write(CONTENT)
        due += pause
        self._loop.call_at(due, self._pace, left - 1, pause, due)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve() -> None:
    """For ever, on a free port that it tells."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    click.echo(f"serves on http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
