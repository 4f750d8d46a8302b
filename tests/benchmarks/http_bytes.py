"""As much of HTTP/1.1 as the two ends of a benchmark need, and no more."""

from __future__ import annotations

import json
import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

CLIENT_KEY = "benchmark-client-key"
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant that answers in one short line."},
    {"role": "user", "content": "What does a keel do, and why does a boat without one drift?"},
]


def body_length(head: bytes) -> int:
    """What the head says of the body's length; 0 if nothing."""
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def chunked(data: bytes) -> bytes:
    """`data` as one chunk."""
    return f"{len(data):x}".encode() + b"\r\n" + data + b"\r\n"


def chat_request(*, stream: tuple[int, int] | None = None) -> bytes:
    """A chat request as an SDK sends it; `stream` is the number of chunks and their pause in ms."""
    asked: dict[str, object] = {"model": "bench", "messages": MESSAGES, "temperature": 0.7}
    if stream is not None:
        asked |= {"stream": True, "user": f"{stream[0]} {stream[1]}"}
    body = json.dumps(asked).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "Accept: application/json\r\n"
        "Accept-Encoding: gzip, deflate\r\n"
        "User-Agent: OpenAI/Python 2.8.0\r\n"
        "X-Stainless-Lang: python\r\n"
        "X-Stainless-Package-Version: 2.8.0\r\n"
        "X-Stainless-Runtime: CPython\r\n"
        f"Authorization: Bearer {CLIENT_KEY}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
