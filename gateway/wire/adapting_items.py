"""Histories in the shapes of Responses (`input`) and Gemini (`contents`), adapted as `adapting` does it.

Each function changes one item, or says that it goes; what is not touched keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

Item: TypeAlias = dict[str, Any]
Holder: TypeAlias = tuple[Item, str]

ANY_THOUGHT: Final = "skip_thought_signature_validator"
"""Google's documented stand-in for the signature of a call that its model did not make."""
_SIGNATURES: Final = ("thoughtSignature", "thought_signature")
_CALLS: Final = ("functionCall", "function_call")


# -- Responses -----------------------------------------------------------------------------------


def item_ids(item: Item) -> Iterator[Holder]:
    """Where the ids of calls and of their results stand."""
    if isinstance(item.get("call_id"), str):
        yield item, "call_id"


def is_reasoning(item: Item) -> bool:
    return item.get("type") == "reasoning"


def forget_id(item: Item) -> bool:
    """An item's own id binds it to the account that made it, and to the reasoning before it."""
    return item.get("role") != "user" and item.pop("id", None) is not None


# -- Gemini --------------------------------------------------------------------------------------


def unsigned(content: Item) -> bool:
    """Without thoughts, and without anybody's signatures."""
    parts = content.get("parts")
    if not isinstance(parts, list):
        return False
    kept = [part for part in parts if not (isinstance(part, dict) and part.get("thought") is True)]
    dropped = len(kept) < len(parts)
    for part in kept:
        if isinstance(part, dict):
            had = [name for name in _SIGNATURES if part.pop(name, None) is not None]
            dropped = dropped or bool(had)
    content["parts"] = kept
    return dropped


def any_thought(content: Item) -> bool:
    """A stand-in on the first call of a step, and no other signature in it."""
    if content.get("role") != "model":
        return False
    parts = [part for part in content.get("parts") or () if isinstance(part, dict)]
    calls = [part for part in parts if any(name in part for name in _CALLS)]
    if not calls or calls[0].get("thoughtSignature") == ANY_THOUGHT:
        return False
    for part in parts:
        for name in _SIGNATURES:
            part.pop(name, None)
    calls[0]["thoughtSignature"] = ANY_THOUGHT
    return True
