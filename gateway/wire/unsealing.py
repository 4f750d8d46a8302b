"""Takes what this gateway's translations have sealed out of a history that goes to somebody else.

A client keeps in its history what other targets have thought, sealed by `translate`. A target that
speaks the client's dialect gets the history as it is, but for these: it could not read them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.wire.adapting import NEEDS_THINKING, must_not_think

MARK: Final = "ZXZrMQ"
"""How a seal begins, in base64; see `translate.seals`."""
_MARK: Final = MARK.encode()
_PLACES: Final = ("signature", "data", "encrypted_content", "thoughtSignature")
_HISTORIES: Final = ("messages", "input", "contents")
_LISTS: Final = ("content", "parts", "thinking_blocks")

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_ITEM = msgspec.json.Decoder(dict[str, Any])
_ITEMS = msgspec.json.Decoder(list[dict[str, Any]])


def unsealed(body: bytes) -> tuple[bytes, bool]:
    """`body` without seals, and whether there were any. Items without one keep their bytes."""
    if _MARK not in body:
        return body, False
    try:
        fields = _FIELDS.decode(body)
        name = next(each for each in _HISTORIES if each in fields)
        kept = [made for raw in _RAWS.decode(fields[name]) if (made := _unsealed(raw)) is not None]
        changed: dict[str, Any] = {**fields, name: kept}
        if all(isinstance(each, msgspec.Raw) for each in kept) and len(kept) == len(
            _RAWS.decode(fields[name])
        ):
            return body, False  # The mark stands in somebody's text.
        if name == "messages" and must_not_think(fields, _ITEMS.decode(msgspec.json.encode(kept))):
            for field in NEEDS_THINKING:
                changed.pop(field, None)
    except (ValueError, RecursionError, StopIteration):
        return body, False
    return msgspec.json.encode(changed), True


def _unsealed(raw: msgspec.Raw) -> msgspec.Raw | dict[str, Any] | None:
    """The item, changed where it holds a seal; None where nothing of it is left."""
    if _MARK not in bytes(raw):
        return raw
    item = _ITEM.decode(raw)
    if _is_sealed(item):
        return None
    changed = False
    for name in _LISTS:
        blocks = item.get(name)
        if not isinstance(blocks, list):
            continue
        left = [each for each in blocks if not _goes(each)]
        if len(left) < len(blocks):
            changed = True
            item[name] = left
            if name == "thinking_blocks" and not left:
                del item[name]
    if not changed:
        return raw
    empty = not any(item.get(name) for name in ("content", "parts", "tool_calls"))
    return None if empty else item


def _goes(block: object) -> bool:
    return isinstance(block, dict) and _is_sealed(block)


def _is_sealed(block: dict[str, Any]) -> bool:
    """A thought, or what stands for one; a call or a text with a seal would be kept without it."""
    places = [name for name in _PLACES if str(block.get(name, "")).startswith(MARK)]
    if places and any(name in block for name in ("functionCall", "function_call")):
        for name in places:
            del block[name]
        return False
    return bool(places)
