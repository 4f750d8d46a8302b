"""Errors: kinds by status, sentences as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.translate.base import DIALECTS
from gateway.wire.translate.errors import failed_of, read_error, write_error

FULL = "This model's maximum context length is 8192 tokens. However, you requested 9000."
SHAPES: list[Any] = [
    {"error": {"message": FULL, "type": "invalid_request_error"}},
    {"type": "error", "error": {"type": "invalid_request_error", "message": FULL}},
    [{"error": {"code": 400, "message": FULL, "status": "INVALID_ARGUMENT"}}],
    {"error": FULL},
    {"object": "error", "message": FULL, "code": 400},
    {"detail": FULL},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("client", DIALECTS)
def test_a_full_context_is_told_in_words_that_the_client_knows(client: str, shape: Any) -> None:
    told = json.loads(write_error(client, read_error(400, json.dumps(shape).encode())))["error"]
    assert told["message"].startswith(FULL)
    match client:
        case "anthropic":
            assert "prompt is too long" in told["message"]
        case "gemini":
            assert "input token count exceeds the maximum" in told["message"]
        case _:
            assert told["message"] == FULL
            assert told["code"] == "context_length_exceeded"


def test_words_that_are_there_are_not_said_twice() -> None:
    said = "prompt is too long: 210000 tokens > 200000 maximum"
    body = json.dumps({"error": {"type": "invalid_request_error", "message": said}}).encode()
    assert json.loads(write_error("anthropic", read_error(400, body)))["error"]["message"] == said


def test_a_rate_limit_that_speaks_of_tokens_is_no_full_context() -> None:
    said = "Request exceeds the maximum tokens per minute; context window is fine"
    body = json.dumps({"error": {"message": said}}).encode()
    assert json.loads(write_error("anthropic", read_error(429, body)))["error"]["message"] == said


@pytest.mark.parametrize(
    ("status", "anthropic", "gemini"),
    [
        (401, "authentication_error", "UNAUTHENTICATED"),
        (404, "not_found_error", "NOT_FOUND"),
        (413, "request_too_large", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (503, "overloaded_error", "UNAVAILABLE"),
        (529, "overloaded_error", "UNAVAILABLE"),
    ],
)
def test_kinds_by_status(status: int, anthropic: str, gemini: str) -> None:
    failed = read_error(status, b'{"error":{"message":"x"}}')
    assert json.loads(write_error("anthropic", failed))["error"]["type"] == anthropic
    assert json.loads(write_error("gemini", failed))["error"]["status"] == gemini


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"null", b"[]"])
def test_what_is_no_json_is_told_as_it_is(body: bytes) -> None:
    assert read_error(502, body).message
    assert len(read_error(502, b"x" * 100_000).message) == 4000


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"type": "overloaded_error"}, 529),
        ({"code": 503}, 503),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"code": "context_length_exceeded"}, 400),
        ({}, 500),
    ],
)
def test_an_error_within_a_stream_has_the_status_it_would_have_had(told: Any, status: int) -> None:
    assert failed_of({"message": "x", **told}).status == status
