"""What a conversation is known by whose client names no session: hashes of how it begins."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

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


class Conversation(NamedTuple):
    """What is known of a conversation whose client names no session. Empty: nothing to hash."""

    opening: str = ""
    """Hash of system prompt, tools and first user turn: the same in every turn, since histories
    grow at their end."""
    continued: str = ""
    """The same with the first answer: tells conversations apart that begin alike. Empty in the
    first turn, when there is no answer yet."""


def conversation(body: bytes) -> Conversation:
    """The hashes of a body's conversation; never raises."""
    try:
        opening = _OPENING_DECODER.decode(body)
        turns = _turns(bytes(opening.messages or opening.contents or opening.input))
        roles = [_role(turn) for turn in turns]
    except (ValueError, RecursionError):
        return Conversation()
    if "user" not in roles:
        return Conversation()
    system = opening.system or opening.instructions or opening.systemInstruction
    digest = blake2b(digest_size=8)
    for part in (system, opening.tools, *turns[: roles.index("user") + 1]):
        digest.update(bytes(part))
        digest.update(b"\0")
    begun = f"c_{digest.hexdigest()}"
    answer = next((n for n, role in enumerate(roles) if role in _ANSWERS), None)
    if answer is None:
        return Conversation(begun)
    digest.update(bytes(turns[answer]))
    return Conversation(begun, f"c_{digest.hexdigest()}")


def _turns(value: bytes) -> list[msgspec.Raw]:
    """A text alone, as Responses take it, is one turn of the user."""
    return [msgspec.Raw(value)] if value[:1] == b'"' else _LIST_DECODER.decode(value)


def _role(turn: msgspec.Raw) -> object:
    if bytes(memoryview(turn)[:1]) == b'"':
        return "user"
    message = _MESSAGE_DECODER.decode(turn)
    if message.role is None and message.type in _ANSWER_ITEMS:
        return "assistant"
    return message.role
