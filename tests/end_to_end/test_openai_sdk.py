"""The official `openai` package through the gateway: it must see what it sees without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.end_to_end.gateways import Served, collect, gateway, settings_of
from tests.end_to_end.gateways import openai as at
from tests.upstream import Answer, ScriptedUpstream, openai_error

MESSAGES: Any = [{"role": "user", "content": "What is the weather in Kiel?"}]
TOOL = ("get_weather", '{"city": "Kiel", "unit": "celsius", "days": [1, 2, 3]}')
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
ANSWERS = [
    Answer(text=("Grüße", " aus", " Kiel ⛵", ".")),
    Answer(text=(), tool=TOOL),
    Answer(text=("Let me look.",), tool=TOOL),
]


@dataclass
class Both:
    """One upstream, with the SDK directly and through the gateway."""

    upstream: ScriptedUpstream
    gateway: Served
    direct: openai.AsyncOpenAI
    through: openai.AsyncOpenAI


@asynccontextmanager
async def both(folder: Path, **settings: Any) -> AsyncIterator[Both]:
    async with ScriptedUpstream() as upstream:
        provider = at(upstream, "key-1", models={"list": ["model-a", "embed-a"]})
        made = settings_of({"a": provider}, {"coder": ["a/model-a"]}, **settings)
        async with (
            gateway(folder, made) as g,
            _sdk(upstream.url) as direct,
            _sdk(g.url) as through,
        ):
            yield Both(upstream, g, direct, through)


def _sdk(url: str, key: str = "key-of-the-client") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


@pytest.mark.parametrize("answer", ANSWERS)
async def test_single_answers_are_those_of_a_direct_call(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        direct = await b.direct.chat.completions.create(
            model="model-a", messages=MESSAGES, tools=TOOLS, tool_choice="auto", temperature=0.5
        )
        through = await b.through.chat.completions.create(
            model="coder", messages=MESSAGES, tools=TOOLS, tool_choice="auto", temperature=0.5
        )
        assert through == direct
        assert b.upstream.hits[1].body == b.upstream.hits[0].body


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_streams_are_those_of_a_direct_call(
    tmp_path: Path, answer: Answer, *, usage: bool
) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if usage else {}
        found = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            stream = await sdk.chat.completions.create(
                model=model, messages=MESSAGES, tools=TOOLS, stream=True, **more
            )
            found.append([chunk async for chunk in stream])
        assert found[0] == found[1]
        assert b.upstream.hits[1].body == b.upstream.hits[0].body
        said = "".join(each.choices[0].delta.content or "" for each in found[1] if each.choices)
        assert said == "".join(answer.text)


async def test_the_stream_helper_puts_the_same_answer_together(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = ANSWERS[2]
        found = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            async with sdk.chat.completions.stream(model=model, messages=MESSAGES) as stream:
                found.append(await stream.get_final_completion())
        assert found[0] == found[1]
        [call] = found[1].choices[0].message.tool_calls or []
        assert (call.function.name, call.function.arguments) == TOOL


async def test_a_tool_s_result_goes_back(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.plan(ANSWERS[1], ANSWERS[0])
        first = await b.through.chat.completions.create(
            model="coder", messages=MESSAGES, tools=TOOLS
        )
        message = first.choices[0].message
        [call] = message.tool_calls or []
        turn: Any = [
            *MESSAGES,
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "7 °C"},
        ]
        second = await b.through.chat.completions.create(model="coder", messages=turn)
        assert second.choices[0].message.content == "Grüße aus Kiel ⛵."
        assert b.upstream.hits[1].json["messages"] == turn


async def test_embeddings_are_those_of_a_direct_call(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        texts = ["one", "two", "three"]
        direct = await b.direct.embeddings.create(
            model="embed-a", input=texts, encoding_format="float"
        )
        through = await b.through.embeddings.create(
            model="a/embed-a", input=texts, encoding_format="float"
        )
        assert through == direct
        assert len(through.data) == 3
        assert b.upstream.hits[1].path == "/v1/embeddings"


async def test_models_are_listed_and_retrieved(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        listed = [model.id async for model in b.through.models.list()]
        assert listed == ["coder", "a/model-a", "a/embed-a"]
        for name in listed:
            assert (await b.through.models.retrieve(name)).id == name
        with pytest.raises(openai.NotFoundError):
            await b.through.models.retrieve("codr")


async def test_raw_responses_carry_the_gateway_s_headers(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        raw = await b.through.chat.completions.with_raw_response.create(
            model="coder", messages=MESSAGES
        )
        expected = {
            "x-evenkeel-route": "coder",
            "x-evenkeel-provider": "a",
            "x-evenkeel-model": "model-a",
            "x-evenkeel-credential": "key-1",
            "x-evenkeel-attempts": "1",
        }
        assert {name: raw.headers[name] for name in expected} == expected
        assert len(raw.headers["x-evenkeel-request-id"]) == 26
        assert raw.parse().choices[0].message.content == "Hello from upstream."


ERRORS = [
    (openai_error(400, "invalid_value", "Bad temperature."), openai.BadRequestError),
    (openai_error(422, "unprocessable", "Bad schema."), openai.UnprocessableEntityError),
    (
        openai_error(429, "rate_limit_exceeded", "Slow down.", headers={"retry-after": "9"}),
        openai.RateLimitError,
    ),
    (openai_error(404, "model_not_found", "The model `x` does not exist."), openai.NotFoundError),
    (openai_error(401, "invalid_api_key", "Wrong key."), openai.InternalServerError),
    (openai_error(500, "server_error", "Oops."), openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("answer", "error"), ERRORS)
async def test_errors_are_the_sdk_s_own_types(
    tmp_path: Path, answer: Answer, error: type[openai.APIStatusError], *, stream: bool
) -> None:
    """A refused key of the gateway's is no fault of the client's: it learns that nobody can serve."""
    async with both(tmp_path) as b:
        b.upstream.default = answer
        with pytest.raises(error) as caught:
            await b.through.chat.completions.create(model="coder", messages=MESSAGES, stream=stream)
        assert answer.json["error"]["message"].rstrip(".") in caught.value.message
        assert caught.value.response.headers["x-evenkeel-attempts"] == str(len(b.upstream.hits))


async def test_an_unknown_model_and_a_wrong_key_are_the_sdk_s_own_types(tmp_path: Path) -> None:
    auth = {"clients": [{"name": "me", "key": "key-of-the-client"}]}
    async with both(tmp_path, auth=auth) as b:
        with pytest.raises(openai.NotFoundError, match="Did you mean coder") as unknown:
            await b.through.chat.completions.create(model="codr", messages=MESSAGES)
        assert unknown.value.code == "model_not_found"
        async with _sdk(b.gateway.url, "another key") as stranger:
            with pytest.raises(openai.AuthenticationError) as wrong:
                await stranger.chat.completions.create(model="coder", messages=MESSAGES)
            assert wrong.value.code == "invalid_api_key"
        assert not b.upstream.hits
        await b.through.chat.completions.create(model="coder", messages=MESSAGES)
        assert len(b.upstream.hits) == 1


async def test_a_stream_that_breaks_is_an_error_for_the_sdk(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = Answer(cut_after=2)
        stream = await b.through.chat.completions.create(
            model="coder", messages=MESSAGES, stream=True
        )
        chunks: list[Any] = []
        with pytest.raises(openai.APIError):
            await collect(stream, chunks)
        said = [chunk.choices[0].delta.content for chunk in chunks]
        assert said[-2:] == ["Hello", " from"]
