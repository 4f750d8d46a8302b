"""A conversation's history made fit for a provider that did not write it.

Thinking is signed by the model that thought it, and tool calls are numbered in the manner of whoever
made them: a provider that took over refuses both, in every later turn. Here the refused parts of a
body are dropped or renamed, the same way each time, and every other message keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeAlias

import msgspec

from gateway.wire import adapting_items as items
from gateway.wire.adapting_items import ANY_THOUGHT
from gateway.wire.tool_ids import new_names

Message: TypeAlias = dict[str, Any]


class Foreign(Enum):
    """What of a history a provider has refused."""

    THINKING = "thinking"
    TOOL_IDS = "tool_ids"
    THOUGHT_SIGNATURE = "thought_signature"
    """Google's: it is missing where the call was made by somebody else."""


_THINKING_BLOCKS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_THINKING_FIELDS = (
    "reasoning_content",  # DeepSeek, vLLM, Qwen
    "reasoning_details",  # OpenRouter; holds encrypted parts
    "reasoning",
    "thinking_blocks",  # litellm
)
NEEDS_THINKING = ("thinking", "context_management")
"""Top-level fields that ask for thinking, or refer to it."""
_HISTORIES = ("messages", "input", "contents")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGES = msgspec.json.Decoder(list[Message])
_RAW_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw])


def adapt(body: bytes, foreign: Foreign) -> tuple[bytes, tuple[str, ...]]:
    """`body` without what the provider has refused, and what was done, as words for people.

    Nothing done: the body as it came, and no words. The dialects' shapes are known by their fields.
    """
    try:
        fields = _FIELDS.decode(body)
        name = next(each for each in _HISTORIES if each in fields)
        raw = _RAW_MESSAGES.decode(fields[name])
        messages = _MESSAGES.decode(fields[name])
    except (ValueError, RecursionError, StopIteration):
        return body, ()
    if name == "contents":
        did = [_adapt_content(each, foreign) for each in messages]
    elif name == "input":
        did = _adapt_items(messages, foreign)
    else:
        did = _adapt_messages(messages, foreign)
    done = set().union(*did)
    kept = [
        undecoded if not did_here else message
        for message, undecoded, did_here in zip(messages, raw, did, strict=True)
        if not did_here or not _is_empty(message)
    ]
    changed: dict[str, Any] = {**fields, name: kept}
    if foreign is Foreign.THINKING and must_not_think(fields, messages):
        for field in NEEDS_THINKING:
            changed.pop(field, None)
        done.add(Foreign.THINKING.value)
    if not done:
        return body, ()
    return msgspec.json.encode(changed), tuple(each.value for each in Foreign if each.value in done)


def _adapt_messages(messages: list[Message], foreign: Foreign) -> list[set[str]]:
    ids = (holder[key] for each in messages for holder, key in _ids(each))
    renamed = new_names(ids, only_safe=foreign is Foreign.TOOL_IDS)
    return [_adapt_message(each, foreign, renamed) for each in messages]


def _adapt_items(found: list[Message], foreign: Foreign) -> list[set[str]]:
    """Of Responses. Reasoning that goes takes the items' own ids along: they refer to it."""
    ids = (holder[key] for each in found for holder, key in items.item_ids(each))
    renamed = new_names(ids, only_safe=foreign is Foreign.TOOL_IDS)
    did: list[set[str]] = []
    for item in found:
        done: set[str] = set()
        for holder, key in items.item_ids(item):
            if holder[key] in renamed:
                holder[key] = renamed[holder[key]]
                done.add(Foreign.TOOL_IDS.value)
        if foreign is Foreign.TOOL_IDS and items.forget_id(item):
            done.add(Foreign.TOOL_IDS.value)
        if foreign is Foreign.THINKING:
            if items.is_reasoning(item):
                item.clear()
                done.add(Foreign.THINKING.value)
            elif items.forget_id(item):
                done.add(Foreign.THINKING.value)
        did.append(done)
    return did


def _adapt_content(content: Message, foreign: Foreign) -> set[str]:
    """Of Gemini, where calls need no ids."""
    if foreign is Foreign.THINKING and items.unsigned(content):
        return {Foreign.THINKING.value}
    if foreign is Foreign.THOUGHT_SIGNATURE and items.any_thought(content):
        return {Foreign.THOUGHT_SIGNATURE.value}
    return set()


def _adapt_message(message: Message, foreign: Foreign, renamed: Mapping[str, str]) -> set[str]:
    """Changes `message`; what was done."""
    done: set[str] = set()
    for holder, key in _ids(message):
        if holder[key] in renamed:
            holder[key] = renamed[holder[key]]
            done.add(Foreign.TOOL_IDS.value)
    # Who numbered a call in a foreign manner has also thought what stands before it.
    if (foreign is Foreign.THINKING or done) and _drop_thinking(message):
        done.add(Foreign.THINKING.value)
    if foreign is Foreign.THOUGHT_SIGNATURE and _any_thought(message):
        done.add(Foreign.THOUGHT_SIGNATURE.value)
    return done


# -- tool ids ------------------------------------------------------------------------------------


def _ids(message: Message) -> Iterator[tuple[Message, str]]:
    """Where the ids of tool calls and of their results stand."""
    places = [(message, "tool_call_id")]
    places += [(call, "id") for call in _mappings(message.get("tool_calls"))]
    for block in _mappings(message.get("content")):
        if block.get("type") in ("tool_use", "tool_call"):
            places.append((block, "id"))
        elif block.get("type") == "tool_result":
            places.append((block, "tool_use_id"))
    return ((holder, key) for holder, key in places if isinstance(holder.get(key), str))


# -- thinking ------------------------------------------------------------------------------------


def _drop_thinking(message: Message) -> bool:
    had = [name for name in _THINKING_FIELDS if message.pop(name, None)]
    content = message.get("content")
    if isinstance(content, list):
        kept = [each for each in content if not _is_thinking(each)]
        if len(kept) < len(content):
            message["content"] = kept
            return True
    return bool(had)


def _is_thinking(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in _THINKING_BLOCKS


def _is_empty(message: Message) -> bool:
    """Nothing is left of an answer that was only a thought."""
    if not message or message.get("parts") == []:
        return True
    return message.get("content") == [] and not message.get("tool_calls")


def must_not_think(fields: Mapping[str, msgspec.Raw], messages: list[Message]) -> bool:
    """Anthropic, while thinking is enabled, wants the answer that called the tools to begin with
    its thought: where that is not there, this one turn has to go on without thinking."""
    if _kind(fields.get("thinking")) != "enabled" or not messages:
        return False
    results = _mappings(messages[-1].get("content"))
    if not any(each.get("type") == "tool_result" for each in results):
        return False
    answers = [each for each in messages if each.get("role") == "assistant"]
    return bool(answers) and not any(map(_is_thinking, _mappings(answers[-1].get("content"))))


def _any_thought(message: Message) -> bool:
    """A stand-in on each step's first call, in Google's place for it in the OpenAI dialect."""
    stand_in = {"google": {"thought_signature": ANY_THOUGHT}}
    for call in _mappings(message.get("tool_calls"))[:1]:
        if call.get("extra_content") != stand_in:
            call["extra_content"] = stand_in
            return True
    return False


def _kind(raw: msgspec.Raw | None) -> object:
    value: object = None if raw is None else msgspec.json.decode(raw)
    return value.get("type") if isinstance(value, dict) else None


def _mappings(value: object) -> list[Message]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
