"""What a simulated provider decides to do, without anybody doing it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from gateway.config import Simulated, Weather
from gateway.events import Failure
from gateway.upstream.simulated_asked import read
from gateway.upstream.simulated_plan import Plan, plan
from tests.gateway.upstream.sending import outgoing

TOOLS = {
    "openai": [{"type": "function", "function": {"name": "a"}}, {"function": {"name": "b"}}],
    "anthropic": [{"name": "a"}, {"name": "b"}],
}
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}, "more": {}},
    "required": ["path", "lines"],
}


def planned(
    fields: dict[str, Any] | bytes | None = None,
    *,
    dialect: str = "openai",
    stream: bool = False,
    path: str = "",
    script: Simulated | None = None,
    failure: Failure | None = None,
    weather: Weather | None = None,
) -> Plan:
    asked = fields
    if not isinstance(fields, bytes):
        asked = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 500}
        asked |= (fields or {}) | ({"stream": True} if stream else {})
    call = outgoing(
        dialect=dialect, path=path, body=asked, stream=stream, simulated=script or Simulated()
    )
    made = read(call, request_id="a1", created=1)
    return plan(made, failure=failure, weather=weather, rng=Random(1))


def body(made: Plan) -> dict[str, Any]:
    whole = json.loads(b"".join(step.data for step in made.steps))
    assert isinstance(whole, dict)
    return whole


def called(made: Plan, dialect: str) -> tuple[str, Any] | None:
    answer = body(made)
    if dialect == "openai":
        calls = answer["choices"][0]["message"].get("tool_calls")
        if not calls:
            return None
        function = calls[0]["function"]
        return function["name"], json.loads(function["arguments"])
    blocks = [block for block in answer["content"] if block["type"] == "tool_use"]
    return (blocks[0]["name"], blocks[0]["input"]) if blocks else None


def test_the_same_request_gets_the_same_words_and_another_seed_others() -> None:
    first, again = body(planned()), body(planned())
    other = body(planned(script=Simulated(seed=2)))
    assert first == again
    assert first["choices"] != other["choices"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_is_honoured(field: str) -> None:
    choice = body(planned({"max_tokens": None, field: 3}))
    assert choice["choices"][0]["finish_reason"] == "length"
    assert choice["usage"]["completion_tokens"] == 3
    assert len(choice["choices"][0]["message"]["content"].split()) == 3
    cut = body(planned({"max_tokens": 3}, dialect="anthropic"))
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 3)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_turn_of_a_user_calls_a_tool_and_its_result_is_answered_in_words(dialect: str) -> None:
    tools = {"tools": TOOLS[dialect]}
    assert called(planned(tools, dialect=dialect), dialect) == ("a", {})
    result = {
        "openai": {"role": "tool", "tool_call_id": "x", "content": "done"},
        "anthropic": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]},
    }
    told = tools | {"messages": [result[dialect]]}
    assert called(planned(told, dialect=dialect), dialect) is None


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_tool_choice_is_honoured(dialect: str) -> None:
    choices: dict[str, list[Any]] = {
        "openai": [{"type": "function", "function": {"name": "b"}}, "none"],
        "anthropic": [{"type": "tool", "name": "b"}, {"type": "none"}],
    }
    named, none = ({"tools": TOOLS[dialect], "tool_choice": c} for c in choices[dialect])
    assert called(planned(named, dialect=dialect), dialect) == ("b", {})
    assert called(planned(none, dialect=dialect), dialect) is None


def test_a_tools_required_arguments_are_filled_by_their_types() -> None:
    tool = {"type": "function", "function": {"name": "open", "parameters": SCHEMA}}
    arguments = {"path": "harbour", "lines": 1}
    assert called(planned({"tools": [tool]}), "openai") == ("open", arguments)
    flat = {"tools": [{"name": "open", "input_schema": SCHEMA}]}
    assert called(planned(flat, dialect="anthropic"), "anthropic") == ("open", arguments)


def test_embeddings_and_counts_are_answered_in_one_piece_even_if_a_stream_is_asked_for() -> None:
    vectors = body(planned({"input": ["a", "b"]}, path="/embeddings", stream=True))
    assert [each["index"] for each in vectors["data"]] == [0, 1]
    counted = planned(path="/v1/messages/count_tokens", dialect="anthropic", stream=True)
    assert body(counted)["input_tokens"] > 0


@pytest.mark.parametrize(
    ("fields", "path", "dialect"),
    [
        ({"messages": []}, "", "openai"),
        ({"messages": "Hello"}, "", "openai"),
        (b"no JSON", "", "openai"),
        (b"[1]", "", "openai"),
        ({"max_tokens": None}, "", "anthropic"),
        ({}, "/embeddings", "openai"),
        ({}, "/images/generations", "openai"),
    ],
)
def test_what_cannot_be_answered_is_a_bad_request_with_a_reason(
    fields: Any, path: str, dialect: str
) -> None:
    made = planned(fields, path=path, dialect=dialect)
    assert made.status == 400
    assert len(body(made)["error"]["message"]) > 10


def test_a_stream_begins_after_the_first_tokens_time_and_keeps_its_pace() -> None:
    script = Simulated(first_token_seconds=0.5, tokens_per_second=10)
    made = planned(script=script, stream=True)
    waits = [step.wait_seconds for step in made.steps]
    assert waits[:2] == [0.0, 0.5]
    assert set(waits[2:-1]) == {0.1}
    assert (made.headers_after_seconds, waits[-1]) == (0.0, 0.0)


def test_a_single_answer_comes_when_its_stream_would_have_ended() -> None:
    script = Simulated(first_token_seconds=0.5, tokens_per_second=10)
    made = planned(script=script)
    tokens = body(made)["usage"]["completion_tokens"]
    assert made.headers_after_seconds == pytest.approx(0.5 + tokens / 10)


def test_a_spells_own_pace_stands_in_for_the_providers() -> None:
    spell = Weather(first_token_seconds=9, tokens_per_second=2)
    waits = [step.wait_seconds for step in planned(stream=True, weather=spell).steps]
    assert waits[1:3] == [9, 0.5]


def test_a_stated_time_travels_with_the_refusal() -> None:
    spell = Weather(failure=Failure.RATE_LIMITED, retry_after_seconds=7)
    made = planned(failure=Failure.RATE_LIMITED, weather=spell)
    assert ("retry-after", "7") in made.headers
    assert not dict(planned(failure=Failure.RATE_LIMITED).headers).get("retry-after")


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_answers_name_their_request_as_the_dialect_does(dialect: str) -> None:
    name = "request-id" if dialect == "anthropic" else "x-request-id"
    assert dict(planned(dialect=dialect).headers)[name] == "req_a1"
    refusal = planned(dialect=dialect, failure=Failure.AUTH)
    assert dict(refusal.headers)[name] == "req_a1"
