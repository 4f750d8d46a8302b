"""Counts of tokens by another dialect's provider."""

from __future__ import annotations

import json

import pytest

from gateway.wire.translate.base import DIALECTS
from gateway.wire.translate.counting import counting


def test_messages_counted_by_gemini() -> None:
    count = counting("anthropic", "gemini")
    assert count is not None
    asked = {"model": "x", "system": "Be.", "messages": [{"role": "user", "content": "Hi"}]}
    made = count.request(json.dumps(asked).encode(), model="gemini-3-pro")
    assert made.path == "/models/gemini-3-pro:countTokens"
    assert json.loads(made.body) == {
        "generateContentRequest": {
            "model": "models/gemini-3-pro",
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "systemInstruction": {"parts": [{"text": "Be."}]},
        }
    }
    assert json.loads(count.answer(b'{"totalTokens": 7}')) == {"input_tokens": 7}


@pytest.mark.parametrize("wrapped", [True, False])
def test_contents_counted_by_anthropic(wrapped: bool) -> None:
    count = counting("gemini", "anthropic")
    assert count is not None
    asked: object = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    asked = {"generateContentRequest": asked} if wrapped else asked
    made = count.request(json.dumps(asked).encode(), model="claude-sonnet-5")
    assert made.path == "/v1/messages/count_tokens"
    assert json.loads(made.body) == {
        "model": "claude-sonnet-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert json.loads(count.answer(b'{"input_tokens": 7}')) == {"totalTokens": 7}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"totalTokens": "x"}', b"[]"])
def test_what_holds_no_count_is_a_value_error(body: bytes) -> None:
    count = counting("anthropic", "gemini")
    assert count is not None
    with pytest.raises(ValueError, match="answer"):
        count.answer(body)


@pytest.mark.parametrize("client", DIALECTS)
def test_openai_counts_for_nobody(client: str) -> None:
    assert counting(client, "openai") is None
    assert counting(client, "responses") is None
    assert counting(client, client) is None
