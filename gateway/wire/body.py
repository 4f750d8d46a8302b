"""Request bodies: reads the few fields the gateway needs, replaces the model, touches nothing else.

What a client wrote for the provider is the provider's to judge: unknown fields pass, and the
optional ones read here are ignored where they make no sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from gateway.wire.base import Asked, ClientError

SESSION_ID_BYTES_MAX = 256
"""Real ids are UUIDs of 36 bytes; longer ones would fill the store with what a client made up."""

MODEL_CHARS_MAX = 512
"""Longer than any ARN or path that names a model; it travels in headers and rows."""


class _Fields(msgspec.Struct):
    """The fields decoded; msgspec skips all others without building them."""

    model: Any = None
    stream: Any = None
    metadata: Any = None
    session_id: Any = None
    conversation: Any = None
    prompt_cache_key: Any = None
    previous_response_id: Any = None


_TOO_DEEP = "it nests deeper than the gateway goes"
_DECODER = msgspec.json.Decoder(_Fields)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])

# Possessive throughout: JSON leaves nothing to backtrack for, and a long text costs no memory.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(_TEXT, re.DOTALL)
_OPENING = re.compile(rb"\s*+\{")
_KEY = re.compile(rb"\s*+,?\s*+(" + _TEXT + rb")\s*+:\s*+", re.DOTALL)
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|' + _TEXT + rb")*+[{}\[\]]", re.DOTALL)
_SCALAR = re.compile(rb"[^\s,}\]]++")


def read_fields(body: bytes) -> Asked:
    """Raises `ClientError` 400: `invalid_json` for no JSON, `invalid_request` for wrong fields."""
    fields = _decoded(body)
    return Asked(
        model=_model(fields.model),
        stream=_stream(fields.stream),
        session=_session(fields),
    )


def replace_model(body: bytes, model: str) -> bytes:
    """`body` with the value of its top-level key `model` replaced; every other byte is kept.

    `body` must have passed `read_fields`. A key written twice, or with escapes, is found too:
    providers differ in which of two they believe.
    """
    value = msgspec.json.encode(model)
    parts: list[bytes] = []
    kept_to = 0
    for start, end in _model_spans(body):
        parts += (body[kept_to:start], value)
        kept_to = end
    parts.append(body[kept_to:])
    return b"".join(parts)


def session_id(value: object) -> str:
    """`value` if it may serve as a session id: printable text of bounded length. Else empty."""
    if not isinstance(value, str):
        return ""
    value = value.strip()
    if not value.isprintable() or len(value.encode()) > SESSION_ID_BYTES_MAX:
        return ""  # `isprintable` also refuses lone surrogates, which nothing could encode.
    return value


def _decoded(body: bytes) -> _Fields:
    if not body.strip():
        raise _no_json("The body is empty", "send a JSON object")
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into what it skips.
        return _DECODER.decode(body)
    except UnicodeDecodeError as error:
        where = f"byte {body[error.start]:#04x} at offset {error.start}"
        raise _no_json("The body is not UTF-8", where) from None
    except RecursionError:
        raise _no_json("The body is not readable", _TOO_DEEP) from None
    except msgspec.DecodeError:
        return _second_opinion(body)


def _second_opinion(body: bytes) -> _Fields:
    r"""Python's own parser has the last word, and better words.

    msgspec refuses lone surrogates such as `"\ud83d"`, which JavaScript writes where a text was
    cut inside an emoji; that is legal JSON, and whether it is accepted is up to the provider.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise _no_json("The body is not JSON", where) from None
    except RecursionError:
        raise _no_json("The body is not readable", _TOO_DEEP) from None
    except ValueError as error:
        raise _no_json("The body is not JSON", str(error)) from None
    if not isinstance(value, dict):
        raise _wrong("The body", "a JSON object", value)
    return _Fields(**{name: value.get(name) for name in _Fields.__struct_fields__})


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON number"
    raise ValueError(message)


def _no_json(what: str, why: str) -> ClientError:
    return ClientError(400, "invalid_json", f"{what}: {why}.")


def _wrong(what: str, wanted: str, value: object) -> ClientError:
    return _invalid(f"{what} must be {wanted}, not {_kind(value)}.")


def _invalid(message: str) -> ClientError:
    return ClientError(400, "invalid_request", message)


def _model(value: object) -> str:
    if value is None or value == "":
        raise _invalid("The body names no model: set `model` to a route's name.")
    if not isinstance(value, str):
        raise _wrong("`model`", "a string", value)
    if not value.isprintable():
        raise _invalid("`model` holds characters that cannot be printed.")
    if len(value) > MODEL_CHARS_MAX:
        message = f"`model` is longer than {MODEL_CHARS_MAX} characters."
        raise _invalid(message)
    return value


def _stream(value: object) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong("`stream`", "true or false", value)
    return value


def _session(fields: _Fields) -> str:
    """The first usable signal, the most telling one first.

    `previous_response_id` is last: it changes with every turn and says no more than that an
    earlier answer is continued.
    """
    conversation = fields.conversation
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return (
        _session_of_user(fields.metadata)
        or session_id(fields.session_id)
        or session_id(conversation)
        or session_id(fields.prompt_cache_key)
        or session_id(fields.previous_response_id)
    )


def _session_of_user(metadata: object) -> str:
    """Claude Code's `metadata.user_id`: a JSON text with `session_id`, or `…_session_<uuid>`."""
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    if user.lstrip().startswith("{"):
        try:
            inner = msgspec.json.decode(user)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return ""
        return session_id(inner.get("session_id"))
    _, found, last = user.rpartition("_session_")
    return session_id(last) if found else ""


def _kind(value: object) -> str:
    """JSON's name for the type of `value`."""
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "null"


def _model_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the top-level `model` stand."""
    opening = _OPENING.match(body)
    place = opening.end() if opening else len(body)
    values = _values(body)
    while (match := _KEY.match(body, place)) is not None:
        start = match.end()
        key = _key_text(match[1])
        place = _value_end(body, start, values.pop(key, None))
        if key == "model":
            yield start, place


def _values(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _MEMBERS.decode(body)
    except (ValueError, RecursionError):
        return {}  # What only Python's parser takes is walked through in full.


def _key_text(key: bytes) -> str:
    return str(json.loads(key)) if b"\\" in key else key[1:-1].decode(errors="replace")


def _value_end(body: bytes, start: int, known: msgspec.Raw | None) -> int:
    """`known` is what msgspec, ten times as fast, took for this key's value.

    Under a key written twice it may be the other one's. But a container shows its own end, so
    that if these bytes stand here, they are the value. Each is tried once, which keeps the work
    linear whatever a client sends.
    """
    first = body[start : start + 1]
    if first in (b"{", b"["):
        value = b"" if known is None else bytes(known)
        if value and body.startswith(value, start):
            return start + len(value)
        return _container_end(body, start)
    found = (_STRING if first == b'"' else _SCALAR).match(body, start)
    return found.end() if found else len(body)


def _container_end(body: bytes, start: int) -> int:
    depth = 0
    place = start
    while (bracket := _BRACKET.match(body, place)) is not None:
        place = bracket.end()
        depth += 1 if body[place - 1] in b"{[" else -1
        if depth == 0:
            return place
    return len(body)
