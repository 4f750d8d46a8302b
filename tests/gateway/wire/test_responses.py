from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Usage
from gateway.wire.base import ClientError, ErrorAnswer, Fault, Wire
from gateway.wire.responses import ResponsesWire
from tests.gateway.wire.judging import PLACES, cut, judged, verdict

WIRE: Wire = ResponsesWire()


def event(kind: str, number: Any = 0, **fields: Any) -> bytes:
    value = {"type": kind, "sequence_number": number, **fields}
    return f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()


USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 8},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
COUNTED = Usage(
    input_tokens=120, cached_tokens=100, cache_write_tokens=8, output_tokens=30, reasoning_tokens=20
)
MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi"}],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "status": "in_progress",
    "error": None,
    "model": "gpt-x",
    "output": [],
    "usage": None,
}
WHOLE = {**RESPONSE, "status": "completed", "output": [MESSAGE], "usage": USAGE}
CREATED = event("response.created", 0, response=RESPONSE)
QUEUED = event("response.queued", 1, response=RESPONSE)
PROGRESS = event("response.in_progress", 1, response=RESPONSE)
ADDED = event(
    "response.output_item.added", 2, output_index=0, item={"type": "message", "content": []}
)
PART = event("response.content_part.added", 3, part={"type": "output_text", "text": ""})
HI = event("response.output_text.delta", 4, delta="Hi")
TEXT = event("response.output_text.done", 5, text="Hi")
ITEM = event("response.output_item.done", 6, output_index=0, item=MESSAGE)
DONE = event("response.completed", 7, response=WHOLE)
STREAM = [CREATED, PROGRESS, ADDED, PART, HI, TEXT, ITEM, DONE]
ERROR = {"code": "rate_limit_exceeded", "message": "Try again in 1.5s."}
FAILED = event("response.failed", 5, response={**RESPONSE, "status": "failed", "error": ERROR})


def test_a_usual_stream_is_whole_with_usage_model_and_id() -> None:
    assert verdict(WIRE, *STREAM) == (True, True, None, COUNTED, "gpt-x")
    judge: Any = judged(WIRE, *STREAM)
    assert (judge.answer_id, judge.pieces) == ("resp_1", 1)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (CREATED, False),
        (QUEUED, False),
        (PROGRESS, False),
        (ADDED, False),
        (PART, False),
        (b": a comment\n\n", False),
        (event("response.output_item.added", item={"type": "reasoning", "summary": []}), False),
        (event("response.output_item.done", item={"type": "reasoning", "summary": []}), False),
        (event("response.output_text.delta", delta=""), False),
        (event("keepalive"), False),
        (HI, True),
        (TEXT, True),
        (ITEM, True),
        (event("response.output_item.added", item={"type": "function_call", "name": "f"}), True),
        (event("response.output_item.added", item={"type": "web_search_call"}), True),
        (
            event(
                "response.output_item.done", item={"type": "reasoning", "encrypted_content": "gAAA"}
            ),
            True,
        ),
        (event("response.function_call_arguments.delta", delta="{"), True),
        (event("response.custom_tool_call_input.delta", delta="x"), True),
        (event("response.reasoning_summary_text.delta", delta="Hm"), True),
        (event("response.something_new.delta", delta="x"), True),
        (b'data: {"type": "response.output_text.delta", "delta": "no event line"}\n\n', True),
    ],
)
def test_content_is_what_a_reader_gets(part: bytes, *, content: bool) -> None:
    judge = WIRE.judge(stream=True)
    judge.feed(CREATED + part)
    assert (judge.content, judge.done, judge.fault) == (content, False, None)


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ([], Fault(reason="closed_at_once")),
        ([b": ping\n\n"], Fault(reason="no_content")),
        ([CREATED, PROGRESS], Fault(reason="no_content")),
        ([CREATED, HI, TEXT, ITEM], Fault(reason="no_terminal")),
        ([CREATED, HI, b"data: [DONE]\n\n"], Fault(reason="no_terminal")),
        ([FAILED], Fault(reason="error_event", error=ERROR)),
        ([CREATED, HI, FAILED], Fault(reason="error_event", error=ERROR)),
        ([CREATED, event("error", **ERROR)], Fault(reason="error_event", error=ERROR)),
        ([event("error", error=ERROR)], Fault(reason="error_event", error=ERROR)),
        (
            [b'data: {"error": {"message": "No."}}\n\n'],
            Fault(reason="error_event", error={"message": "No."}),
        ),
        ([b"<html><body>Sign in</body></html>"], Fault(reason="html")),
        (
            [CREATED, event("response.completed", response={**WHOLE, "output": []})],
            Fault(reason="no_content"),
        ),
    ],
)
def test_what_is_no_whole_answer_is_never_a_success(chunks: list[bytes], fault: Fault) -> None:
    judge = judged(WIRE, *chunks)
    assert (judge.done, judge.fault) == (False, fault)


