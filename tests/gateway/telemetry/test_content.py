from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.telemetry.content import (
    KEPT_BYTES_MAX,
    SIDE_BYTES_MAX,
    TEXT_CHARS_MAX,
    Content,
    Contents,
    answered,
    asked,
)


def content(body: Any, answer: bytes = b"", dialect: str = "openai", **more: Any) -> Content:
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Content(dialect, told, answer, more.get("stream", False))


def said(*messages: tuple[str, object]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": role, "content": text} for role, text in messages]}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", said(("system", "Be brief."), ("user", "Hello"))),
        ("anthropic", {"system": "Be brief.", "max_tokens": 9, **said(("user", "Hello"))}),
        ("responses", {"model": "m", "instructions": "Be brief.", "input": "Hello"}),
        (
            "gemini",
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            },
        ),
    ],
)
def test_every_dialects_prompt_is_told_alike(dialect: str, body: dict[str, Any]) -> None:
    assert json.loads(asked(content(body, dialect=dialect))) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Hello"}]},
    ]


def test_calls_and_results_of_tools_are_parts() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    told = json.loads(asked(content({"model": "m", "messages": messages})))
    parts = [part for message in told for part in message["parts"]]
    assert {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"} in parts
    assert {"type": "tool_call_response", "id": "c1", "response": "done"} in parts


def test_keys_are_masked_and_lines_stay() -> None:
    told = asked(content(said(("user", "first\nsecond sk-1234567890abcdef"))))
    assert json.loads(told)[0]["parts"][0]["content"] == "first\nsecond ***"


def test_a_body_that_is_none_of_its_dialects_is_shown_as_it_came() -> None:
    told = json.loads(asked(content(b'{"model": "m", "messages": 7}')))
    assert told == [
        {"role": "user", "parts": [{"type": "text", "content": '{"model": "m", "messages": 7}'}]}
    ]


def test_both_sides_are_bounded_and_the_last_part_stays() -> None:
    long = [("user", f"{n} " + "\u2026" * TEXT_CHARS_MAX) for n in range(30)]
    told = asked(content(said(*long, ("user", "the question"))))
    assert len(told) <= SIDE_BYTES_MAX
    assert json.loads(told)[-1]["parts"][-1]["content"] == "the question"
    parts = [{"type": "text", "text": text} for _, text in long]
    one = asked(content(said(("user", [*parts, {"type": "text", "text": "the question"}]))))
    assert len(one) <= SIDE_BYTES_MAX
    assert json.loads(one)[0]["parts"][-1]["content"] == "the question"


def test_a_whole_answer_says_why_it_ended() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Six."}}
    body = json.dumps({"id": "x", "choices": [{**choice, "finish_reason": "length"}]}).encode()
    [told] = json.loads(answered(content({}, body)))
    assert told["parts"] == [{"type": "text", "content": "Six."}]
    assert told["finish_reason"] == "length"


def test_a_stream_that_broke_off_is_told_as_far_as_it_came() -> None:
    frames = b"".join(
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()
        + b"\n\n"
        for text in ("Half", " an ans")
    )
    [told] = json.loads(answered(content({}, frames, stream=True)))
    assert told["parts"] == [{"type": "text", "content": "Half an ans"}]


def test_no_answer_is_empty_and_a_web_page_is_shown() -> None:
    assert answered(content({})) == ""
    [told] = json.loads(answered(content({}, b"<html>")))
    assert told["parts"][0]["content"] == "<html>"


def test_what_is_kept_is_bounded_and_taken_once() -> None:
    contents = Contents()
    half = content(b"x" * (KEPT_BYTES_MAX // 2))
    for n in range(3):
        contents.keep(str(n), half)
    assert contents.take("0") is None
    assert contents.take("2") is half
    assert contents.take("2") is None
    assert contents.take("1") is half
