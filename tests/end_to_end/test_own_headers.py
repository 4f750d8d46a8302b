"""The `x-evenkeel-` headers of the contract: on every answer of every endpoint that asks a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.api.endpoints import ENDPOINTS
from tests.end_to_end.gateways import Got, Served, gateway, settings_of
from tests.end_to_end.gateways import anthropic as anthropic_at
from tests.end_to_end.gateways import gemini as gemini_at
from tests.end_to_end.gateways import openai as openai_at
from tests.upstream import Answer, ScriptedUpstream

TEXT = [{"role": "user", "content": "Hello"}]
PARTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TEXT},
    "/v1/responses": {"input": "Hello"},
    "/v1/embeddings": {"input": "Hello"},
    "/v1/messages": {"messages": TEXT, "max_tokens": 50},
    "/v1/messages/count_tokens": {"messages": TEXT},
    "/v1beta/models/{model}:generateContent": {"contents": PARTS},
    "/v1beta/models/{model}:streamGenerateContent?alt=sse": {"contents": PARTS},
    "/v1beta/models/{model}:countTokens": {"contents": PARTS},
}
STREAMING = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
PATHS = list(BODIES)
FALLEN = {"x-evenkeel-fallback-reason", "x-evenkeel-fallback-from"}
ALWAYS = {"x-evenkeel-request-id", "x-evenkeel-attempts"}
SERVED = ALWAYS | {
    "x-evenkeel-route",
    "x-evenkeel-provider",
    "x-evenkeel-model",
    "x-evenkeel-credential",
}


@asynccontextmanager
async def two(folder: Path, path: str) -> AsyncIterator[tuple[ScriptedUpstream, Served]]:
    make = openai_at
    if path.startswith("/v1/messages"):
        make = anthropic_at
    elif path.startswith("/v1beta/"):
        make = gemini_at
    async with ScriptedUpstream() as upstream:
        providers = {
            "a": make(upstream, "key-a", **_responses(path)),
            "b": make(upstream, "key-b", **_responses(path)),
        }
        made = settings_of(providers, {"coder": ["a/model-a", "b/model-b"]})
        async with gateway(folder, made) as g:
            yield upstream, g


def _responses(path: str) -> dict[str, Any]:
    return {"responses": "native"} if path == "/v1/responses" else {}


async def ask(g: Served, path: str, *, stream: bool, model: str = "coder") -> Got:
    if "{model}" in path:
        return await g.client.post(path.replace("{model}", model), BODIES[path])
    body = {**BODIES[path], "model": model}
    return await g.client.post(path, {**body, "stream": True} if stream else body)


def own(got: Got) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in got.headers.items()
        if name.lower().startswith("x-evenkeel-")
    }


def both(paths: list[str]) -> list[tuple[str, bool]]:
    return [(path, stream) for path in paths for stream in (False, path in STREAMING)]


CALLS = sorted(set(both(PATHS)))


def test_every_endpoint_has_a_body_here() -> None:
    assert {each.path for each in ENDPOINTS} == {path for path in BODIES if "{" not in path}


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_a_good_answer_says_who_served(tmp_path: Path, path: str, *, stream: bool) -> None:
    async with two(tmp_path, path) as (_, g):
        got = await ask(g, path, stream=stream)
        assert got.status == 200, got.body
        found = own(got)
        assert set(found) == SERVED
        assert found["x-evenkeel-provider"] == "a"
        assert found["x-evenkeel-model"] == "model-a"
        assert found["x-evenkeel-credential"] == "key-a"
        assert found["x-evenkeel-route"] == "coder"
        assert found["x-evenkeel-attempts"] == "1"


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_a_rescued_answer_says_from_whom_and_why(
    tmp_path: Path, path: str, *, stream: bool
) -> None:
    async with two(tmp_path, path) as (upstream, g):
        upstream.plan(Answer(status=500, json={}), key="sk-key-a")
        got = await ask(g, path, stream=stream)
        assert got.status == 200, got.body
        found = own(got)
        assert set(found) == SERVED | FALLEN
        assert found["x-evenkeel-provider"] == "b"
        assert found["x-evenkeel-attempts"] == "2"
        assert found["x-evenkeel-fallback-from"] == "a/model-a"
        assert found["x-evenkeel-fallback-reason"] == "server_error"


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_an_error_has_them_too(tmp_path: Path, path: str, *, stream: bool) -> None:
    async with two(tmp_path, path) as (upstream, g):
        upstream.default = Answer(status=400, json={"error": {"message": "no"}})
        refused = await ask(g, path, stream=stream)
        assert refused.status == 400
        assert set(own(refused)) == ALWAYS | {"x-evenkeel-route"}
        upstream.default = Answer(status=401, json={})
        exhausted = await ask(g, path, stream=stream)
        assert exhausted.status == 503
        assert own(exhausted)["x-evenkeel-attempts"] == "2"
        assert set(own(exhausted)) == ALWAYS | {"x-evenkeel-route"}
        unknown = await ask(g, path, stream=stream, model="nobody/nothing")
        assert unknown.status == 404
        assert set(own(unknown)) == ALWAYS
        odd = await g.client.post(path.replace("{model}", "coder"), b"{")
        assert odd.status == 400
        assert set(own(odd)) == ALWAYS
