"""Request bodies: reads the few fields the gateway needs, replaces the model, drops what a target
refuses, touches nothing else.

What a client wrote for the provider is the provider's to judge: unknown fields pass, and the
optional ones read here are ignored where they make no sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Any, NoReturn

import msgspec

from gateway.wire.base import Asked, ClientError
from gateway.wire.members import members

SESSION_ID_BYTES_MAX = 256
"""Real ids are UUIDs of 36 bytes; longer ones would fill the store with what a client made up."""

MODEL_CHARS_MAX = 512
"""Longer than any ARN or path that names a model; it travels in headers and rows."""

SEARCHED_BYTES_MAX = 4096
"""Of a body: in a longer one msgspec is done with the walk before a search for words is."""


class _Fields(msgspec.Struct):
    """The fields decoded; msgspec skips all others without building them."""

    model: Any = None
    stream: Any = None
    metadata: Any = None
    session_id: Any = None
    conversation: Any = None
    prompt_cache_key: Any = None
    previous_response_id: Any = None
    safety_identifier: Any = None
    user: Any = None
    thinking: Any = None
    reasoning: Any = None
    reasoning_effort: Any = None
    client_metadata: Any = None
    request: Any = None
    generationConfig: Any = None


_NO_THINKING = frozenset({"", "none", "minimal", "disabled", "off"})
_TOO_DEEP = "it nests deeper than the gateway goes"
_DECODER = msgspec.json.Decoder(_Fields)

_MODEL = b'"model"'
_COLON = re.compile(rb"\s*+:")
_TEXT_VALUE = re.compile(rb'\s*+:\s*+("[^"\\]*+")')


def read_fields(body: bytes) -> Asked:
    """Raises `ClientError` 400: `invalid_json` for no JSON, `invalid_request` for wrong fields."""
    fields = _decoded(body)
    return _asked(fields, _model(fields.model), stream=_stream(fields.stream))


def read_unnamed(body: bytes, *, model: str, stream: bool) -> Asked:
    """A body whose model, and whether it streams, the path says. Raises as `read_fields` does."""
    return _asked(_decoded(body), _model(model), stream=stream)


def _asked(fields: _Fields, model: str, *, stream: bool) -> Asked:
    of_user = _session_of_user(fields.metadata)
    return Asked(
        model=model,
        stream=stream,
        session_of_user=of_user,
        session=of_user or _session(fields),
        reasoning=_reasoning(fields),
    )


def replace_model(body: bytes, model: str) -> bytes:
    """`body` with the value of its top-level key `model` replaced; every other byte is kept.

    `body` must have passed `read_fields`. A key written twice, or with escapes, is found too:
    providers differ in which of two they believe.
    """
    place = _only_value(body)
    if not place:
        return replace_each_model(body, model)
    start, end = place
    return b"".join((body[:start], msgspec.json.encode(model), body[end:]))


def replace_any_model(body: bytes, model: str) -> bytes:
    """As `replace_model`, for a body that may name none."""
    return body if _only_value(body) == () else replace_each_model(body, model)


def replace_each_model(body: bytes, model: str) -> bytes:
    """As `replace_model`, by a walk through all fields: the way for what is written oddly."""
    value = msgspec.json.encode(model)
    return replace_values(body, "model", lambda _: value)


def _only_value(body: bytes) -> tuple[int, int] | tuple[()] | None:
    """Where the value of `model` stands, as far as that can be told without a walk.

    If that name is written once in the whole body, as a key and without escapes, it is the top
    level's, provided that one has it. (): it is written nowhere. None: one has to look.
    """
    if len(body) > SEARCHED_BYTES_MAX:
        return None
    place: tuple[int, int] | tuple[()] = ()
    end = 0
    while (start := body.find(_MODEL, end)) >= 0:
        value = _TEXT_VALUE.match(body, start + len(_MODEL))
        if value is None:
            end = start + len(_MODEL)
            if _COLON.match(body, end) is not None:
                return None
        elif place:
            return None
        else:
            place, end = value.span(1), value.end()
    return None if b"\\u" in body else place


def replace_values(body: bytes, key: str, new: Callable[[bytes], bytes]) -> bytes:
    """`body` with each value of its top-level `key` made anew, and every other byte kept."""
    parts: list[bytes] = []
    kept_to = 0
    for member in members(body):
        if member.key == key:
            parts += (body[kept_to : member.value], new(body[member.value : member.end]))
            kept_to = member.end
    parts.append(body[kept_to:])
    return b"".join(parts)


def drop_fields(body: bytes, names: Collection[str]) -> tuple[bytes, tuple[str, ...]]:
    """`body` without its top-level fields of these names, and those that were there, in its order.

    Every other byte is kept. `body` must have passed `read_fields`.
    """
    found = list(members(body))
    dropped = tuple(dict.fromkeys(each.key for each in found if each.key in names))
    if not dropped:
        return body, ()
    parts = [body[: found[0].start]]
    for n, member in enumerate(found):
        if member.key not in names:
            # Each but the first brings the comma before it along.
            start = member.start if len(parts) == 1 else found[n - 1].end
            parts.append(body[start : member.end])
    parts.append(body[found[-1].end :])
    return b"".join(parts), dropped


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

    `previous_response_id` changes with every turn and says no more than that an earlier answer is
    continued; the end user is last: one may have several conversations at once.
    """
    conversation = fields.conversation
    if (
        fields.session_id
        is conversation
        is fields.prompt_cache_key
        is fields.client_metadata
        is fields.previous_response_id
        is fields.request
        is fields.safety_identifier
        is fields.user
        is None
    ):
        return ""  # As most bodies have it.
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return (
        session_id(fields.session_id)
        or session_id(conversation)
        or session_id(fields.prompt_cache_key)
        or _of(fields.client_metadata, "session_id", "thread_id")
        or session_id(fields.previous_response_id)
        or _of(fields.request, "session_id")
        or _end_user(fields.safety_identifier)
        or _end_user(fields.user)
    )


def _of(value: object, *names: str) -> str:
    """The first usable id that an object holds under one of these names."""
    held = value if isinstance(value, dict) else {}
    return next((found for name in names if (found := session_id(held.get(name)))), "")


def _end_user(value: object) -> str:
    """Hashed: it may be an e-mail address, which is nobody's business in a history."""
    named = session_id(value)
    return f"u_{blake2b(named.encode(), digest_size=8).hexdigest()}" if named else ""


def _reasoning(fields: _Fields) -> bool:
    """Anthropic's `thinking`, OpenAI's `reasoning_effort` or `reasoning.effort`, where switched on."""
    thinking = fields.thinking
    if isinstance(thinking, dict):
        return thinking.get("type") not in _NO_THINKING
    if isinstance(fields.generationConfig, dict):
        return _thinks(fields.generationConfig.get("thinkingConfig"))
    effort = fields.reasoning_effort
    if effort is None and isinstance(fields.reasoning, dict):
        effort = fields.reasoning.get("effort")
    return isinstance(effort, str) and effort.lower() not in _NO_THINKING


def _thinks(config: object) -> bool:
    """Gemini's `thinkingConfig`: a budget of 0 switches it off, a level says how much."""
    if not isinstance(config, dict):
        return False
    level = config.get("thinkingLevel")
    if isinstance(level, str):
        return level.lower() not in _NO_THINKING
    return config.get("thinkingBudget") != 0


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
