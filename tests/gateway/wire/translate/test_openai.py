"""What chat completions have of their own; most of it is told by the other dialects' tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.translate.neutral import Context, Stop, Used
from gateway.wire.translate.openai_answer import read
from gateway.wire.translate.openai_write import is_strict
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import sse
from tests.gateway.wire.translate.telling import told_by


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "model": "m", "choices": [choice], **more}


def calling(index: int, call_id: str | None, name: str | None, given: str) -> dict[str, Any]:
    told: dict[str, Any] = {"index": index, "function": {"name": name, "arguments": given}}
    return chunk({"tool_calls": [{**told, "id": call_id}]})


def test_a_stream_without_done_is_whole_by_its_finish_reason() -> None:
    told = told_by("openai", sse(chunk({"content": "Hi"}), chunk({}, "stop")))
    assert told.whole


def test_servers_that_number_all_their_calls_0_are_understood() -> None:
    stream = sse(calling(0, "a", "f", "{}"), calling(0, "b", "f", "{}"), chunk({}, "tool_calls"))
    assert [each[0] for each in told_by("openai", stream).calls] == ["a", "b"]


def test_a_server_that_repeats_the_id_in_every_piece_makes_one_call() -> None:
    stream = sse(calling(0, "a", "f", '{"x"'), calling(0, "a", "f", ":1}"))
    assert told_by("openai", stream).calls == [["a", "f", '{"x":1}']]


def test_arguments_for_a_call_that_is_over_fail_the_stream() -> None:
    stream = sse(calling(0, "a", "f", "{"), calling(1, "b", "f", "{}"), calling(0, None, None, "}"))
    failure = told_by("openai", stream).failure
    assert failure is not None
    assert "mixes" in failure.message


def test_calls_without_an_id_get_one() -> None:
    stream = sse(calling(0, None, "f", "{}"), calling(1, None, "f", "{}"))
    ids = {each[0] for each in told_by("openai", stream, Context("o", calls=3)).calls}
    assert len(ids) == 2
    assert all(ids)


@pytest.mark.parametrize(
    ("delta", "thought"),
    [
        ({"reasoning_content": "Hm."}, "Hm."),
        ({"reasoning": "Hm."}, "Hm."),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, "Hm."),
    ],
)
def test_thoughts_by_all_their_names(delta: Any, thought: str) -> None:
    told = told_by("openai", sse(chunk(delta), chunk({"content": "So"}), chunk({}, "stop")))
    assert (told.thoughts, told.texts) == (thought, "So")


@pytest.mark.parametrize("place", ["usage", "x_groq", "choice"])
def test_usage_is_found_where_servers_put_it(place: str) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    last = chunk({}, "stop")
    if place == "usage":
        last["usage"] = usage
    elif place == "x_groq":
        last["x_groq"] = {"usage": usage}
    else:
        last["choices"][0]["usage"] = usage
    assert told_by("openai", sse(chunk({"content": "Hi"}), last)).used == Used(input=5, output=2)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "Sorry", "code": 502}},
        {"error": "Sorry"},
        {"object": "error", "message": "Sorry", "code": 500},
        {"code": "x", "message": "Sorry"},
        {"choices": [{"index": 0, "finish_reason": "error", "error": {"message": "Sorry"}}]},
    ],
)
def test_errors_within_a_stream_in_all_their_shapes(error: Any) -> None:
    failure = told_by("openai", sse(error)).failure
    assert failure is not None
    assert failure.message == "Sorry"


@pytest.mark.parametrize(
    ("finish", "calls", "expected"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("tool_calls", False, "end_turn"),
        ("length", True, "max_tokens"),
        ("content_filter", False, "refusal"),
        (None, False, "end_turn"),
    ],
)
def test_stop_reasons_for_messages(finish: Any, calls: bool, expected: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    message: dict[str, Any] = {"role": "assistant", "content": "x"}
    if calls:
        message["tool_calls"] = [call]
    body = {"id": "1", "model": "m", "choices": [{"message": message, "finish_reason": finish}]}
    pair = translation("anthropic", "openai")
    assert pair is not None
    told = json.loads(pair.answer(json.dumps(body).encode()))
    assert told["stop_reason"] == expected
    assert [each["input"] for each in told["content"] if each["type"] == "tool_use"] == (
        [{}] if calls else []
    )


def test_a_refusal_is_read_and_stops_a_message_so() -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    body = {"id": "1", "choices": [{"message": message, "finish_reason": "stop"}]}
    answer = read(json.dumps(body).encode(), Context("o"))
    assert answer.stop is Stop.DONE
    pair = translation("anthropic", "openai")
    assert pair is not None
    told = json.loads(pair.answer(json.dumps(body).encode()))
    assert told["content"] == [{"type": "text", "text": "No."}]
    assert told["stop_reason"] == "refusal"


def test_openais_idea_of_a_strict_schema() -> None:
    inner = {"type": "object", "properties": {}, "additionalProperties": False}
    closed = {**inner, "properties": {"a": inner}, "required": ["a"]}
    assert is_strict(closed)
    assert not is_strict({**closed, "required": []})
    assert not is_strict({**closed, "properties": {"a": {"type": "object", "properties": {}}}})
    assert not is_strict({"type": "array", "items": {"type": "object"}})
