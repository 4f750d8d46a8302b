"""`client.responses` of the official `openai` package through the gateway, and without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.end_to_end.gateways import Served, collect, gateway, settings_of
from tests.end_to_end.gateways import openai as at
from tests.upstream import Answer, Hit, ScriptedUpstream, openai_error

PATH = "/v1/responses"
TOOL = ("get_weather", '{"city": "Kiel", "unit": "celsius", "days": [1, 2, 3]}')
TOOLS: Any = [
    {
        "type": "function",
        "name": "get_weather",
        "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
ANSWERS = [
    Answer(text=("Grüße", " aus", " Kiel ⛵", ".")),
    Answer(text=(), tool=TOOL),
    Answer(text=("Let me look.",), tool=TOOL),
]
ASKED: Any = {
    "input": "What is the weather in Kiel?",
    "tools": TOOLS,
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "extra_body": {"client_metadata": {"thread_id": "t1"}, "something_new": [1]},
}


@dataclass
class Both:
    """Two upstreams behind the gateway; the first one also directly."""

    upstream: ScriptedUpstream
    other: ScriptedUpstream
    gateway: Served
    direct: openai.AsyncOpenAI
    through: openai.AsyncOpenAI


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[Both]:
    async with ScriptedUpstream() as upstream, ScriptedUpstream() as other:
        native = {"responses": "native"}
        made = settings_of(
            {"a": at(upstream, "key-1", **native), "b": at(other, "key-2", **native)},
            {"coder": ["a/model-a", "b/model-b"], "alone": ["a/model-a"]},
        )
        async with (
            gateway(folder, made) as g,
            _sdk(upstream.url) as direct,
            _sdk(g.url) as through,
        ):
            yield Both(upstream, other, g, direct, through)


def _sdk(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key-of-the-client", max_retries=0)


@pytest.mark.parametrize("answer", ANSWERS)
async def test_answers_are_those_of_a_direct_call(tmp_path: Path, answer: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = answer
        found = []
        for sdk, model in ((b.direct, "model-a"), (b.through, "coder")):
            whole = await sdk.responses.create(model=model, **ASKED)
            stream = await sdk.responses.create(model=model, stream=True, **ASKED)
            events = [event async for event in stream]
            async with sdk.responses.stream(model=model, **ASKED) as helper:
                final = await helper.get_final_response()
            found.append((whole, events, final))
        assert found[0] == found[1]
        assert found[1][0].output_text == "".join(answer.text)
        assert [hit.body for hit in b.upstream.hits[:3]] == [
            hit.body for hit in b.upstream.hits[3:]
        ]
        assert {hit.path for hit in b.upstream.hits} == {PATH}


@pytest.mark.parametrize("bad", [Answer(cut_after=0), Answer(end_after=0), Answer(error_after=0)])
async def test_a_stream_without_content_is_another_target_s(tmp_path: Path, bad: Answer) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = bad
        async with b.through.responses.stream(model="coder", input="Hi") as helper:
            final = await helper.get_final_response()
        assert (final.model, final.output_text) == ("model-b", "Hello from upstream.")
        assert len(b.other.hits) == 1


@pytest.mark.parametrize("bad", [Answer(cut_after=2), Answer(end_after=2), Answer(error_after=2)])
async def test_a_stream_that_breaks_ends_in_one_failure_of_the_same_response(
    tmp_path: Path, bad: Answer
) -> None:
    async with both(tmp_path) as b:
        b.upstream.default = bad
        stream = await b.through.responses.create(model="coder", input="Hi", stream=True)
        events: list[Any] = []
        await collect(stream, events)
        kinds = [event.type for event in events]
        assert kinds.count("response.failed") == 1
        assert kinds[-1] == "response.failed"
        assert "response.completed" not in kinds
        numbers = [event.sequence_number for event in events]
        assert numbers == sorted(set(numbers))
        assert events[-1].response.error.code in ("server_error", "overloaded")
        await b.gateway.settled()
        [row] = (await b.gateway.client.api("requests"))["items"]
        assert (row["outcome"], row["failure"]) == ("upstream_error", "stream_broken")


async def test_an_error_keeps_its_words_and_type(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        words = "Your input exceeds the context window of this model."
        b.upstream.default = openai_error(400, "context_length_exceeded", words)
        with pytest.raises(openai.BadRequestError, match=words) as caught:
            await b.through.responses.create(model="coder", input="Hi")
        assert caught.value.code == "context_length_exceeded"
        with pytest.raises(openai.NotFoundError, match="Did you mean coder"):
            await b.through.responses.create(model="codr", input="Hi")


async def test_a_provider_that_knows_chat_only_is_asked_for_chat(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"a": at(upstream)}, {"coder": ["a/model-a"]})
        async with gateway(tmp_path, made) as g:
            got = await g.client.post(PATH, {"model": "coder", "input": "Hi"})
            assert (got.status, got.json["object"]) == (200, "response")
            assert [hit.path for hit in upstream.hits] == ["/v1/chat/completions"]


async def test_the_websocket_is_refused_at_once_and_nothing_is_kept(tmp_path: Path) -> None:
    async with both(tmp_path) as b:
        client = b.gateway.client
        got = await client.get(PATH, upgrade="websocket", connection="Upgrade")
        assert (got.status, got.json["error"]["code"]) == (426, "upgrade_required")
        for method, path in (
            ("GET", PATH),
            ("GET", f"{PATH}/resp_1"),
            ("DELETE", f"{PATH}/resp_1"),
        ):
            got = await client.send(method, path)
            assert (got.status, got.headers["x-should-retry"]) == (404, "false")
        with pytest.raises(openai.NotFoundError, match="keeps no responses"):
            await b.through.responses.retrieve("resp_1")


async def test_what_goes_on_from_an_answer_goes_to_the_account_that_keeps_it(
    tmp_path: Path,
) -> None:
    """Without a name for the session: the id of the answer before is all there is."""
    made_ids = count()

    def answer(hit: Hit) -> Answer:
        text = [{"type": "output_text", "text": hit.key}]
        output = [{"type": "message", "role": "assistant", "content": text}]
        whole = {"id": f"resp_{next(made_ids)}", "status": "completed", "output": output}
        return Answer(json={**whole, "store": hit.json["store"]})

    async with ScriptedUpstream() as upstream:
        upstream.decide = answer
        keys = [f"key-{n}" for n in range(4)]
        provider = at(upstream, *keys, responses="native", rotation="balanced")
        async with gateway(tmp_path, settings_of({"a": provider}, {"coder": ["a/m"]})) as g:
            last = []
            for n in range(12):
                asked = {"model": "coder", "input": f"Hello {n}", "store": True}
                got = (await g.client.post(PATH, asked)).json
                last.append((got["id"], got["output"][0]["content"][0]["text"]))
            assert len({key for _, key in last}) > 1
            for _ in range(2):
                following = []
                for before, key in last:
                    asked = {"model": "coder", "input": "Go on.", "store": True}
                    got = (
                        await g.client.post(PATH, {**asked, "previous_response_id": before})
                    ).json
                    following.append((got["id"], got["output"][0]["content"][0]["text"]))
                    assert following[-1][1] == key
                last = following
