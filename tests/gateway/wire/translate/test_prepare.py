"""Ids, names and seals on their way to a target and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.tool_ids import LEGAL_ID
from gateway.wire.translate.base import DIALECTS
from gateway.wire.translate.prepare import NAME_CHARS_MAX, legal_name
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import (
    PAIRS,
    STREAMS,
    events,
    sse,
    whole_answer,
)

LONG = "mcp__a-very-long-name-of-a-server-somewhere__and_a_tool_with_a_long_name_too"


def chat(call_id: str, name: str = "f") -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": name, "parameters": {}}}],
    }


def asked(client: str, target: str, request: Any, *, origin: str = "") -> Any:
    pair = translation(client, target, origin=origin)
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model="m", stream=False)
    return json.loads(made.body)


@pytest.mark.parametrize("call_id", ["functions.write:0", "x" * 60, "call ü", ""])
def test_a_call_and_its_result_get_one_legal_id_in_every_turn(call_id: str) -> None:
    body = asked("openai", "anthropic", chat(call_id))
    use = body["messages"][1]["content"][0]["id"]
    assert LEGAL_ID.fullmatch(use)
    assert body["messages"][2]["content"][0]["tool_use_id"] == use
    request = chat(call_id)
    request["messages"] += chat("another:1")["messages"]
    assert asked("openai", "anthropic", request)["messages"][:2] == body["messages"][:2]


def test_a_legal_id_stays() -> None:
    body = asked("openai", "responses", chat("call_abc"))
    assert [each.get("call_id") for each in body["input"]] == [None, "call_abc", "call_abc"]


def test_names_that_are_too_long_are_cut_and_come_back_whole() -> None:
    short = legal_name(LONG)
    assert len(short) <= NAME_CHARS_MAX
    request = chat("c", LONG)
    pair = translation("openai", "anthropic")
    assert pair is not None
    body = json.loads(pair.request(json.dumps(request).encode(), model="m", stream=True).body)
    assert body["tools"][0]["name"] == short
    assert body["messages"][1]["content"][0]["name"] == short
    stream = sse(*STREAMS["anthropic"]()).replace(b"weather", short.encode())
    made = events(pair.stream().feed(stream))
    told = [call for each in made if each != "[DONE]" for call in _calls(each)]
    assert {each["function"]["name"] for each in told if each.get("id")} == {LONG}
    whole = json.loads(pair.answer(whole_answer("anthropic").replace(b"weather", short.encode())))
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert {each["function"]["name"] for each in calls} == {LONG}


def _calls(event: Any) -> list[Any]:
    return [call for choice in event["choices"] for call in choice["delta"].get("tool_calls") or ()]


def test_names_differ_where_only_their_ends_differ() -> None:
    assert legal_name(LONG + "1") != legal_name(LONG + "2")
    assert legal_name("a.b") != legal_name("a:b")
    assert legal_name("a_b") == "a_b"


# -- what comes back to its origin ---------------------------------------------------------------


def history(client: str, answer: Any) -> Any:
    """A next turn of `client`, with `answer` given back as it was got, and its calls answered."""
    match client:
        case "openai":
            message = answer["choices"][0]["message"]
            back = [
                {"role": "tool", "tool_call_id": each["id"], "content": "ok"}
                for each in message["tool_calls"]
            ]
            return {"messages": [{"role": "user", "content": "Hi"}, message, *back]}
        case "responses":
            back = [
                {"type": "function_call_output", "call_id": each["call_id"], "output": "ok"}
                for each in answer["output"]
                if each["type"] == "function_call"
            ]
            return {"input": [{"role": "user", "content": "Hi"}, *answer["output"], *back]}
        case "anthropic":
            back = [
                {"type": "tool_result", "tool_use_id": each["id"], "content": "ok"}
                for each in answer["content"]
                if each["type"] == "tool_use"
            ]
            message = {"role": "assistant", "content": answer["content"]}
            begun: Any = {"role": "user", "content": "Hi"}
            return {"messages": [begun, message, {"role": "user", "content": back}]}
    content = answer["candidates"][0]["content"]
    back = [
        {"functionResponse": {"id": each["functionCall"]["id"], "name": "weather", "response": {}}}
        for each in content["parts"]
        if "functionCall" in each
    ]
    opening = {"role": "user", "parts": [{"text": "Hi"}]}
    return {"contents": [opening, content, {"role": "user", "parts": back}]}


SEALED = {
    "anthropic": '"thinking":"Let me look.","signature":"c2lnbmVk"',
    "responses": '"encrypted_content":"gAAAAAB"',
    "gemini": '"thoughtSignature":"c2lnbmVk"',
    "openai": '"reasoning_content":"Let me look."',
}


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_what_an_origin_sealed_comes_back_to_it_and_goes_to_no_other(
    client: str, target: str
) -> None:
    pair = translation(client, target, origin="one")
    assert pair is not None
    answer = json.loads(pair.answer(whole_answer(target)))
    request = history(client, answer)
    again = json.dumps(asked(client, target, request, origin="one"), separators=(",", ":"))
    other = json.dumps(asked(client, target, request, origin="two"), separators=(",", ":"))
    assert SEALED[target] in again
    assert SEALED[target] not in other
    if target == "responses":
        assert '"id":"rs_1"' in again


@pytest.mark.parametrize("client", [each for each in DIALECTS if each != "anthropic"])
def test_nobody_elses_signature_reaches_anthropic(client: str) -> None:
    """Nor does a thought without one."""
    pair = translation(client, "anthropic")
    assert pair is not None
    request = history(client, json.loads(whole_answer(client)))
    made = pair.request(json.dumps(request).encode(), model="m", stream=False)
    assert b"thinking" not in made.body
    assert "thinking" in made.lost


def test_googles_mark_on_a_call_survives_a_client_that_has_no_place_for_it() -> None:
    pair = translation("anthropic", "gemini", origin="g")
    assert pair is not None
    answer = json.loads(pair.answer(whole_answer("gemini", thought=False)))
    kinds = [each["type"] for each in answer["content"]]
    assert kinds == ["text", "redacted_thinking", "tool_use", "tool_use"]
    body = asked("anthropic", "gemini", history("anthropic", answer), origin="g")
    parts = body["contents"][1]["parts"]
    assert [each.get("thoughtSignature") for each in parts] == [None, "c2lnbmVk", None]
