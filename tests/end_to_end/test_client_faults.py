"""What clients get wrong: the right error in their own dialect, one row, and no state touched."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    Client,
    Got,
    Served,
    anthropic,
    asked,
    gateway,
    openai,
    settings_of,
)
from tests.upstream import ScriptedUpstream

KEY = "key-of-the-client"
BODY_MAX = 100_000
PATHS = [OPENAI_PATH, ANTHROPIC_PATH]
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
}


def chat(**fields: Any) -> bytes:
    return json.dumps({**asked(ANTHROPIC_PATH, "coder"), **fields}).encode()


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Served, list[ScriptedUpstream]]]:
    """A gateway with a key, both dialects, and a low limit of bodies."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": openai(a), "b": anthropic(b)},
            {"coder": ["a/model-a", "b/model-b"], "writer": ["b/model-b"]},
            auth={"clients": [{"name": "me", "key": KEY, "routes": ["coder", "a/*", "codr"]}]},
            server={"max_body_bytes": BODY_MAX},
        )
        async with gateway(folder, settings, key=KEY) as g:
            yield g, [a, b]


async def state(client: Client) -> Any:
    """Of all targets and credentials, without what changes with time alone."""
    found = await client.api("status")
    for route in found["routes"]:
        del route["dwell_seconds"], route["active_since"]
    return {name: found[name] for name in ("routes", "providers", "cooldowns", "internal_errors")}


def in_dialect(path: str, got: Got, code: str) -> str:
    """The error's sentence, its shape checked."""
    error: dict[str, Any] = got.json["error"]
    if path == ANTHROPIC_PATH:
        assert got.json["type"] == "error"
        assert error["type"] == ANTHROPIC_TYPES[got.status]
        assert got.json["request_id"] == got.request_id
    else:
        assert error["type"]
        assert error["request_id"] == got.request_id
    assert error["code"] == code
    return str(error["message"])


