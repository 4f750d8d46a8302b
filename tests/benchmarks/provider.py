"""The provider of the benchmarks where there is no compiler: what provider.c does, in Python.

`python -m tests.benchmarks.provider`. How it is steered, and what its answers look like, is told at
the head of provider.c.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache
from typing import cast

import click
import uvloop

from tests.benchmarks.http_bytes import SINGLE_BYTES, body_length, chunked, stamp

_STEERED = re.compile(rb"steer\((\d+) (\d+) (\d+)\)")
_STATUS = re.compile(r"/s(\d\d\d)/")
_CONTROL = re.compile(r"/control/([^/]+)/(\d+)")
_STREAMS = re.compile(rb'"stream": ?true')
_FILL = "A keel keeps a boat upright. "

_CHUNK = {
    "id": "chatcmpl-benchmark000000000000000",
    "object": "chat.completion.chunk",
    "created": 1_795_435_200,
    "model": "model-a",
    "service_tier": "default",
    "system_fingerprint": "fp_benchmark",
}
_MESSAGE = {
    "id": "msg_benchmark",
    "type": "message",
    "role": "assistant",
    "model": "model-a",
    "stop_sequence": None,
}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_benchmark\r\n\r\n"
)
_MARK = b"STAMP"


def _chat_frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**_CHUNK, "choices": [choice]}).encode() + b"\n\n"


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _begin(messages: bool) -> bytes:
    if not messages:
        return chunked(_chat_frame({"role": "assistant", "content": ""}))
    usage = {"input_tokens": 40, "output_tokens": 1}
    message: dict[str, object] = {**_MESSAGE, "content": [], "stop_reason": None, "usage": usage}
    block = {"type": "text", "text": ""}
    started = chunked(_event("message_start", message=message))
    return started + chunked(_event("content_block_start", index=0, content_block=block))


def _text(messages: bool) -> bytes:
    if not messages:
        return _chat_frame({"content": " STAMP"})
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": " STAMP"})


def _end(messages: bool, usage: bool) -> bytes:
    if messages:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        frames = [
            _event("content_block_stop", index=0)
            + _event("message_delta", delta=delta, usage={"output_tokens": 100})
            + _event("message_stop")
        ]
    else:
        frames = [_chat_frame({}, "stop"), b"data: [DONE]\n\n"]
        if usage:
            counts = {"prompt_tokens": 40, "completion_tokens": 100, "total_tokens": 140}
            told = json.dumps({**_CHUNK, "choices": [], "usage": counts}).encode()
            frames.insert(1, b"data: " + told + b"\n\n")
    return b"".join(chunked(frame) for frame in frames) + b"0\r\n\r\n"


_TEXTS = {messages: _text(messages) for messages in (False, True)}


def _stamped(messages: bool) -> bytes:
    return chunked(_TEXTS[messages].replace(_MARK, stamp()))


def _whole(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\nx-request-id: req_benchmark\r\n\r\n"
    return head.encode() + body


@cache
def _single(messages: bool, size: int) -> bytes:
    def body(text: str) -> bytes:
        if messages:
            content = [{"type": "text", "text": text}]
            usage = {"input_tokens": 40, "output_tokens": 126}
            message = {**_MESSAGE, "content": content, "stop_reason": "end_turn", "usage": usage}
            return json.dumps(message).encode()
        said = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 40, "completion_tokens": 126, "total_tokens": 166}
        kind = {"object": "chat.completion", "choices": [choice], "usage": usage}
        return json.dumps({**_CHUNK, **kind}).encode()

    fill = max(0, size - len(body("")))
    return _whole(200, body((_FILL * (fill // len(_FILL) + 1))[:fill]))


@cache
def _failure(messages: bool, status: int) -> bytes:
    kind = "rate_limit_error" if status == 429 else "api_error"
    if messages:
        error = {"type": "error", "error": {"type": kind, "message": "Too many"}}
        return _whole(status, json.dumps(error).encode())
    code = "rate_limit_exceeded" if status == 429 else None
    told = {"message": "Rate limit reached for model-a", "type": kind, "param": None, "code": code}
    return _whole(status, json.dumps({"error": told}).encode())


class Provider(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, statuses: dict[str, int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._statuses = statuses
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass.

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n") + 4
        if head_end < 4:
            return
        end = head_end + body_length(self._received[:head_end])
        if len(self._received) < end:
            return
        head, body = self._received[:head_end], self._received[head_end:end]
        self._received = self._received[end:]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if told := _CONTROL.fullmatch(path):
            self._statuses[told[1]] = int(told[2])
            failed = json.dumps({"failed": self._statuses.get(_FAILED, 0)})
            self._write(_whole(200, failed.encode()))
            return
        if path.endswith("/v1/traces"):
            self._write(_whole(200, b""))
            return
        messages, status = path.endswith("/messages"), self._status(path, head)
        if status != 200:
            self._statuses[_FAILED] = self._statuses.get(_FAILED, 0) + 1
            self._write(_failure(messages, status))
            return
        steered = _STEERED.search(body)
        chunks, pause_ms, size = map(int, steered.groups()) if steered else (100, 0, SINGLE_BYTES)
        if _STREAMS.search(body) is None:
            self._write(_single(messages, size))
            return
        end = _end(messages, b"include_usage" in body)
        self._write(_STREAM_HEAD + _begin(messages))
        if pause_ms:
            self._pace(chunks, pause_ms / 1000, self._loop.time(), messages, end)
            return
        for _ in range(chunks):
            self._write(_stamped(messages))
        self._write(end)

    def _status(self, path: str, head: bytes) -> int:
        if found := _STATUS.match(path):
            return int(found[1])
        told = self._statuses.get(path.split("/", 2)[1]) or 200
        return 429 if told == 200 and b"limited" in head else told

    def _pace(self, left: int, pause: float, due: float, messages: bool, end: bytes) -> None:
        """The next chunk, and a timer for the one after it; late ones do not add up."""
        if left == 0:
            self._write(end)
            return
        self._write(_stamped(messages))
        due += pause
        self._loop.call_at(due, self._pace, left - 1, pause, due, messages, end)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


_FAILED = "/failed"
"""Among the statuses: how many answers were none of 200. No path's segment has this name."""


async def serve() -> None:
    """For ever, on a free port that it tells."""
    statuses: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(statuses), "127.0.0.1", 0)
    click.echo(f"serves on http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
