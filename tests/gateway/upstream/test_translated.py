"""litellm's providers against real servers on this machine: what is sent, and what comes of failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.config import LiteLLM, Timeouts
from gateway.events import Failure
from gateway.units import Secret
from gateway.upstream.base import Outgoing, UpstreamFailure
from gateway.upstream.translated import LiteLLMUpstream
from gateway.wire.openai import OpenAIWire
from tests.gateway.upstream.sending import outgoing, read
from tests.upstream import Answer, ScriptedUpstream, openai_error

pytestmark = pytest.mark.filterwarnings("ignore")
"""litellm and what it loads warn of their own matters."""

SAID = "Hello from upstream."
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": SAID}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
    "metrics": {"latencyMs": 1},
}
COHERE = {
    "id": "1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": SAID}]},
    "usage": {
        "billed_units": {"input_tokens": 11, "output_tokens": 7},
        "tokens": {"input_tokens": 11, "output_tokens": 7},
    },
}
GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
    "modelVersion": "m",
}
TOKEN = {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}
"""What a token endpoint answers."""
BEDROCK = LiteLLM(
    aws_region_name="us-east-1",
    aws_access_key_id=Secret("AKIAFAKE"),
    aws_secret_access_key=Secret("fake-secret-access-key"),
)


@pytest.fixture
async def upstream() -> AsyncIterator[LiteLLMUpstream]:
    made = LiteLLMUpstream()
    yield made
    await made.close()


@pytest.fixture
async def tokens() -> AsyncIterator[ScriptedUpstream]:
    """Where Google's service accounts get their tokens."""
    async with ScriptedUpstream() as server:
        server.default = Answer(json=TOKEN)
        yield server


def asked(base_url: str, model: str, settings: LiteLLM | None = None, **more: Any) -> Outgoing:
    made = outgoing(base_url, **more)
    provider = replace(made.provider, litellm=settings or LiteLLM())
    return msgspec.structs.replace(made, provider=provider, model=model)


CASES = {
    "openai": ("openai/m", "/v1", None, None, "/v1/chat/completions"),
    "mistral": ("mistral/m", "/v1", None, None, "/v1/chat/completions"),
    "azure": (
        "azure/m",
        "",
        LiteLLM(api_version="2024-10-21"),
        None,
        "/openai/deployments/m/chat/completions",
    ),
    "gemini": (
        "gemini/gemini-2.5-flash",
        "/v1beta",
        None,
        GEMINI,
        "/v1beta/models/gemini-2.5-flash:generateContent",
    ),
    "cohere": ("cohere_chat/command-r", "/v2/chat", None, COHERE, "/v2/chat"),
    "bedrock": ("bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", "", BEDROCK, CONVERSE, ""),
    "vertex": ("vertex_ai/gemini-2.5-flash", "", None, GEMINI, ":generateContent"),
}


@cache
def signing_key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.private_bytes(*kind, serialization.NoEncryption()).decode()


def vertex(tokens: ScriptedUpstream) -> LiteLLM:
    """A service account whose tokens `tokens` gives out."""
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": signing_key(),
        "client_email": "a@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{tokens.url}/token",
    }
    return LiteLLM(
        vertex_project="p",
        vertex_location="us-east1",
        vertex_credentials=Secret(json.dumps(account)),
    )


def case(
    name: str, server: ScriptedUpstream, tokens: ScriptedUpstream | None = None, **more: Any
) -> Outgoing:
    model, root, settings, _, _ = CASES[name]
    if name == "vertex":
        base = f"{server.url}/v1/projects/p/locations/us-east1/publishers/google/models"
        assert tokens is not None
        return asked(f"{base}/gemini-2.5-flash", model, vertex(tokens), key="", **more)
    if name == "bedrock":
        settings = replace(BEDROCK, aws_bedrock_runtime_endpoint=server.url)
        return asked("", model, settings, key="", **more)
    return asked(server.url + root, model, settings, **more)


@pytest.mark.parametrize("name", CASES)
async def test_a_vendors_answer_comes_in_the_chat_dialect(
    name: str, upstream: LiteLLMUpstream, tokens: ScriptedUpstream
) -> None:
    _, _, _, answer, path = CASES[name]
    async with ScriptedUpstream() as server:
        server.default = Answer(json=answer) if answer else Answer()
        reply = await upstream.send(case(name, server, tokens))
        body = json.loads(await read(reply))
        assert (reply.status, body["choices"][0]["message"]["content"]) == (200, SAID)
        assert body["usage"]["completion_tokens"] == 7
        (hit,) = server.hits
        assert path in hit.path


