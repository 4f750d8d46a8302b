from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Usage
from gateway.wire.base import ClientError, ErrorAnswer, Fault, Wire
from gateway.wire.gemini import GeminiWire
from tests.gateway.wire.judging import PLACES, cut, judged, verdict

WIRE: Wire = GeminiWire("m")
USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 20,
    "toolUsePromptTokenCount": 5,
    "totalTokenCount": 132,
}
COUNTED = Usage(input_tokens=105, cached_tokens=60, output_tokens=27, reasoning_tokens=20)


def answer(*parts: dict[str, Any], finish: str = "", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", **more}


def chunk(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


HI = chunk(answer({"text": "Hi"}))
THOUGHT = chunk(answer({"text": "Hm", "thought": True}))
CALL = chunk(answer({"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": "c2ln"}))
END = chunk(answer({"text": ""}, finish="STOP", usageMetadata=USAGE))
ERROR = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
MALFORMED = answer(finish="MALFORMED_FUNCTION_CALL")


def mistake(reason: str, message: str = "") -> dict[str, str]:
    return {"status": reason, "message": message or f"The model ended with {reason}."}


@pytest.mark.parametrize("stream", [[HI, END], [THOUGHT, HI, END], [CALL, END], [HI, CALL, END]])
def test_a_usual_stream_is_whole_with_usage_and_model(stream: list[bytes]) -> None:
    assert verdict(WIRE, *stream) == (True, True, None, COUNTED, "gemini-x")


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (b": ping\n\n", False),
        (chunk({"usageMetadata": USAGE}), False),
        (chunk(answer()), False),
        (chunk(answer({"text": ""})), False),
        (chunk(answer({"text": "", "thoughtSignature": "c2ln"})), False),
        (HI, True),
        (THOUGHT, True),
        (CALL, True),
        (chunk(answer({"inlineData": {"mimeType": "image/png", "data": "aa"}})), True),
        (chunk(answer({"executableCode": {"code": "1"}})), True),
        (chunk(answer({"somethingNew": 1})), True),
    ],
)
def test_content_is_what_a_reader_gets(part: bytes, *, content: bool) -> None:
    judge = WIRE.judge(stream=True)
    judge.feed(part)
    assert (judge.content, judge.done, judge.fault) == (content, False, None)


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ([], Fault(reason="closed_at_once")),
        ([b": ping\n\n"], Fault(reason="no_content")),
        ([HI], Fault(reason="no_terminal")),
        ([HI, b"data: [DONE]\n\n"], Fault(reason="no_terminal")),
        ([END], Fault(reason="no_content")),
        ([chunk({"candidates": []})], Fault(reason="no_content")),
        ([chunk({"error": ERROR})], Fault(reason="error_event", error=ERROR)),
        ([HI, chunk({"error": ERROR})], Fault(reason="error_event", error=ERROR)),
        ([chunk([{"error": ERROR}])], Fault(reason="error_event", error=ERROR)),
        ([b"<!doctype html><title>x</title>"], Fault(reason="html")),
        (
            [chunk(MALFORMED)],
            Fault(reason="error_event", error=mistake("MALFORMED_FUNCTION_CALL")),
        ),
    ],
)
def test_what_is_no_whole_answer_is_never_a_success(chunks: list[bytes], fault: Fault) -> None:
    judge = judged(WIRE, *chunks)
    assert (judge.done, judge.fault) == (False, fault)


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"])
def test_an_answer_may_be_empty_if_it_says_why(reason: str) -> None:
    assert verdict(WIRE, chunk(answer(finish=reason)))[:3] == (True, True, None)
    body = json.dumps(answer(finish=reason)).encode()
    assert verdict(WIRE, body, stream=False)[:3] == (True, True, None)


def test_a_refused_prompt_is_an_answer_of_its_own() -> None:
    for stream, body in ((True, chunk(BLOCKED)), (False, json.dumps(BLOCKED).encode())):
        judge = judged(WIRE, body, stream=stream)
        assert (judge.done, judge.fault) == (True, None)
        assert judge.usage == Usage(input_tokens=3)


