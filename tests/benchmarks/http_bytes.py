"""As much of HTTP/1.1 as the two ends of a benchmark need, and no more.

What the provider shall answer is written into the conversation itself (`steer(CHUNKS PAUSE BYTES)`),
so that it comes through every gateway and every translation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter_ns

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
STAMP = re.compile(rb"@(\d{17})")
"""In each chunk of text: when the provider made it, by the clock that all processes share."""

CLIENT_KEY = "benchmark-client-key"
SINGLE_BYTES = 1024
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
_SYSTEM = "You are a helpful assistant that answers in one short line."
_ASKED = "What does a keel do, and why does a boat without one drift?"


@dataclass(frozen=True, slots=True)
class Steer:
    """What the provider is asked for."""

    chunks: int = 0
    """Of a stream; 0: one JSON body."""
    pause_ms: int = 0
    size: int = SINGLE_BYTES
    """Bytes of the JSON body."""

    @property
    def least(self) -> int:
        """Bytes that an answer must have at least, through a translation as well."""
        return 0 if self.chunks else self.size // 2


def stamp() -> bytes:
    return b"@%017d" % perf_counter_ns()


def body_length(head: bytes) -> int:
    """What the head says of the body's length; 0 if nothing."""
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def chunked(data: bytes) -> bytes:
    """`data` as one chunk."""
    return f"{len(data):x}".encode() + b"\r\n" + data + b"\r\n"


def chat_request(*, stream: tuple[int, int] | None = None) -> bytes:
    """A chat request as an SDK sends it; `stream` is the number of chunks and their pause in ms."""
    return request(Steer(*stream) if stream is not None else Steer())


def request(
    steer: Steer,
    *,
    model: str = "bench",
    shape: str = "chat",
    prefix: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A request as an SDK sends it. `headers` are added, or replace those of the same name."""
    body = json.dumps(_body(steer, model, shape)).encode()
    sent = {
        "host": "127.0.0.1",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "user-agent": "OpenAI/Python 2.8.0",
        "x-stainless-lang": "python",
        "x-stainless-package-version": "2.8.0",
        "x-stainless-runtime": "CPython",
        "authorization": f"Bearer {CLIENT_KEY}",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    if shape == "messages":
        sent |= {"anthropic-version": "2023-06-01", "user-agent": "Anthropic/Python 2.8.0"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    lines = "".join(f"{name.title()}: {value}\r\n" for name, value in sent.items())
    return f"POST {prefix}{PATHS[shape]} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _body(steer: Steer, model: str, shape: str) -> dict[str, object]:
    text = f"{_ASKED} steer({steer.chunks} {steer.pause_ms} {steer.size})"
    user = {"role": "user", "content": text}
    body: dict[str, object]
    if shape == "messages":
        body = {"model": model, "max_tokens": 1000, "system": _SYSTEM, "messages": [user]}
    else:
        body = {"model": model, "messages": [{"role": "system", "content": _SYSTEM}, user]}
    body["temperature"] = 0.7
    return body | {"stream": True} if steer.chunks else body
