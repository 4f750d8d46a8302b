"""The official `google-genai` package through the gateway, and without it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.end_to_end.gateways import Served, collect, gateway, gemini, settings_of
from tests.end_to_end.gateways import openai as at_openai
from tests.upstream import Answer, ScriptedUpstream, gemini_error

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

ROOT = "/v1beta/models"
TOOL = ("get_weather", '{"city": "Kiel", "days": [1, 2, 3]}')
TOOLS: Any = [{"function_declarations": [{"name": "get_weather"}]}]
CONFIG = types.GenerateContentConfig(
    tools=TOOLS,
    temperature=0.5,
    system_instruction="Be brief.",
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
ANSWERS = [
    Answer(text=("Grüße", " aus", " Kiel ⛵", ".")),
    Answer(text=(), tool=TOOL),
    Answer(text=("Let me look.",), tool=TOOL),
]
BODY = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@dataclass
class Both:
    upstream: ScriptedUpstream
    other: ScriptedUpstream
    gateway: Served
    direct: genai.Client
    through: genai.Client


@asynccontextmanager
async def both(folder: Path, **settings: Any) -> AsyncIterator[Both]:
    async with ScriptedUpstream() as upstream, ScriptedUpstream() as other:
        made = settings_of(
            {"a": gemini(upstream, "key-1"), "b": gemini(other, "key-2")},
            {"coder": ["a/model-a", "b/model-b"], "team/coder": ["a/model-a"]},
            **settings,
        )
        async with gateway(folder, made) as g:
            # The package's own default is `v1`.
            direct, through = _sdk(upstream.url, api_version="v1beta"), _sdk(g.url)
            try:
                yield Both(upstream, other, g, direct, through)
            finally:
                for sdk in (direct, through):
                    await sdk.aio.aclose()


def _sdk(url: str, key: str = "key-of-the-client", **options: Any) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, **options))


def plain(answer: types.GenerateContentResponse) -> dict[str, Any]:
    return answer.model_dump(exclude={"sdk_http_response"})


@pytest.mark.parametrize("answer", ANSWERS)
async def test_answers_are_those_of_a_direct_call(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        found = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            asked: Any = {"model": model, "contents": "What is the weather?", "config": CONFIG}
            whole = await sdk.aio.models.generate_content(**asked)
            stream = await sdk.aio.models.generate_content_stream(**asked)
            found.append((plain(whole), [plain(each) async for each in stream]))
        assert found[0] == found[1]
        direct, through = b.upstream.hits[:2], b.upstream.hits[2:]
        for ours, theirs in zip(through, direct, strict=True):
            assert (ours.path, ours.query, ours.body) == (theirs.path, theirs.query, theirs.body)
            assert ours.header("x-goog-api-key") == "sk-key-1"
            assert "key-of-the-client" not in str(ours.headers)


async def test_tokens_are_counted_and_texts_embedded_upstream(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = Answer(input_tokens=4711)
        counted = await b.through.aio.models.count_tokens(model="coder", contents="Hello")
        assert counted.total_tokens == 4711
        made = await b.through.aio.models.embed_content(model="coder", contents=["a", "b"])
        assert len(made.embeddings or []) == 2
        hit = b.upstream.hits[1]
        assert hit.path == f"{ROOT}/model-a:batchEmbedContents"
        assert {each["model"] for each in hit.json["requests"]} == {"models/model-a"}


async def test_models_are_listed_and_found_slashes_and_all(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        client = b.gateway.client
        listed = [each.name async for each in await b.through.aio.models.list()]
        assert listed[:2] == ["models/coder", "models/team/coder"]
        found = await b.through.aio.models.get(model="team/coder")
        assert found.name == "models/team/coder"
        for model in ("team/coder", "team%2Fcoder", "a/model-a"):
            got = await client.post(f"{ROOT}/{model}:generateContent", BODY)
            assert got.status == 200, got.body
            assert b.upstream.hits[-1].path == f"{ROOT}/model-a:generateContent"
        for root in ("/v1/models", "/v1alpha/models"):
            assert (await client.post(f"{root}/coder:generateContent", BODY)).status == 200
        missing = await client.get(f"{ROOT}/codr")
        assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_stream_without_alt_is_one_json_array_of_the_same_items(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        path = f"{ROOT}/coder:streamGenerateContent"
        events = (await b.gateway.client.post(f"{path}?alt=sse", BODY)).body
        got = await b.gateway.client.post(path, BODY)
        assert got.headers["content-type"].startswith("application/json")
        frames = [each for each in events.decode().split("\r\n\r\n") if each]
        assert got.json == [json.loads(each.removeprefix("data: ")) for each in frames]
        assert {hit.query for hit in b.upstream.hits} == {"alt=sse"}
        for upstream, bad in ((b.upstream, Answer(cut_after=2)), (b.other, Answer(error_after=2))):
            upstream.default = bad
            *items, last = (await b.gateway.client.post(path, BODY)).json
            assert len(items) == 2
            assert "error" in last


ANY = [
    Answer(cut_after=0),
    Answer(json={"candidates": [], "usageMetadata": {}}),
    Answer(json={"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}),
    gemini_error(503, "UNAVAILABLE", "The model is overloaded."),
]
STREAMED = [*ANY, Answer(end_after=0), Answer(error_after=0)]


@pytest.mark.parametrize(
    ("method", "bad"),
    [
        *(("generateContent", each) for each in ANY),
        *(("streamGenerateContent?alt=sse", each) for each in STREAMED),
    ],
)
async def test_what_is_no_answer_is_another_target_s(
    tmp_path: Path, method: str, bad: Answer
) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = bad
        got = await b.gateway.client.post(f"{ROOT}/coder:{method}", BODY)
        assert (got.status, got.provider) == (200, "b")


async def test_a_stream_that_breaks_is_an_error_for_the_sdk(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = Answer(cut_after=2)
        stream = await b.through.aio.models.generate_content_stream(model="coder", contents="Hi")
        said: list[Any] = []
        with pytest.raises(errors.APIError):
            await collect(stream, said)
        assert [each.text for each in said] == ["Hello", " from"]


async def test_errors_keep_their_words_and_are_the_sdk_s_own(tmp_path: Path) -> None:
    auth = {"clients": [{"name": "me", "key": "key-of-the-client"}]}
    async with both(tmp_path, auth=auth) as b:
        words = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
        b.upstream.default = gemini_error(400, "INVALID_ARGUMENT", words)
        with pytest.raises(errors.ClientError) as caught:
            await b.through.aio.models.generate_content(model="coder", contents="Hi")
        assert (caught.value.code, caught.value.message) == (400, words)
        with pytest.raises(errors.ClientError, match="Did you mean coder"):
            await b.through.aio.models.generate_content(model="codr", contents="Hi")
        stranger = _sdk(b.gateway.url, "another")
        with pytest.raises(errors.ClientError) as wrong:
            await stranger.aio.models.generate_content(model="coder", contents="Hi")
        assert (wrong.value.code, wrong.value.status) == (401, "UNAUTHENTICATED")
        await stranger.aio.aclose()
        for b_ in (b.upstream, b.other):
            b_.default = gemini_error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.")
        with pytest.raises(errors.ClientError) as limited:
            await b.through.aio.models.generate_content(model="coder", contents="Hi")
        details = limited.value.details["error"]["details"]
        assert any(each["@type"].endswith("RetryInfo") for each in details)


async def test_another_dialect_is_translated_and_an_unknown_method_told(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"a": at_openai(upstream)}, {"coder": ["a/model-a"]})
        async with gateway(tmp_path, made) as g:
            got = await g.client.post(f"{ROOT}/coder:generateContent", BODY)
            assert (
                got.json["candidates"][0]["content"]["parts"][0]["text"] == "Hello from upstream."
            )
            assert [hit.path for hit in upstream.hits] == ["/v1/chat/completions"]
            got = await g.client.post(f"{ROOT}/coder:streamGenerateContent", BODY)
            assert (
                "".join(
                    part["text"]
                    for each in got.json
                    for part in each["candidates"][0]["content"]["parts"]
                )
                == "Hello from upstream."
            )
            got = await g.client.post(f"{ROOT}/coder:predict", BODY)
            assert (got.status, got.headers["x-should-retry"]) == (404, "false")
            assert got.json["error"]["details"][0]["reason"] == "NOT_SUPPORTED"
