from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.translate.neutral import Seal
from gateway.wire.translate.seals import wrapped
from gateway.wire.unsealing import MARK, unsealed

SEAL = wrapped(Seal("b", "gemini", "x"))
ASKED = {"role": "user", "content": "Hi."}


def test_the_mark_is_that_of_the_seals() -> None:
    assert SEAL.startswith(MARK)


def test_a_body_without_a_seal_is_the_same_object() -> None:
    body = b'{ "messages" : [ ] }'
    assert unsealed(body)[0] is body
    quoted = json.dumps({"messages": [{"role": "user", "content": f"What is {SEAL}?"}]}).encode()
    assert unsealed(quoted) == (quoted, False)
    assert unsealed(MARK.encode()) == (MARK.encode(), False)


@pytest.mark.parametrize(
    ("name", "item", "left"),
    [
        (
            "messages",
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": SEAL},
                    {"type": "redacted_thinking", "data": SEAL},
                    {"type": "text", "text": "a"},
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
        ),
        (
            "messages",
            {
                "role": "assistant",
                "content": "a",
                "thinking_blocks": [{"type": "thinking", "signature": SEAL}],
            },
            {"role": "assistant", "content": "a"},
        ),
        ("input", {"type": "reasoning", "encrypted_content": SEAL}, None),
        (
            "contents",
            {"role": "model", "parts": [{"thought": True, "thoughtSignature": SEAL}]},
            None,
        ),
        (
            "contents",
            {"role": "model", "parts": [{"text": "a"}, {"thoughtSignature": SEAL}]},
            {"role": "model", "parts": [{"text": "a"}]},
        ),
    ],
)
def test_what_is_sealed_goes_and_all_else_stays(name: str, item: Any, left: Any) -> None:
    body, had = unsealed(json.dumps({"x": 1.0, name: [ASKED, item]}).encode())
    assert had
    assert json.loads(body) == {"x": 1.0, name: [ASKED] if left is None else [ASKED, left]}


def test_other_messages_keep_their_bytes() -> None:
    own = b'{ "role":"assistant", "content":[{"type":"thinking","signature":"own"}],"n":1.0 }'
    sealed = json.dumps({"role": "assistant", "content": [{"type": "x", "data": SEAL}]}).encode()
    body, had = unsealed(b'{"messages":[' + own + b"," + sealed + b"]}")
    assert had
    assert own in body


def test_a_turn_whose_thought_is_gone_goes_on_without_thinking() -> None:
    use = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    answer = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": SEAL}, use]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]}
    asked = {"messages": [ASKED, answer, result], "thinking": {"type": "enabled"}}
    body, _ = unsealed(json.dumps(asked).encode())
    assert "thinking" not in json.loads(body)
