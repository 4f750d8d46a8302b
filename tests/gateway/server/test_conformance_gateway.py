"""The whole gateway on our server and on aiohttp's: the same answers and the same rows."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import asdict

from gateway.events import RequestFinished
from tests.gateway.api.serving import Api, api
from tests.gateway.server.twins import ABORT, WAIT, Heard, Script, talk

KEY = b"Authorization: Bearer key-me"
KEYED: Mapping[str, Any] = {
    "auth": {
        "clients": [
            {"name": "me", "key": "key-me"},
            {"name": "few", "key": "key-few", "routes": ["coder"], "requests_per_minute": 1},
        ]
    }
}
_OWN = re.compile(
    rb"(?P<ulid>\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b)|(?P<trace>\b[0-9a-f]{32}-[0-9a-f]{16}\b)"
    rb'|(?P<time>"created(?:_at)?": ?[0-9.]+)'
)
"""Of one answer alone: its ids and its time."""
_LATER = frozenset(
    {"ts", "request_id", "trace_id", "span_id", "started", "duration_seconds"}
    | {"first_content_seconds", "overhead_seconds"}
)


@dataclass(frozen=True, slots=True)
class Case:
    script: Script
    rows: int = 1


def post(path: str, body: object, *lines: bytes, more: bytes = b"") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    first = b"POST " + path.encode() + b" HTTP/1.1"
    length = b"Content-Length: %d" % len(data)
    host = () if any(line.startswith(b"Host:") for line in lines) else (b"Host: localhost",)
    return b"\r\n".join([first, *host, *lines, length, b"", b""]) + data + more


TALK = [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi é"}]
CHAT: dict[str, Any] = {"model": "coder", "messages": TALK, "max_tokens": 20}
STREAM = {**CHAT, "stream": True}
RESPONSES = {"model": "coder", "input": "Hi"}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
CHATS, MESSAGES = "/v1/chat/completions", "/v1/messages"
AT_GOOGLE = "/v1beta/models/coder"

ASKED: dict[str, bytes] = {
    "chat": post(CHATS, CHAT, KEY),
    "chat stream": post(CHATS, STREAM, KEY),
    "messages": post(MESSAGES, CHAT, b"x-api-key: key-me", b"anthropic-version: 2023-06-01"),
    "messages stream": post(f"{MESSAGES}?beta=true", STREAM, KEY),
    "responses": post("/v1/responses", RESPONSES, KEY),
    "responses stream": post("/v1/responses", {**RESPONSES, "stream": True}, KEY),
    "embeddings": post("/v1/embeddings", {"model": "sunny/small", "input": "x"}, KEY),
    "count": post(f"{MESSAGES}/count_tokens", CHAT, KEY),
    "gemini": post(f"{AT_GOOGLE}:generateContent", GEMINI, b"x-goog-api-key: key-me"),
    "gemini array": post(f"{AT_GOOGLE}:streamGenerateContent?key=key-me", GEMINI),
    "gemini events": post(f"{AT_GOOGLE}:streamGenerateContent?alt=sse&key=key-me", GEMINI),
    "gemini below v1": post("/v1/models/coder:countTokens", GEMINI, KEY),
    "gemini escaped": post("/v1beta/models/sunny%2Flarge:generateContent", GEMINI, KEY),
    "no method": post(f"{AT_GOOGLE}:predict", GEMINI, KEY),
    "key in an escaped query": post(f"{CHATS}?key=key%2Dme", CHAT),
    "two keys": post(f"{CHATS}?key=key-me&key=x", CHAT),
    "no key": post(CHATS, CHAT),
    "wrong key": post(MESSAGES, CHAT, b"Authorization: Bearer x"),
    "key that is no text": post(MESSAGES, CHAT, b"Authorization: Bearer \xff"),
    "no json": post(CHATS, b"{", KEY),
    "no body": post(CHATS, b"", KEY),
    "no text": post(CHATS, b'{"model": "\xff"}', KEY),
    "no model": post(MESSAGES, {"messages": []}, KEY),
    "unknown model": post(CHATS, {**CHAT, "model": "codr"}, KEY),
    "long model": post(CHATS, {**CHAT, "model": "x" * 400}, KEY),
    "not allowed": post(CHATS, {**CHAT, "model": "sunny/small"}, b"x-api-key: key-few"),
    "too often": post(CHATS, CHAT, b"x-api-key: key-few") * 2,
    "session": post(CHATS, CHAT, KEY, b"X-Session-Id: s1", b"X-Stainless-Retry-Count: 2"),
    "trace": post(CHATS, CHAT, KEY, b"traceparent: 00-%b-%b-01" % (b"a" * 32, b"b" * 16)),
    "two traces": post(
        CHATS, CHAT, KEY, *[b"traceparent: 00-%b-%b-01" % (b"a" * 32, b"b" * 16)] * 2
    ),
    "deadline": post(CHATS, CHAT, KEY, b"X-Evenkeel-Deadline-Seconds: 9"),
    "bad deadline": post(CHATS, CHAT, KEY, b"X-Evenkeel-Deadline-Seconds: soon"),
    "no fallback": post(CHATS, CHAT, KEY, b"X-Evenkeel-No-Fallback: 1"),
    "gzip": post(CHATS, gzip.compress(json.dumps(CHAT).encode()), KEY, b"Content-Encoding: gzip"),
    "broken gzip": post(CHATS, b"no gzip", KEY, b"Content-Encoding: gzip"),
    "unknown encoding": post(CHATS, CHAT, KEY, b"Content-Encoding: zork"),
    "identity": post(CHATS, CHAT, KEY, b"Content-Encoding: identity"),
    "too large": post(CHATS, b" " * 5000, KEY),
    "unpacked too large": post(CHATS, gzip.compress(b" " * 5000), KEY, b"Content-Encoding: gzip"),
    "close": post(CHATS, CHAT, KEY, b"Connection: close"),
    "pipelined": post(CHATS, STREAM, KEY) + post(MESSAGES, CHAT, KEY) + post(CHATS, CHAT),
    "other": post("/v1/moderations", CHAT, KEY)
    + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
OPEN: dict[str, bytes] = {
    "nobody": post(CHATS, CHAT),
    "foreign host": post(CHATS, CHAT, b"Host: evil.example"),
    "foreign page": post(CHATS, CHAT, b"Origin: https://evil.example"),
    "own page": post(CHATS, CHAT, b"Host: localhost:1", b"Origin: http://localhost:1"),
    "ip": post(CHATS, CHAT, b"Host: [::1]:80"),
    "odd host": post(CHATS, CHAT, b"Host: a@localhost"),
}


def settings(server: str, more: Mapping[str, Any]) -> dict[str, Any]:
    own = {"http_server": server, "drain_seconds": 1, "max_body_bytes": 4000}
    return {"server": own, **more}


def plain(heard: Heard) -> Heard:
    """With the ids and the times of its own named, not told; and chunks joined, where ids end."""
    return Heard(_OWN.sub(lambda found: f"<{found.lastgroup}>".encode(), heard.data), heard.closed)


def told(row: RequestFinished) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name not in _LATER}


async def play(a: Api, scripts: Mapping[str, Script]) -> tuple[dict[str, Heard], list[Any]]:
    port = int(a.url.rpartition(":")[2])
    heard = {name: plain(await talk(port, each, quiet=0.1)) for name, each in scripts.items()}
    return heard, [told(row) for row in await a.finished()]


@pytest.mark.parametrize(("more", "asked"), [(KEYED, ASKED), ({}, OPEN)], ids=["keyed", "open"])
async def test_answers_and_rows_are_the_same(
    more: Mapping[str, Any], asked: Mapping[str, bytes]
) -> None:
    scripts: dict[str, Script] = {name: [data] for name, data in asked.items()}
    async with api(settings("own", more)) as own, api(settings("aiohttp", more)) as oracle:
        played = await asyncio.gather(play(own, scripts), play(oracle, scripts))
    (ours, our_rows), (theirs, their_rows) = played
    for name, heard in ours.items():
        assert heard.data.startswith(b"HTTP/1.1 "), name
        assert heard == theirs[name], name
    assert len(our_rows) >= len(asked) - 2
    assert our_rows == their_rows


SLOW: Mapping[str, Any] = {
    "providers": {
        "sunny": {
            "dialect": "simulated",
            "credentials": [{"name": "main"}],
            "models": {"list": ["large"]},
            "simulated": {"first_token_seconds": 0.02, "tokens_per_second": 5},
        }
    },
    "routes": [{"name": "coder", "targets": ["sunny/large"]}],
}


async def test_a_client_that_goes_away_leaves_the_same_row() -> None:
    scripts: dict[str, Script] = {
        "in a stream": [post(CHATS, STREAM), WAIT, ABORT],
        "before an answer": [post(CHATS, CHAT), WAIT, ABORT],
        "in its body": [post(CHATS, CHAT)[:-5], WAIT, ABORT],
    }
    rows = []
    for server in ("own", "aiohttp"):
        async with api(settings(server, SLOW)) as a:
            _, found = await play(a, scripts)
            rows.append([(row["outcome"], row["status"], row["stream"]) for row in found])
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2
