from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.conversation import NOTHING_KNOWN, Conversation, conversation


def turns(*roles: str, system: str = "You help.") -> bytes:
    messages = [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]
    return json.dumps({"model": "m", "system": system, "messages": messages}).encode()


def test_a_conversation_keeps_its_opening_and_gets_a_name_of_its_own_with_its_first_answer() -> (
    None
):
    first = conversation(turns("user"))
    assert first.opening.startswith("c_")
    assert first.continued == ""
    second = conversation(turns("user", "assistant", "user"))
    third = conversation(turns("user", "assistant", "user", "assistant", "tool", "user"))
    assert second.opening == third.opening == first.opening
    assert second.continued == third.continued != ""
    assert conversation(turns("user", system="Another.")).opening != first.opening
    other_answer = turns("user", "assistant").replace(b"assistant 1", b"Another answer.")
    assert conversation(other_answer).continued != second.continued


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 3}', turns(), turns("system")])
def test_what_is_no_conversation_has_no_name(body: bytes) -> None:
    assert conversation(body) == NOTHING_KNOWN == Conversation("", "")


def responses(*items: Any) -> bytes:
    given: Any = items[0] if isinstance(items[0], str) else list(items)
    return json.dumps({"model": "m", "instructions": "You help.", "input": given}).encode()


def contents(*roles: str) -> bytes:
    turns = [{"role": role, "parts": [{"text": role}]} for role in roles]
    return json.dumps({"systemInstruction": {"parts": []}, "contents": turns}).encode()


def test_responses_and_gemini_have_openings_too() -> None:
    user = {"role": "user", "content": "Hello"}
    for first, second, other in (
        (
            responses(user),
            responses(user, {"type": "function_call", "call_id": "1"}, user),
            responses({"role": "user", "content": "Hi"}),
        ),
        (
            contents("user"),
            contents("user", "model", "user"),
            contents("user").replace(b'"text": "user"', b'"text": "you"'),
        ),
    ):
        begun, going_on = conversation(first), conversation(second)
        assert begun.opening == going_on.opening != ""
        assert begun.continued == ""
        assert going_on.continued not in ("", begun.opening)
        assert conversation(other).opening != begun.opening


def test_a_text_alone_is_the_user_s_first_turn() -> None:
    assert conversation(responses("Hello")).opening
    assert conversation(responses("Hello")) != conversation(responses("Hi"))