FAULTS: list[tuple[bytes, dict[str, str], int, str, str]] = [
    (b"", {}, 400, "invalid_json", "empty"),
    (b'{"model": "coder",', {}, 400, "invalid_json", "line 1, column 19"),
    (b"\xff\xfe{}", {}, 400, "invalid_json", "UTF-8"),
    (b"[" * 50_000, {}, 400, "invalid_json", "deeper"),
    (b"[1]", {}, 400, "invalid_request", "object"),
    (b"{}", {}, 400, "invalid_request", "names no model"),
    (chat(model=7), {}, 400, "invalid_request", "`model` must be a string"),
    (chat(model="a\nb"), {}, 400, "invalid_request", "printed"),
    (chat(stream="yes"), {}, 400, "invalid_request", "`stream`"),
    (chat(model="codr"), {}, 404, "model_not_found", "Did you mean coder"),
    (chat(model="zzz"), {}, 403, "route_not_allowed", "'zzz'"),
    (chat(model="writer"), {}, 403, "route_not_allowed", "'writer'"),
    (chat(), {"authorization": "Bearer wrong"}, 401, "invalid_api_key", "auth.clients"),
    (chat(), {"authorization": ""}, 401, "invalid_api_key", "auth.clients"),
    (chat(x="x" * BODY_MAX), {}, 413, "body_too_large", "server.max_body_bytes"),
    (b"x" * 5 * BODY_MAX, {}, 413, "body_too_large", "server.max_body_bytes"),
    (
        gzip.compress(b" " * 200 * BODY_MAX),
        {"content_encoding": "gzip"},
        413,
        "body_too_large",
        "server.max_body_bytes",
    ),
    (chat(), {"content_encoding": "gzip"}, 400, "invalid_body", "content-encoding"),
    (gzip.compress(chat())[:50], {"content_encoding": "gzip"}, 400, "invalid_json", "JSON"),
    (chat(model="a/" + "m" * 600), {}, 400, "invalid_request", "512"),
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_faulty_request_is_one_row_and_touches_nothing(tmp_path: Path, path: str) -> None:
    async with guarded(tmp_path) as (g, upstreams):
        assert (await g.client.ask(path, "coder")).status == 200
        hits = sum(len(each.hits) for each in upstreams)
        before = await state(g.client)
        expected = []
        for body, headers, status, code, words in FAULTS:
            got = await g.client.send("POST", path, body, **headers)
            assert got.status == status, (body[:60], got.body)
            assert words in in_dialect(path, got, code), got.body
            assert got.headers["x-should-retry"] == "false"
            assert got.headers["x-evenkeel-attempts"] == "0"
            expected.append((got.request_id, "client_error", status, code, path))
        assert await state(g.client) == before
        assert sum(len(each.hits) for each in upstreams) == hits
        rows = (await g.client.all("requests"))[1:]
        names = ("request_id", "outcome", "status", "reason", "endpoint")
        assert [tuple(row[name] for name in names) for row in rows] == expected
        series = await g.client.metrics()
        assert series.total("evenkeel_requests_total", outcome="client_error") == len(FAULTS)


async def test_a_compressed_body_is_read(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (g, [a, _]):
        got = await g.client.send(
            "POST", OPENAI_PATH, data=gzip.compress(chat()), content_encoding="gzip"
        )
        assert got.status == 200
        assert a.hits[0].json["model"] == "model-a"
        assert a.hits[0].header("content-encoding") is None


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", OPENAI_PATH, {}, 405),
        ("PUT", ANTHROPIC_PATH, {}, 405),
        ("DELETE", "/v1/models", {}, 404),
        ("POST", "/v1/nothing", {}, 404),
        ("POST", "/v1/messages/batches", {}, 501),
        ("GET", "/v1/models/none", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("GET", "/console/../gateway", {}, 404),
        ("GET", "/api/v1/requests/none", {}, 404),
        ("GET", "/api/v1/events?kin=switched", {}, 400),
        ("GET", "/api/v1/events?limit=many", {}, 400),
        ("GET", "/api/v1/events?limit=1001", {}, 400),
        ("GET", "/api/v1/events?cursor=xyz", {}, 400),
        ("GET", "/api/v1/switches/aggregate?by=moon", {}, 400),
        ("GET", "/v1/responses/resp_1", {}, 404),
        ("POST", "/v1/audio/speech", {}, 404),
        ("GET", "/v1/responses", {"upgrade": "websocket", "connection": "upgrade"}, 426),
    ],
)
async def test_a_wrong_path_method_or_question_is_a_plain_error(
    tmp_path: Path, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with guarded(tmp_path) as (g, upstreams):
        before = await state(g.client)
        data = chat() if method == "POST" else None
        got = await g.client.send(method, path, data, **headers)
        assert got.status == status, got.body
        assert got.headers["content-type"].startswith("application/json")
        error = got.json["error"]
        assert error["code"]
        assert error["message"].endswith((".", "?")) or status == 400
        if path.startswith("/v1/messages"):
            assert got.json["type"] == "error"
        if status == 501:
            assert got.headers["x-should-retry"] == "false"
        assert await state(g.client) == before
        assert not any(upstream.hits for upstream in upstreams)
        assert await g.client.all("requests") == []


async def test_a_client_cannot_name_a_session_or_a_model_that_fills_the_store(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as (g, _):
        name = "é" * 500
        got = await g.client.ask(OPENAI_PATH, f"a/{name}", x_session_id="s" * 5000)
        assert got.status == 200
        [row] = await g.client.all("requests")
        assert len(row["requested_model"]) == 200
        assert row["session"] == ""
        series = await g.client.metrics()
        assert series.total("evenkeel_attempts_total", provider="a", model="other") == 1


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/embeddings"])
async def test_what_is_never_streamed_is_refused_and_blames_no_target(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a:
        credentials = [{"name": "one", "key": "k"}]
        provider = {"dialect": "gemini", "base_url": f"{a.url}/v1beta", "credentials": credentials}
        async with gateway(tmp_path, settings_of({"a": provider}, {"coder": ["a/m"]})) as g:
            asked = {
                "model": "coder",
                "stream": True,
                "input": "x",
                "messages": [{"role": "user", "content": "x"}],
            }
            got = await g.client.post(path, asked)
            assert (got.status, got.headers["x-should-retry"]) == (400, "false")
            assert "not streamed" in got.json["error"]["message"]
            assert a.hits == []
            assert await g.client.all("cooldowns") == []
