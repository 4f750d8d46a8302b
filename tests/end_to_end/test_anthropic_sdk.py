"""The official `anthropic` package through the gateway: it must see what it sees without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.end_to_end.gateways import Served, collect, gateway, settings_of
from tests.end_to_end.gateways import anthropic as at
from tests.upstream import Answer, ScriptedUpstream, anthropic_error

MESSAGES: Any = [{"role": "user", "content": "What is the weather in Kiel?"}]
TOOL = ("get_weather", '{"city": "Kiel", "unit": "celsius", "days": [1, 2, 3]}')
TOOLS: Any = [
    {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
ANSWERS = [
    Answer(text=("Grüße", " aus", " Kiel ⛵", ".")),
    Answer(text=(), tool=TOOL),
    Answer(text=("Let me look.",), tool=TOOL),
]
ASKED: Any = {"messages": MESSAGES, "max_tokens": 64, "tools": TOOLS}


@dataclass
class Both:
    """One upstream, with the SDK directly and through the gateway."""

    upstream: ScriptedUpstream
    gateway: Served
    direct: anthropic.AsyncAnthropic
    through: anthropic.AsyncAnthropic


@asynccontextmanager
async def both(folder: Path, **settings: Any) -> AsyncIterator[Both]:
    async with ScriptedUpstream() as upstream:
        provider = at(upstream, "key-1", models={"list": ["model-a"]})
        made = settings_of({"a": provider}, {"coder": ["a/model-a"]}, **settings)
        async with (
            gateway(folder, made) as g,
            _sdk(upstream.url) as direct,
            _sdk(g.url) as through,
        ):
            yield Both(upstream, g, direct, through)


def _sdk(url: str, key: str = "key-of-the-client") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)


@pytest.mark.parametrize("answer", ANSWERS)
async def test_single_answers_are_those_of_a_direct_call(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        direct = await b.direct.messages.create(model="model-a", **ASKED)
        through = await b.through.messages.create(model="coder", **ASKED)
        assert through == direct
        assert b.upstream.hits[1].body == b.upstream.hits[0].body


@pytest.mark.parametrize("answer", ANSWERS)
async def test_streams_are_those_of_a_direct_call(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        events = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            stream = await sdk.messages.create(model=model, stream=True, **ASKED)
            events.append([event async for event in stream])
        assert events[0] == events[1]
        finals = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            async with sdk.messages.stream(model=model, **ASKED) as helper:
                finals.append(await helper.get_final_message())
        assert finals[0] == finals[1]
        assert b.upstream.hits[1].body == b.upstream.hits[0].body


async def test_a_tool_s_result_goes_back(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.plan(ANSWERS[1], ANSWERS[0])
        first = await b.through.messages.create(model="coder", **ASKED)
        [use] = first.content
        assert isinstance(use, anthropic.types.ToolUseBlock)
        turn: Any = [
            *MESSAGES,
            {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "7 °C"}],
            },
        ]
        second = await b.through.messages.create(model="coder", messages=turn, max_tokens=64)
        assert isinstance(second.content[0], anthropic.types.TextBlock)
        assert second.content[0].text == "Grüße aus Kiel ⛵."
        assert b.upstream.hits[1].json["messages"] == turn


async def test_tokens_are_counted_upstream(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = Answer(input_tokens=4711)
        counted = await b.through.messages.count_tokens(model="coder", messages=MESSAGES)
        assert counted.input_tokens == 4711
        assert b.upstream.hits[0].path == "/v1/messages/count_tokens"
        assert b.upstream.hits[0].json["model"] == "model-a"


async def test_models_are_listed_and_retrieved(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        listed = [model.id async for model in b.through.models.list()]
        assert listed == ["coder", "a/model-a"]
        assert (await b.through.models.retrieve("coder")).type == "model"
        with pytest.raises(anthropic.NotFoundError):
            await b.through.models.retrieve("codr")


async def test_raw_responses_carry_the_gateway_s_headers(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        raw = await b.through.messages.with_raw_response.create(model="coder", **ASKED)
        assert raw.headers["x-evenkeel-provider"] == "a"
        assert raw.headers["x-evenkeel-model"] == "model-a"
        assert (await raw.parse()).stop_reason == "end_turn"


ERRORS = [
    (anthropic_error(400, "invalid_request_error", "Bad field."), anthropic.BadRequestError),
    (
        anthropic_error(429, "rate_limit_error", "Slow down.", headers={"retry-after": "9"}),
        anthropic.RateLimitError,
    ),
    (anthropic_error(404, "not_found_error", "model: x"), anthropic.NotFoundError),
    (anthropic_error(529, "overloaded_error", "Overloaded"), anthropic.APIStatusError),
    (anthropic_error(401, "authentication_error", "Wrong key."), anthropic.APIStatusError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("answer", "error"), ERRORS)
async def test_errors_are_the_sdk_s_own_types(
    tmp_path: Path, answer: Answer, error: type[anthropic.APIStatusError], *, stream: bool
) -> None:
    """A refused key of the gateway's is no fault of the client's: it learns that nobody can serve."""
    async with both(tmp_path) as b:
        b.upstream.default = answer
        with pytest.raises(error) as caught:
            await b.through.messages.create(model="coder", stream=stream, **ASKED)
        assert answer.json["error"]["message"].rstrip(".") in caught.value.message
        if answer.status in (401, 529):
            assert caught.value.status_code == 503


async def test_an_unknown_model_and_a_wrong_key_are_the_sdk_s_own_types(tmp_path: Path) -> None:
    auth = {"clients": [{"name": "me", "key": "key-of-the-client"}]}
    async with both(tmp_path, auth=auth) as b:
        with pytest.raises(anthropic.NotFoundError, match="Did you mean coder"):
            await b.through.messages.create(model="codr", **ASKED)
        async with _sdk(b.gateway.url, "another key") as stranger:
            with pytest.raises(anthropic.AuthenticationError):
                await stranger.messages.create(model="coder", **ASKED)
        assert not b.upstream.hits
        await b.through.messages.create(model="coder", **ASKED)
        assert len(b.upstream.hits) == 1


@pytest.mark.parametrize("answer", [Answer(cut_after=2), Answer(error_after=2)])
async def test_a_stream_that_breaks_is_an_error_for_the_sdk(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        stream = await b.through.messages.create(model="coder", stream=True, **ASKED)
        events: list[Any] = []
        with pytest.raises(anthropic.APIError):
            await collect(stream, events)
        kinds = [event.type for event in events]
        assert kinds.count("content_block_delta") == 2
        assert "message_stop" not in kinds


@pytest.mark.parametrize(
    ("version", "header"), [("2023-06-01", "x-api-key"), ("2026-10-21", "authorization")]
)
async def test_both_versions_of_the_api_go_through_with_all_that_is_unknown(
    tmp_path: Path, version: str, header: str
) -> None:
    async with both(tmp_path) as b:
        limits = {"anthropic-ratelimit-requests-remaining": "1", "anthropic-ratelimit-new": "x"}
        b.upstream.default = Answer(headers=limits)
        betas = "context-1m-2025-08-07,something-new-2026-11-01"
        raw = await b.through.messages.with_raw_response.create(
            model="coder",
            extra_headers={"anthropic-version": version, "anthropic-beta": betas},
            extra_query={"beta": "true"},
            extra_body={"safeguards": {"mode": "auto"}, "unknown": [1, {"a": None}]},
            **ASKED,
        )
        assert not any(name.lower().startswith("anthropic-ratelimit") for name in raw.headers)
        [hit] = b.upstream.hits
        assert (hit.query, hit.key) == ("beta=true", "sk-key-1")
        assert hit.header("anthropic-version") == version
        assert hit.header("anthropic-beta") == betas
        assert hit.header(header) is not None
        assert hit.json["safeguards"] == {"mode": "auto"}
        assert hit.json["unknown"] == [1, {"a": None}]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (413, "Request exceeds the maximum size"),
    ],
)
async def test_the_words_on_size_are_left_as_they_are(
    tmp_path: Path, status: int, words: str
) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = anthropic_error(status, "invalid_request_error", words)
        got = await b.gateway.client.ask("/v1/messages", "coder")
        assert (got.status, got.json["error"]["message"]) == (status, words)
