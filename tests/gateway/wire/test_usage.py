"""One meaning of each count, whatever the dialect says: see docs/history.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.events import Usage
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesWire

CHAT, MESSAGES, RESPONSES = OpenAIWire(), AnthropicWire(), ResponsesWire()


def chat(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": usage, **more}


def messages(usage: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "text", "text": "hi"}
    return {"type": "message", "content": [text], "stop_reason": "end_turn", "usage": usage}


def response(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    text = {"type": "output_text", "text": "hi"}
    output = [{"type": "message", "role": "assistant", "content": [text]}]
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": output,
        "usage": usage,
        **more,
    }


def single(wire: Wire, body: dict[str, Any]) -> Usage | None:
    judge = wire.judge(stream=False)
    judge.feed(json.dumps(body).encode())
    judge.end()
    assert judge.fault is None
    return judge.usage


def stream(wire: Wire, *events: dict[str, Any]) -> Usage | None:
    judge = wire.judge(stream=True)
    for each in events:
        name = f"event: {each['type']}\n" if "type" in each else ""
        judge.feed(f"{name}data: {json.dumps(each)}\n\n".encode())
    judge.feed(b"data: [DONE]\n\n" if wire is CHAT else b"")
    judge.end()
    assert judge.fault is None
    return judge.usage


OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 7},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
WHOLE = Usage(
    input_tokens=100,
    cached_tokens=80,
    cache_write_tokens=7,
    output_tokens=50,
    reasoning_tokens=30,
)


def test_openais_input_holds_the_cache_and_its_output_the_reasoning() -> None:
    assert single(CHAT, chat(OPENAI)) == WHOLE
    in_responses = {
        "input_tokens": 100,
        "output_tokens": 50,
        "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 7},
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    assert single(RESPONSES, response(in_responses)) == WHOLE
    done = {"type": "response.completed", "response": response(in_responses)}
    assert stream(RESPONSES, done) == WHOLE


@pytest.mark.parametrize("details", [{}, {"completion_tokens_details": {"reasoning_tokens": 30}}])
def test_reasoning_that_only_the_total_holds_is_added_to_the_output(
    details: dict[str, Any],
) -> None:
    told = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150, **details}
    found = Usage(input_tokens=100, output_tokens=50, reasoning_tokens=30)
    assert single(CHAT, chat(told)) == found
    choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
    assert stream(CHAT, {"choices": [choice]}, {"choices": [], "usage": told}) == found


def test_a_total_that_does_not_add_up_changes_nothing() -> None:
    for total in (0, 119, 140):
        told = {**OPENAI, "completion_tokens": 20, "total_tokens": total}
        usage = single(CHAT, chat(told))
        assert usage is not None
        assert (usage.output_tokens, usage.reasoning_tokens) == (20, 30)


def test_anthropics_input_gets_the_cache_added() -> None:
    told = {
        "input_tokens": 13,
        "cache_read_input_tokens": 80,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
        "service_tier": "priority",
    }
    found = Usage(
        input_tokens=100,
        cached_tokens=80,
        cache_write_tokens=7,
        output_tokens=50,
        reasoning_tokens=30,
        cache_write_1h_tokens=4,
        service_tier="priority",
    )
    assert single(MESSAGES, messages(told)) == found
    start = {"type": "message_start", "message": {"usage": {**told, "output_tokens": 1}}}
    block = {"type": "content_block_start", "content_block": {"type": "text", "text": "hi"}}
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 50},
    }
    assert stream(MESSAGES, start, block, end, {"type": "message_stop"}) == found


def test_the_tier_that_an_answer_names_is_known_for_its_price() -> None:
    for wire, body in (
        (CHAT, chat(OPENAI, service_tier="flex")),
        (RESPONSES, response({"input_tokens": 1}, service_tier="flex")),
    ):
        usage = single(wire, body)
        assert usage is not None
        assert usage.service_tier == "flex"
    for odd in (None, 7, ["flex"]):
        usage = single(CHAT, chat(OPENAI, service_tier=odd))
        assert usage is not None
        assert usage.service_tier == ""


@pytest.mark.parametrize(("wire", "body"), [(CHAT, chat({})), (MESSAGES, messages({}))])
def test_what_is_not_counted_is_not_there(wire: Wire, body: dict[str, Any]) -> None:
    assert single(wire, body) is None