@pytest.mark.parametrize("status", [401, 429, 500, 529])
@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_keeps_its_status_headers_and_words(
    name: str, status: int, upstream: LiteLLMUpstream, tokens: ScriptedUpstream
) -> None:
    async with ScriptedUpstream() as server:
        server.default = openai_error(status, "told", "Told so.", headers={"Retry-After": "7"})
        reply = await upstream.send(case(name, server, tokens))
        body = await read(reply)
        assert (reply.status, reply.headers.get("retry-after")) == (status, "7")
        assert "Told so." in json.loads(body)["error"]["message"]
        assert len(server.hits) == 1  # It does not ask again by itself.


async def test_a_stream_is_the_dialects_own(upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server:
        judge = OpenAIWire().judge(stream=True)
        reply = await upstream.send(case("openai", server, stream=True))
        body = await read(reply)
        judge.feed(body)
        judge.end()
        assert (judge.done, judge.fault) == (True, None)
        assert judge.usage is not None
        assert judge.usage.output_tokens == 7
        await reply.close()


@pytest.mark.parametrize("broken", [Answer(end_after=1), Answer(cut_after=1)])
async def test_a_truncated_stream_is_no_success(broken: Answer, upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server:
        server.default = broken
        reply = await upstream.send(case("openai", server, stream=True))
        with pytest.raises(UpstreamFailure):
            await read(reply)
        await reply.close()


async def test_nobody_listens(upstream: LiteLLMUpstream) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await upstream.send(asked("http://127.0.0.1:1/v1", "openai/m"))
    assert (caught.value.failure, caught.value.processed) == (Failure.CONNECT, False)


async def test_silence_is_ended_by_the_gateways_clock(upstream: LiteLLMUpstream) -> None:
    await upstream.load()
    async with ScriptedUpstream() as server:
        server.default = Answer(hang=True)
        clocks = Timeouts(connect_seconds=0.2, headers_seconds=0.2)
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.send(case("mistral", server, timeouts=clocks))
        assert caught.value.failure is Failure.FIRST_CONTENT_TIMEOUT
        await server.hits[0].until_disconnected()


async def test_a_client_that_leaves_ends_the_call(upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server:
        server.default = Answer(hang_after=1)
        reply = await upstream.send(case("openai", server, stream=True))
        assert await reply.chunk()
        await reply.close()
        await server.hits[0].until_disconnected()


async def test_a_client_cannot_give_litellm_orders(upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server, ScriptedUpstream() as thief:
        orders = {
            "messages": [{"role": "user", "content": "Hi."}],
            "api_base": thief.openai_url,
            "base_url": thief.openai_url,
            "api_key": "theirs",
            "mock_response": "fake",
            "extra_headers": {"x-evil": "1"},
            "num_retries": 5,
        }
        reply = await upstream.send(case("openai", server, body=orders))
        assert SAID.encode() in await read(reply)
        assert (len(server.hits), len(thief.hits)) == (1, 0)
        assert server.hits[0].key == "key-1"
        assert server.hits[0].header("x-evil") is None


async def test_no_secret_stands_in_an_error(upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server:
        said = "Bad key-1 and fake-secret-access-key."
        server.default = openai_error(400, "told", said)
        reply = await upstream.send(case("bedrock", server))
        assert b"fake-secret-access-key" not in await read(reply)
        reply = await upstream.send(case("openai", server))
        assert b"key-1" not in await read(reply)


async def test_embeddings_are_asked_as_well(upstream: LiteLLMUpstream) -> None:
    async with ScriptedUpstream() as server:
        call = case("openai", server, path="/embeddings", body={"input": ["a", "b"]})
        body = json.loads(await read(await upstream.send(call)))
        assert len(body["data"]) == 2


async def test_other_endpoints_are_none_of_its(upstream: LiteLLMUpstream) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await upstream.send(outgoing("http://127.0.0.1:1", path="/models"))
    assert caught.value.failure is Failure.UNSUPPORTED


def test_litellm_is_loaded_once_however_many_ask() -> None:
    async def load() -> tuple[Any, Any]:
        made = LiteLLMUpstream()
        await asyncio.gather(made.load(), made.load())
        first = made._litellm
        await made.load()
        await made.close()
        return first, made._litellm

    first, again = asyncio.run(load())
    assert first is again