def test_an_answer_that_was_cut_short_is_whole_even_when_empty() -> None:
    end = {**WHOLE, "status": "incomplete", "output": [], "incomplete_details": {"reason": "x"}}
    assert verdict(WIRE, CREATED, event("response.incomplete", response=end))[:3] == (
        True,
        True,
        None,
    )


def test_nothing_behind_the_end_is_looked_at() -> None:
    assert verdict(WIRE, *STREAM, FAILED, b"data: [DONE]\n\n")[1:3] == (True, None)


@pytest.mark.parametrize(
    ("body", "content", "fault"),
    [
        (WHOLE, True, None),
        ({**WHOLE, "status": "incomplete", "output": []}, True, None),
        ({**WHOLE, "output": []}, False, Fault(reason="no_content")),
        (
            {**RESPONSE, "status": "failed", "error": ERROR},
            False,
            Fault(reason="error_in_body", error=ERROR),
        ),
        (
            {**RESPONSE, "status": "cancelled"},
            False,
            Fault(reason="error_in_body", error={"message": "The status is cancelled."}),
        ),
        ({"error": ERROR}, False, Fault(reason="error_in_body", error=ERROR)),
    ],
)
def test_a_single_answer_is_judged_by_its_output(
    body: dict[str, Any], content: bool, fault: Fault | None
) -> None:
    judge: Any = judged(WIRE, json.dumps(body).encode(), stream=False)
    assert (judge.content, judge.done, judge.fault) == (content, content, fault)
    if content:
        assert (judge.served_model, judge.usage, judge.answer_id) == ("gpt-x", COUNTED, "resp_1")


@given(places=PLACES)
def test_chunks_may_end_anywhere(places: list[int]) -> None:
    for answer in (b"".join(STREAM), CREATED + HI + FAILED, CREATED + HI):
        assert verdict(WIRE, *cut(answer, places)) == verdict(WIRE, answer)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([*STREAM, FAILED]), max_size=20))
def test_nothing_makes_a_judge_fail(chunks: list[bytes]) -> None:
    for stream in (True, False):
        judge = judged(WIRE, *chunks, stream=stream)
        assert judge.done != (judge.fault is not None)


ANSWER = ErrorAnswer(status=502, code="stream_broken", message="It broke.", request_id="R1")


def test_an_error_event_goes_on_where_the_stream_stopped() -> None:
    judge = judged(WIRE, CREATED, PROGRESS, ADDED, PART, HI)
    said = WIRE.error_event(ANSWER, judge)
    assert said.startswith(b"event: response.failed\ndata: ")
    value = json.loads(said.partition(b"data: ")[2])
    assert value["sequence_number"] == 5
    response = value["response"]
    assert (response["id"], response["model"], response["status"]) == ("resp_1", "gpt-x", "failed")
    assert response["error"] == {
        "code": "server_error",  # With which Codex asks again.
        "message": "It broke.",
        "reason": "stream_broken",
        "request_id": "R1",
    }
    assert verdict(WIRE, CREATED, HI, said)[2] is not None


def test_an_error_event_needs_no_stream_before_it() -> None:
    value = json.loads(WIRE.error_event(ANSWER).partition(b"data: ")[2])
    assert (value["sequence_number"], value["response"]["id"]) == (0, "resp_R1")


def test_an_error_body_is_openai_s() -> None:
    error = json.loads(WIRE.error_body(ANSWER))["error"]
    assert (error["type"], error["code"], error["message"]) == (
        "server_error",
        "stream_broken",
        "It broke.",
    )


def test_a_request_is_read() -> None:
    body = b'{"model": "coder", "input": "Hi", "stream": true, "prompt_cache_key": "s1"}'
    asked = WIRE.read(body)
    assert (asked.model, asked.stream, asked.session) == ("coder", True, "s1")
    assert WIRE.with_model(body, "gpt-x") == body.replace(b"coder", b"gpt-x")


def test_work_in_the_background_is_refused_since_nobody_could_fetch_it() -> None:
    with pytest.raises(ClientError, match="background") as refused:
        WIRE.read(b'{"model": "coder", "input": "Hi", "background": true}')
    assert (refused.value.status, refused.value.code) == (400, "not_supported")
    assert WIRE.read(b'{"model": "coder", "background": false}').model == "coder"
