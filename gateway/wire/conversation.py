"""What a conversation is known by whose client names no session: hashes of how it begins."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

_NOTHING = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    role: Any = None
    type: Any = None


class _Opening(msgspec.Struct):
    """How a conversation begins, undecoded, by the names of all dialects."""

    system: msgspec.Raw = _NOTHING
    instructions: msgspec.Raw = _NOTHING
    systemInstruction: msgspec.Raw = _NOTHING
    tools: msgspec.Raw = _NOTHING
    messages: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    contents: msgspec.Raw = _NOTHING


_ANSWERS = frozenset({"assistant", "model", "tool", "function"})
_ANSWER_ITEMS = frozenset({"function_call", "reasoning", "custom_tool_call", "local_shell_call"})
"""Of Responses: they have no role, and only a model makes them."""
_OPENING_DECODER = msgspec.json.Decoder(_Opening)
_MESSAGE_DECODER = msgspec.json.Decoder(_Message)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """What is known of a conversation whose client names no session. Empty: nothing to hash."""

    opening: str = ""
    """Hash of system prompt, tools and first user turn: the same in every turn, since histories
    grow at their end."""
    continued: str = ""
    """The same with the first answer: tells conversations apart that begin alike. Empty in the
    first turn, when there is no answer yet."""


NOTHING_KNOWN = Conversation()


def conversation(body: bytes) -> Conversation:
    """The hashes of a body's conversation; never raises."""
    try:
        opening = _OPENING_DECODER.decode(body)
        listed = _turns(opening.messages or opening.contents or opening.input)
        user, answer = _first_two(listed)
    except (ValueError, RecursionError):
        return NOTHING_KNOWN
    if user < 0:
        return NOTHING_KNOWN
    system = opening.system or opening.instructions or opening.systemInstruction
    parts = (system, opening.tools, *listed[: user + 1], b"")
    digest = blake2b(b"\0".join(parts), digest_size=8)
    begun = f"c_{digest.hexdigest()}"
    if answer < 0:
        return Conversation(begun)
    digest.update(listed[answer])
    return Conversation(begun, f"c_{digest.hexdigest()}")


def _turns(value: msgspec.Raw) -> list[msgspec.Raw]:
    """A text alone, as Responses take it, is one turn of the user."""
    try:
        return _LIST_DECODER.decode(value)
    except msgspec.ValidationError:
        if _is_text(value):
            return [value]
        raise


def _first_two(turns: list[msgspec.Raw]) -> tuple[int, int]:
    """Where the first turn of the user is, and the first answer; -1 for one that is not."""
    user = answer = -1
    for place, turn in enumerate(turns):
        role = _role(turn)
        if role == "user":
            if user < 0:
                user = place
        elif answer < 0 and role in _ANSWERS:
            answer = place
        if user >= 0 and answer >= 0:
            break
    return user, answer


def _role(turn: msgspec.Raw) -> str:
    try:
        message = _MESSAGE_DECODER.decode(turn)
    except msgspec.ValidationError:
        if _is_text(turn):
            return "user"
        raise
    role = message.role
    if isinstance(role, str):
        return role
    kind = message.type
    return "assistant" if role is None and isinstance(kind, str) and kind in _ANSWER_ITEMS else ""


def _is_text(value: msgspec.Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b'"'
