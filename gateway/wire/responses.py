"""The OpenAI dialect's other half: Responses, as a stream or one answer.

A stream ends with `response.completed`, `.incomplete` or `.failed`, and there is no `[DONE]`. The
list of events is open: what is not known here passes, and counts as content where it brings some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.events import Usage
from gateway.wire.answer import (
    SingleJudge,
    StreamJudge,
    Tokens,
    decoded,
    encoded,
    error_of,
    is_full_array,
    mapping,
    member,
    model_of,
    tier_of,
    tokens,
)
from gateway.wire.base import Asked, ClientError, ErrorAnswer, Fault, Judge
from gateway.wire.body import read_fields, replace_model
from gateway.wire.openai import openai_error
from gateway.wire.skimming import Named

_LIFECYCLE = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDINGS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "response.cancelled", "error"})
_NOT_QUIET = tuple(name.encode() for name in _ENDINGS | _FAILURES)

_EMPTY_AT_START = frozenset({"message", "reasoning"})
"""Items that start empty and are filled by deltas; all others are content when they start."""

_KEPT_CODES = {
    "context_too_long": "context_length_exceeded",
    "content_policy": "invalid_prompt",
    "bad_request": "invalid_prompt",
}
"""What Codex takes as final. Everything else that breaks a stream is `server_error`, with which it
asks again, and is then served by the target that is next."""

RESPONSE_ID_CHARS_MAX = 256


class _Glance(msgspec.Struct):
    type: Any = None
    sequence_number: Any = None


class _Background(msgspec.Struct):
    background: Any = None


class _Given(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None


class _Made(msgspec.Struct):
    reasoning_tokens: Tokens = None


class _Counts(msgspec.Struct):
    input_tokens: Tokens = None
    output_tokens: Tokens = None
    input_tokens_details: _Given | None = None
    output_tokens_details: _Made | None = None


class _Item(msgspec.Struct):
    """Not looked into."""


class _Answer(msgspec.Struct):
    """What is looked at in a good answer of the usual form."""

    output: list[_Item]
    usage: _Counts
    id: str = ""
    error: None = None
    object: str = ""
    type: str = ""
    model: str = ""
    status: str = ""
    store: bool | None = None
    service_tier: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_GLANCE = msgspec.json.Decoder(_Glance)
_BACKGROUND = msgspec.json.Decoder(_Background)


class ResponsesWire:
    name = "responses"
    keep_alive = b": keep-alive\n\n"

    def read(self, body: bytes) -> Asked:
        asked = read_fields(body)
        if b'"background"' in body and _in_background(body):
            message = (
                "`background` is not served: the answer would have to be fetched later, and the "
                "gateway keeps none. Leave it out, and stream."
            )
            raise ClientError(400, "not_supported", message)
        return asked

    def with_model(self, body: bytes, model: str) -> bytes:
        return replace_model(body, model)

    def judge(self, *, stream: bool) -> Judge:
        return ResponsesStreamJudge() if stream else ResponsesJudge()

    def error_body(self, answer: ErrorAnswer) -> bytes:
        return encoded({"error": openai_error(answer)})

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        """`response.failed` of the response that had begun: what Codex and the SDKs look for."""
        begun = after if isinstance(after, ResponsesStreamJudge) else None
        error = {
            "code": _KEPT_CODES.get(answer.code, "server_error"),
            "message": answer.message,
            "reason": answer.code,
            "request_id": answer.request_id,
        }
        response = {
            "id": (begun.answer_id if begun else "") or f"resp_{answer.request_id}",
            "object": "response",
            "created_at": begun.created_at if begun else 0,
            "status": "failed",
            "error": error,
            "incomplete_details": None,
            "model": begun.served_model if begun else "",
            "output": [],
            "usage": None,
        }
        event = {
            "type": "response.failed",
            "sequence_number": begun.next_number() if begun else 0,
            "response": response,
        }
        return b"event: response.failed\ndata: " + encoded(event) + b"\n\n"


class ResponsesStreamJudge(StreamJudge):
    """Also knows what an event of ours behind the stream has to continue."""

    __slots__ = ("_last", "answer_id", "created_at")

    def __init__(self) -> None:
        super().__init__(_read_frame, Named())
        self.answer_id = ""
        self.created_at = 0
        self._last = b""

    def next_number(self) -> int:
        """The `sequence_number` behind the last event that came."""
        try:
            number = tokens(_GLANCE.decode(self._last).sequence_number)
        except (ValueError, RecursionError):
            number = None
        return 0 if number is None else number + 1

    def saw(self, data: bytes) -> None:
        self._last = data

    def passed(self, read: bytes) -> None:
        self._last = read[read.rfind(b"\ndata: ") + 7 : -2]


class ResponsesJudge(SingleJudge):
    __slots__ = ("answer_id",)

    def __init__(self) -> None:
        super().__init__(_read_body, _glance)
        self.answer_id = ""


def _in_background(body: bytes) -> bool:
    try:
        return _BACKGROUND.decode(body).background is True
    except (ValueError, RecursionError):
        return False


def _read_frame(judge: StreamJudge, event: bytes, data: bytes) -> None:
    assert isinstance(judge, ResponsesStreamJudge)
    if data.startswith(b"[DONE]"):
        return  # Not of this dialect, and it must not make a broken stream look whole.
    judge.saw(data)
    if judge.content and event.startswith(b"response.") and not event.startswith(_NOT_QUIET):
        if event.endswith(b".delta"):
            judge.plain(event, data)
        return
    value = mapping(decoded(data))
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        kind = event.decode(errors="replace")
    if kind in _FAILURES or event == b"error" or value.get("error"):
        judge.fault = Fault(reason="error_event", error=_error_in(value))
    elif kind in _LIFECYCLE:
        _begin(judge, mapping(value.get("response")))
    elif kind in _ENDINGS:
        _end(judge, kind, mapping(value.get("response")))
    elif _brings_content(kind, value):
        judge.content = True
        judge.pieces += kind.endswith(".delta")


def _begin(judge: ResponsesStreamJudge, response: Mapping[str, Any]) -> None:
    judge.answer_id = judge.answer_id or answer_id_of(response.get("id"))
    judge.kept_id = "" if response.get("store") is False else judge.answer_id
    judge.created_at = judge.created_at or tokens(response.get("created_at")) or 0
    judge.served_model = judge.served_model or model_of(response.get("model"))


def _end(judge: ResponsesStreamJudge, kind: str, response: Mapping[str, Any]) -> None:
    _begin(judge, response)
    judge.usage = _usage(response.get("usage"), response.get("service_tier"))
    # An answer that was cut short may be empty by right: it says why.
    if response.get("output") or kind == "response.incomplete":
        judge.content = True
    judge.terminal()


def _brings_content(kind: str, value: Mapping[str, Any]) -> bool:
    if kind == "response.output_item.added":
        item = mapping(value.get("item"))
        return bool(item) and (item.get("type") not in _EMPTY_AT_START or _is_full(item))
    if kind == "response.output_item.done":
        return _is_full(mapping(value.get("item")))
    if kind.endswith(".delta"):
        return bool(value.get("delta"))
    if kind.endswith(".done"):
        return any(value.get(name) for name in ("text", "refusal", "arguments", "input", "code"))
    return False


def _is_full(item: Mapping[str, Any]) -> bool:
    if item.get("type") not in _EMPTY_AT_START:
        return bool(item)
    return any(item.get(name) for name in ("content", "summary", "encrypted_content"))


def _error_in(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of `response.failed`, of an `error` event (flat, or with the error inside), of anything else."""
    response = mapping(value.get("response"))
    return error_of(response) or error_of({**value, "type": None}) or _flat(value)


