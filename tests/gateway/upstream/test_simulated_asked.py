"""What is read from a request in the two dialects that name everything differently."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from gateway.config import Simulated
from gateway.upstream.simulated_asked import Asked, limit, problem, read, tool_call
from tests.gateway.upstream.sending import outgoing

USER = {"role": "user", "parts": [{"text": "Hello"}]}
PATHS = {"gemini": "/models/m:generateContent", "responses": "/responses"}


def asked(dialect: str, fields: dict[str, Any], path: str = "") -> Asked:
    call = outgoing(
        dialect=dialect, path=path or PATHS[dialect], body=fields, simulated=Simulated()
    )
    return read(call, request_id="a", created=1)


def test_gemini_streams_by_its_path() -> None:
    assert not asked("gemini", {"stream": True}).streams
    assert asked("gemini", {}, "/models/m:streamGenerateContent").streams
    assert asked("responses", {"stream": True}).streams


@pytest.mark.parametrize(
    ("dialect", "path", "fields", "fine"),
    [
        ("gemini", "", {"contents": [USER]}, True),
        ("gemini", "", {}, False),
        ("gemini", "/models/m:countTokens", {"contents": [USER]}, True),
        (
            "gemini",
            "/models/m:countTokens",
            {"generateContentRequest": {"contents": [USER]}},
            True,
        ),
        ("gemini", "/models/m:embedContent", {"content": USER}, True),
        ("gemini", "/models/m:batchEmbedContents", {"requests": []}, False),
        ("gemini", "/models/m:predict", {"contents": [USER]}, False),
        ("responses", "", {"input": "Hello"}, True),
        ("responses", "", {}, False),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    dialect: str, path: str, fields: dict[str, Any], *, fine: bool
) -> None:
    assert (problem(asked(dialect, fields, path)) == "") is fine


def test_limits_have_many_names() -> None:
    assert limit({"generationConfig": {"maxOutputTokens": 5}}) == 5
    assert limit({"max_output_tokens": 6}) == 6
    assert limit({"max_tokens": 0, "generationConfig": []}) is None


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}], "contents": [USER]}, "f"),
        (
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "contents": [USER],
                "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
            },
            None,
        ),
        (
            {
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "contents": [USER, {"role": "user", "parts": [{"functionResponse": {}}]}],
            },
            None,
        ),
        ({"tools": [{"googleSearch": {}}], "contents": [USER]}, None),
        ({"tools": [{"type": "function", "name": "f"}], "input": "Hi"}, "f"),
        (
            {
                "tools": [{"type": "function", "name": "f"}],
                "input": [{"type": "function_call_output", "output": ""}],
            },
            None,
        ),
    ],
)
def test_tools_are_called_for_a_user_s_turn(fields: dict[str, Any], called: str | None) -> None:
    made = tool_call(fields, Random(1))
    assert (made.name if made else None) == called
    if made:
        assert json.loads(made.arguments) == {}