def test_a_mistake_behind_content_is_passed_on() -> None:
    assert verdict(WIRE, HI, chunk(MALFORMED))[1:3] == (True, None)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (answer({"text": "Hi"}, finish="STOP"), None),
        (answer({"functionCall": {"name": "f"}}), None),
        ({"totalTokens": 0}, None),
        ({"embedding": {"values": [0.1]}}, None),
        ({"embeddings": [{"values": [0.1]}]}, None),
        (answer(finish="STOP"), Fault(reason="no_content")),
        (answer({"text": ""}, finish="OTHER"), Fault(reason="no_content")),
        ({"candidates": []}, Fault(reason="no_content")),
        ({"embedding": {}}, Fault(reason="no_content")),
        ({"embeddings": []}, Fault(reason="no_content")),
        ({"error": ERROR}, Fault(reason="error_in_body", error=ERROR)),
        ([{"error": ERROR}], Fault(reason="error_in_body", error=ERROR)),
        (MALFORMED, Fault(reason="error_in_body", error=mistake("MALFORMED_FUNCTION_CALL"))),
    ],
)
def test_a_single_answer_is_judged_by_what_it_holds(value: Any, fault: Fault | None) -> None:
    judge = judged(WIRE, json.dumps(value).encode(), stream=False)
    assert (judge.done, judge.fault) == (fault is None, fault)


def test_a_single_answer_s_usage_and_model() -> None:
    body = json.dumps(answer({"text": "Hi"}, finish="STOP", usageMetadata=USAGE)).encode()
    assert verdict(WIRE, body, stream=False) == (True, True, None, COUNTED, "gemini-x")


STREAM = HI + CALL + END


@given(places=PLACES)
def test_chunks_may_end_anywhere(places: list[int]) -> None:
    for whole in (STREAM, HI + chunk({"error": ERROR}), HI, chunk(BLOCKED)):
        assert verdict(WIRE, *cut(whole, places)) == verdict(WIRE, whole)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([HI, CALL, END]), max_size=20))
def test_nothing_makes_a_judge_fail(chunks: list[bytes]) -> None:
    for stream in (True, False):
        judge = judged(WIRE, *chunks, stream=stream)
        assert judge.done != (judge.fault is not None)


ANSWER = ErrorAnswer(
    status=429,
    code="exhausted",
    message="All rest.",
    request_id="R1",
    retry_after_seconds=7,
    targets=({"target": "a/m", "reason": "rate_limited"},),
)


def test_errors_are_google_s_with_the_time_where_its_clients_look() -> None:
    error = json.loads(WIRE.error_body(ANSWER))["error"]
    assert (error["code"], error["status"], error["message"]) == (
        429,
        "RESOURCE_EXHAUSTED",
        "All rest.",
    )
    info, retry = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["metadata"]) == ("EXHAUSTED", {"request_id": "R1"})
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    assert error["targets"] == [{"target": "a/m", "reason": "rate_limited"}]
    judge = judged(WIRE, HI, WIRE.error_event(ANSWER))
    assert judge.fault is not None
    assert judge.fault.error == error


def test_the_request_is_what_path_and_body_say() -> None:
    asked = GeminiWire("openai/gpt:x", "streamGenerateContent").read(b'{"contents": []}')
    assert (asked.model, asked.stream) == ("openai/gpt:x", True)
    assert not GeminiWire("m", "countTokens").read(b"{}").stream
    for body in (b"", b"[]", b"{"):
        with pytest.raises(ClientError):
            WIRE.read(body)


@pytest.mark.parametrize(
    ("method", "body", "renamed"),
    [
        ("generateContent", b'{"contents": [{"model": 1}]}', b'{"contents": [{"model": 1}]}'),
        ("embedContent", b'{ "model":"models/a"}', b'{ "model":"models/b"}'),
        (
            "countTokens",
            b'{"generateContentRequest": {"model": "models/a", "contents": []}}',
            b'{"generateContentRequest": {"model": "models/b", "contents": []}}',
        ),
        (
            "batchEmbedContents",
            b'{"requests": [{"model": "models/a", "x": 1},{"model":"models/a"}], "y": 2}',
            b'{"requests": [{"model": "models/b", "x": 1},{"model":"models/b"}], "y": 2}',
        ),
        ("batchEmbedContents", b'{"requests": 3}', b'{"requests": 3}'),
    ],
)
def test_the_model_is_renamed_wherever_a_body_repeats_it(
    method: str, body: bytes, renamed: bytes
) -> None:
    assert GeminiWire("a", method).with_model(body, "b") == renamed
