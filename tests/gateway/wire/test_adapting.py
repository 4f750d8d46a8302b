"""Histories of other providers: what is dropped, what is renamed, and what keeps its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.adapting import Foreign, adapt
from gateway.wire.tool_ids import LEGAL_ID, SAFE_ID

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "by-a"}
ASKED = {"role": "user", "content": "Write it."}
TURN = {"role": "user", "content": "And now?"}


def call(name: str, *before: Any) -> dict[str, Any]:
    use = {"type": "tool_use", "id": name, "name": "write", "input": {"n": 1.0}}
    return {"role": "assistant", "content": [*before, use]}


def result(name: str) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": name, "content": "ok"}],
    }


def openai_call(*names: str, **more: Any) -> dict[str, Any]:
    function = {"name": "write", "arguments": "{}"}
    calls = [{"id": name, "type": "function", "function": function} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": calls, **more}


def openai_result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "ok"}


def adapted(foreign: Foreign, *messages: Any, **more: Any) -> tuple[Any, tuple[str, ...]]:
    body, done = adapt(json.dumps({"model": "m", "messages": messages, **more}).encode(), foreign)
    return json.loads(body), done


@pytest.mark.parametrize("foreign", [Foreign.THINKING, Foreign.TOOL_IDS])
def test_a_foreign_thought_goes_and_a_call_and_its_result_share_one_legal_id(
    foreign: Foreign,
) -> None:
    old = "functions.write:0"
    body, done = adapted(foreign, ASKED, call(old, THOUGHT), result(old), TURN)
    assert done == ("thinking", "tool_ids")
    [use] = body["messages"][1]["content"]
    [told] = body["messages"][2]["content"]
    assert use["id"] == told["tool_use_id"]
    assert LEGAL_ID.fullmatch(use["id"])
    assert use["input"] == {"n": 1.0}
    assert body["messages"][3] == TURN


def test_the_new_id_is_the_same_in_every_turn() -> None:
    first, _ = adapted(Foreign.TOOL_IDS, call("a:1"), result("a:1"))
    later, _ = adapted(
        Foreign.TOOL_IDS, call("b:1"), result("b:1"), call("a:1"), result("a:1"), TURN
    )
    assert first["messages"] == later["messages"][2:4]
    assert later["messages"][0]["content"][0]["id"] != first["messages"][0]["content"][0]["id"]


def test_legal_ids_are_kept_beside_illegal_ones() -> None:
    body, done = adapted(Foreign.TOOL_IDS, call("toolu_1"), result("toolu_1"), call("x" * 41))
    assert done == ("tool_ids",)
    assert body["messages"][0] == call("toolu_1")
    assert body["messages"][1] == result("toolu_1")
    assert LEGAL_ID.fullmatch(body["messages"][2]["content"][0]["id"])


def test_where_all_ids_look_legal_and_are_refused_each_gets_a_name_that_everybody_takes() -> None:
    messages = (openai_call("call_1", "abc123XYZ"), openai_result("call_1"))
    body, done = adapted(Foreign.TOOL_IDS, *messages)
    assert done == ("tool_ids",)
    first, second = (each["id"] for each in body["messages"][0]["tool_calls"])
    assert SAFE_ID.fullmatch(first)
    assert second == "abc123XYZ"
    assert body["messages"][1]["tool_call_id"] == first


def test_a_refused_id_costs_the_thoughts_of_its_own_message_only() -> None:
    own = call("toolu_1", THOUGHT)
    body, _ = adapted(Foreign.TOOL_IDS, own, result("toolu_1"), call("a:1", THOUGHT), result("a:1"))
    assert body["messages"][0] == own
    assert len(body["messages"][2]["content"]) == 1


def test_refused_thinking_goes_in_every_shape() -> None:
    encrypted = {"type": "redacted_thinking", "data": "xyz"}
    said = {"type": "text", "text": "Done."}
    body, done = adapted(
        Foreign.THINKING,
        {"role": "assistant", "content": [THOUGHT, encrypted, said]},
        {"role": "assistant", "content": [encrypted]},
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.", "reasoning": ""},
        openai_call("call_1", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]),
    )
    assert done == ("thinking",)
    assert body["messages"] == [
        {"role": "assistant", "content": [said]},
        {"role": "assistant", "content": "Yes."},
        openai_call("call_1"),
    ]


def test_a_turn_within_a_tool_s_loop_goes_on_without_thinking() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    more = {"thinking": thinking, "context_management": edits, "max_tokens": 50}
    loop = (ASKED, call("toolu_1", THOUGHT), result("toolu_1"))
    body, done = adapted(Foreign.THINKING, *loop, **more)
    assert done == ("thinking",)
    assert set(body) == {"model", "messages", "max_tokens"}
    body, _ = adapted(Foreign.THINKING, *loop, TURN, **more)
    assert body["thinking"] == thinking
    # Also where the answer that called the tool never had a thought.
    body, done = adapted(Foreign.THINKING, ASKED, call("toolu_1"), result("toolu_1"), **more)
    assert done == ("thinking",)
    assert "thinking" not in body


def test_a_missing_signature_of_google_s_gets_its_stand_in() -> None:
    body, done = adapted(Foreign.THOUGHT_SIGNATURE, openai_call("a", "b"), openai_result("a"))
    assert done == ("thought_signature",)
    first, second = body["messages"][0]["tool_calls"]
    signature = first["extra_content"]["google"]["thought_signature"]
    assert signature == "skip_thought_signature_validator"
    assert "extra_content" not in second


@pytest.mark.parametrize("first", list(Foreign))
@pytest.mark.parametrize("second", list(Foreign))
def test_adapting_comes_to_an_end(first: Foreign, second: Foreign) -> None:
    """Each refusal is cured once: then there is nothing left to do for it."""
    messages = [openai_call("a:1", "call_1"), openai_result("a:1"), call("b:1", THOUGHT)]
    body = json.dumps(
        {"model": "m", "messages": messages, "thinking": {"type": "enabled"}}
    ).encode()
    for _ in range(2):
        for foreign in (first, second):
            body, _ = adapt(body, foreign)
    assert adapt(body, first) == (body, ())
    assert adapt(body, second) == (body, ())


@pytest.mark.parametrize("foreign", list(Foreign))
@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"role": "user", "content": "Hello"}], "model": "m"}',
        b'{"messages": [{"role": "user", "content": [1, null, "x"]}, {}]}',
        b'{"messages": "none"}',
        b'{"messages": [1]}',
        b'{"input": "no chat"}',
        b"[" * 3000,
        b"",
    ],
)
def test_a_body_with_nothing_foreign_is_left_alone(body: bytes, foreign: Foreign) -> None:
    assert adapt(body, foreign) == (body, ())


def test_what_is_not_changed_keeps_its_bytes() -> None:
    odd = b'{ "role":"user", "content":"caf\\u00e9", "n": 1e2 }'
    tools = b'[{"x":  1.50}]'
    message = json.dumps(call("a:1")).encode()
    body = b'{"tools":%s, "messages":[%s, %s]}' % (tools, odd, message)
    changed, _ = adapt(body, Foreign.TOOL_IDS)
    assert tools in changed
    assert odd in changed
