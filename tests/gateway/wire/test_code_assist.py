"""The envelope around Gemini's requests and answers: what is inside stays as it is."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.code_assist import (
    COUNT,
    GENERATE,
    STREAM,
    UnwrappedStream,
    load_request,
    method_of,
    project_of,
    unwrapped,
    wrapped,
)

ASKED = {
    "contents": [{"role": "user", "parts": [{"text": "Grüße"}]}],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "tools": [{"functionDeclarations": [{"name": "look"}]}],
    "generationConfig": {"temperature": 0.25, "thinkingConfig": {"includeThoughts": True}},
    "aFieldOfNextYear": [1, 2],
}


def wrap(asked: Any, method: str = GENERATE, session: str = "session-1") -> Any:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    made = wrapped(
        body, method, model="gemini-3-pro", project="p-1", prompt_id="prompt-1", session=session
    )
    return json.loads(made)


@pytest.mark.parametrize("method", [GENERATE, STREAM])
def test_a_request_stands_in_its_envelope_as_it_came(method: str) -> None:
    assert wrap(ASKED, method) == {
        "model": "gemini-3-pro",
        "project": "p-1",
        "user_prompt_id": "prompt-1",
        "request": {**ASKED, "session_id": "session-1"},
    }


def test_every_byte_of_a_value_stays() -> None:
    body = b'{"contents": [ {"n": 1.50e3, "t": "\\u00fc"} ]}'
    made = wrapped(body, GENERATE, model="m", project="p", prompt_id="i", session="")
    assert b'[ {"n": 1.50e3, "t": "\\u00fc"} ]' in made


def test_a_client_s_own_session_is_kept_and_a_model_is_said_once() -> None:
    found = wrap({"contents": [], "model": "other", "session_id": "mine"})
    assert found["model"] == "gemini-3-pro"
    assert found["request"] == {"contents": [], "session_id": "mine"}
    assert wrap({"contents": []}, session="")["request"] == {"contents": []}


def test_counting_takes_the_contents_only() -> None:
    contents = ASKED["contents"]
    expected = {"request": {"model": "models/gemini-3-pro", "contents": contents}}
    assert wrap(ASKED, COUNT) == expected
    whole = {"generateContentRequest": {"model": "models/x", **ASKED}}
    assert wrap(whole, COUNT) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        wrap(body)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1beta/models/gemini-3-pro:generateContent", GENERATE),
        ("/v1beta/models/gemini-3-pro:streamGenerateContent", STREAM),
        ("/v1beta/models/gemini-3-pro:countTokens", COUNT),
        ("/v1beta/models/gemini-3-pro:embedContent", ""),
        ("/v1beta/models/gemini-3-pro:batchEmbedContents", ""),
        ("/v1beta/models", ""),
    ],
)
def test_what_can_be_asked_is_a_closed_set(path: str, method: str) -> None:
    assert method_of(path) == method


INNER = {"candidates": [{"finishReason": "STOP"}], "modelVersion": "m"}


def test_an_answer_is_taken_out_and_keeps_its_trace() -> None:
    body = json.dumps({"response": INNER, "traceId": "t-1", "remainingCredits": []}).encode()
    assert json.loads(unwrapped(body)) == {**INNER, "responseId": "t-1"}
    named = {**INNER, "responseId": "own"}
    assert json.loads(unwrapped(json.dumps({"response": named, "traceId": "t"}).encode())) == named
    assert unwrapped(b'{"response": {"a": 1.50}}') == b'{"a": 1.50}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}',
        b'{"totalTokens": 7}',
        b'{"response": null}',
        b"<html>",
        b"",
        b"[" * 100_000,
    ],
)
def test_what_is_no_envelope_stays_as_it_came(body: bytes) -> None:
    assert unwrapped(body) == body


STREAMED = (
    b'data: {"response": {"n": 1}, "traceId": "t"}\r\n\r\n'
    b": still there\n\n"
    b'data: {\ndata: "response": {"n":\ndata: 2}}\n\n'
    b'data: {"error": {"code": 503}}\n\n'
    b'event: x\ndata: {"response": {"n": 3}}'
)
EXPECTED = (
    b'data: {"n":1,"responseId":"t"}\n\n'
    b'data: {"n":\ndata: 2}\n\n'
    b'data: {"error": {"code": 503}}\n\n'
    b'event: x\ndata: {"n": 3}\n\n'
)


@given(st.lists(st.integers(0, len(STREAMED)), max_size=12))
def test_a_stream_is_unwrapped_the_same_however_it_is_divided(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(STREAMED)]
    stream = UnwrappedStream()
    chunks = [STREAMED[start:end] for start, end in pairwise(borders)]
    said = b"".join(stream.feed(chunk) for chunk in chunks) + stream.end()
    assert said.replace(b'"n": 1', b'"n":1') == EXPECTED


@given(st.binary(max_size=300))
def test_no_bytes_make_it_stumble(noise: bytes) -> None:
    stream = UnwrappedStream()
    stream.feed(noise)
    stream.end()
    unwrapped(noise)
    project_of(noise)


def test_an_event_that_is_too_large_is_an_error_and_not_silence() -> None:
    stream = UnwrappedStream()
    said = stream.feed(b"data: " + b"x" * (8 * 1024 * 1024 + 2)) + stream.feed(b"\n\n")
    assert b'"error"' in said
    assert len(said) < 200


def test_the_question_for_the_project_pretends_nothing() -> None:
    assert set(json.loads(load_request())["metadata"].values()) == {
        "IDE_UNSPECIFIED",
        "PLATFORM_UNSPECIFIED",
        "PLUGIN_UNSPECIFIED",
    }


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"cloudaicompanionProject": "p-1"}, ("p-1", "")),
        ({"cloudaicompanionProject": {"id": "p-1"}}, ("p-1", "")),
        ({"currentTier": {"id": "standard-tier"}}, ("", "project_unknown")),
        ({"cloudaicompanionProject": ""}, ("", "project_unknown")),
        ({"ineligibleTiers": [{"reasonCode": "UNSUPPORTED_CLIENT"}]}, ("", "account_ineligible")),
        ([], ("", "project_unknown")),
    ],
)
def test_the_project_is_found_or_the_reason_why_not(answer: Any, found: tuple[str, str]) -> None:
    assert project_of(json.dumps(answer).encode()) == found
