"""The official clients read these answers, and the gateway's own judges call them whole."""

from __future__ import annotations

from random import Random

import anthropic
import openai
import pytest

from gateway.upstream import simulated_answers as answers
from gateway.upstream.simulated_answers import Frames, Said, ToolCall
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from tests.upstream import Answer, ScriptedUpstream

CALL = ToolCall(call_id="t1", name="look", arguments='{"where": "behind the harbour wall"}')
SAID = Said(
    answer_id="a1",
    model="model-a",
    created=1,
    pieces=("Hello", " there"),
    input_tokens=11,
    output_tokens=7,
)
TOOL = ("look", CALL.arguments)
USER = {"role": "user", "content": "Hello"}


def said(**changes: object) -> Said:
    fields = {name: getattr(SAID, name) for name in Said.__dataclass_fields__}
    return Said(**(fields | changes))


CASES = [SAID, said(tool=CALL), said(pieces=(), tool=CALL), said(cut=True), said(pieces=())]


def frames(wire: Wire, what: Said) -> Frames:
    make = answers.anthropic_frames if wire.name == "anthropic" else answers.openai_frames
    return make(what)


@pytest.mark.parametrize("wire", [OpenAIWire(), AnthropicWire()], ids=["openai", "anthropic"])
@pytest.mark.parametrize("what", CASES, ids=["text", "text and tool", "tool", "cut", "empty"])
def test_a_stream_is_whole_and_its_content_begins_where_it_says(wire: Wire, what: Said) -> None:
    made = frames(wire, what)
    judge = wire.judge(stream=True)
    for frame in made.head:
        judge.feed(frame)
    assert not judge.content
    for frame in made.content[:1]:
        judge.feed(frame)
    assert judge.content is bool(made.content)
    for frame in (*made.content[1:], *made.tail):
        judge.feed(frame)
    judge.end()
    assert (judge.done, judge.fault, judge.served_model) == (True, None, "model-a")
    assert judge.usage is not None
    assert (judge.usage.input_tokens, judge.usage.output_tokens) == (11, 7)


@pytest.mark.parametrize("wire", [OpenAIWire(), AnthropicWire()], ids=["openai", "anthropic"])
@pytest.mark.parametrize("what", CASES, ids=["text", "text and tool", "tool", "cut", "empty"])
def test_a_single_answer_is_whole(wire: Wire, what: Said) -> None:
    make = answers.anthropic_body if wire.name == "anthropic" else answers.openai_body
    judge = wire.judge(stream=False)
    judge.feed(make(what))
    judge.end()
    assert (judge.done, judge.fault) == (True, None)


def test_without_being_asked_for_an_openai_stream_states_no_usage() -> None:
    assert b"usage" not in b"".join(answers.openai_frames(said(include_usage=False)).all())


def test_an_error_event_is_a_fault_in_both_dialects() -> None:
    for wire in (OpenAIWire(), AnthropicWire()):
        judge = wire.judge(stream=True)
        judge.feed(answers.error_event(wire.name, {"type": "overloaded_error", "message": "Full"}))
        assert judge.fault is not None
        assert judge.fault.error["message"] == "Full"


def test_words_are_prose_of_the_length_asked_for_and_the_same_for_the_same_seed() -> None:
    made = answers.words(Random(3), 30)
    assert len(made) == 30
    assert made == answers.words(Random(3), 30)
    assert "".join(made).count(". ") == 2
    assert answers.words(Random(3), 0) == ()


async def test_the_openai_client_reads_text_and_tools(upstream: ScriptedUpstream) -> None:
    async with openai.AsyncOpenAI(base_url=upstream.openai_url, api_key="k") as client:
        for tool in (None, TOOL):
            upstream.default = Answer(tool=tool)
            single = await client.chat.completions.create(model="m", messages=[USER])  # type: ignore[list-item]
            async with client.chat.completions.stream(model="m", messages=[USER]) as stream:  # type: ignore[list-item]
                whole = await stream.get_final_completion()
            for message in (single.choices[0].message, whole.choices[0].message):
                assert message.content == "Hello from upstream."
                calls = [
                    (call.function.name, call.function.arguments)
                    for call in message.tool_calls or ()
                    if call.type == "function"
                ]
                named = [("look", CALL.arguments)]
                assert calls == (named if tool else [])
        vectors = await client.embeddings.create(model="e", input=["a", "b"])
        assert [len(each.embedding) for each in vectors.data] == [answers.EMBEDDING_SIZE] * 2
        assert [model.id async for model in client.models.list()] == ["model-a", "model-b"]


async def test_the_anthropic_client_reads_text_and_tools(upstream: ScriptedUpstream) -> None:
    async with anthropic.AsyncAnthropic(base_url=upstream.url, api_key="k") as client:
        for tool in (None, TOOL):
            upstream.default = Answer(tool=tool)
            single = await client.messages.create(model="m", max_tokens=9, messages=[USER])  # type: ignore[list-item]
            async with client.messages.stream(model="m", max_tokens=9, messages=[USER]) as stream:  # type: ignore[list-item]
                whole = await stream.get_final_message()
            assert [block.type for block in whole.content] == ["text", "tool_use"][: 1 + bool(tool)]
            kept = [block.model_dump(exclude={"parsed_output"}) for block in whole.content]
            assert kept == [block.model_dump() for block in single.content]
            assert whole.usage.output_tokens == single.usage.output_tokens == 7
        counted = await client.messages.count_tokens(model="m", messages=[USER])  # type: ignore[list-item]
        assert counted.input_tokens == 11
        assert [model.id async for model in client.models.list()] == ["model-a", "model-b"]