def _flat(value: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {name: value[name] for name in ("code", "message", "param") if value.get(name)}
    return named or dict(value)


def _glance(judge: SingleJudge, body: bytes) -> bool:
    assert isinstance(judge, ResponsesJudge)
    answer = _ANSWER.decode(body)
    if not answer.output or answer.object == "error" or answer.type == "error":
        return False
    counts = answer.usage
    if answer.status != "completed" or counts.input_tokens is None or counts.output_tokens is None:
        return False
    judge.served_model = model_of(answer.model)
    judge.answer_id = answer_id_of(answer.id)
    judge.kept_id = "" if answer.store is False else judge.answer_id
    given, made = counts.input_tokens_details, counts.output_tokens_details
    judge.usage = Usage(
        input_tokens=counts.input_tokens,
        cached_tokens=given.cached_tokens if given is not None else None,
        cache_write_tokens=given.cache_write_tokens if given is not None else None,
        output_tokens=counts.output_tokens,
        reasoning_tokens=made.reasoning_tokens if made is not None else None,
        service_tier=tier_of(answer.service_tier),
    )
    return True


def _read_body(judge: SingleJudge, fields: Mapping[str, msgspec.Raw]) -> None:
    assert isinstance(judge, ResponsesJudge)
    judge.answer_id = answer_id_of(member(fields, "id"))
    judge.kept_id = "" if member(fields, "store") is False else judge.answer_id
    judge.usage = _usage(member(fields, "usage"), member(fields, "service_tier"))
    status = member(fields, "status")
    if status in ("failed", "cancelled"):
        judge.fault = Fault(reason="error_in_body", error={"message": f"The status is {status}."})
        return
    judge.content = is_full_array(fields.get("output")) or status == "incomplete"


def answer_id_of(value: object) -> str:
    """A response's id, which a later request may name; empty for anything else."""
    if isinstance(value, str) and value.isprintable() and len(value) <= RESPONSE_ID_CHARS_MAX:
        return value
    return ""


def _usage(value: object, tier: object) -> Usage | None:
    usage = mapping(value)
    if not usage:
        return None
    given = mapping(usage.get("input_tokens_details"))
    made = mapping(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=tokens(usage.get("input_tokens")),
        cached_tokens=tokens(given.get("cached_tokens")),
        cache_write_tokens=tokens(given.get("cache_write_tokens")),
        output_tokens=tokens(usage.get("output_tokens")),
        reasoning_tokens=tokens(made.get("reasoning_tokens")),
        service_tier=tier_of(tier),
    )
