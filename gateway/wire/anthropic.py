"""The Anthropic dialect: Messages, as a stream or one answer, and count_tokens."""

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
    mapping,
    member,
    model_of,
    tier_of,
    tokens,
)
from gateway.wire.base import Asked, ErrorAnswer, Fault, Judge
from gateway.wire.body import read_fields, replace_model
from gateway.wire.skimming import Named

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_QUIET_EVENTS = frozenset(
    {b"content_block_delta", b"content_block_start", b"content_block_stop", b"ping"}
)
"""Once content was seen, nothing in these matters any more."""

_EMPTY_AT_START = frozenset({"text", "thinking"})
"""Blocks that start empty and are filled by deltas; all others are content when they start."""

_COUNTS = frozenset(
    {
        "input_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens",
        "thinking_tokens",
        "ephemeral_1h_input_tokens",
    }
)


class _Elsewhere(msgspec.Struct):
    """Where a count stands in one place only, as is usual, it is no matter which one comes first."""

    input_tokens: msgspec.UnsetType = msgspec.UNSET
    output_tokens: msgspec.UnsetType = msgspec.UNSET
    cache_read_input_tokens: msgspec.UnsetType = msgspec.UNSET
    cache_creation_input_tokens: msgspec.UnsetType = msgspec.UNSET


class _Kept(_Elsewhere):
    ephemeral_1h_input_tokens: Tokens = None
    thinking_tokens: msgspec.UnsetType = msgspec.UNSET


class _Made(_Elsewhere):
    thinking_tokens: Tokens = None
    ephemeral_1h_input_tokens: msgspec.UnsetType = msgspec.UNSET


class _Counts(msgspec.Struct):
    input_tokens: Tokens = None
    output_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_creation: _Kept | None = None
    output_tokens_details: _Made | None = None
    service_tier: str | None = None
    ephemeral_1h_input_tokens: msgspec.UnsetType = msgspec.UNSET
    thinking_tokens: msgspec.UnsetType = msgspec.UNSET


class _Block(msgspec.Struct):
    """Not looked into."""


class _Answer(msgspec.Struct):
    """What is looked at in a good answer of the usual form."""

    content: list[_Block]
    usage: _Counts
    error: None = None
    object: str = ""
    type: str = ""
    model: str = ""
    input_tokens: None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class AnthropicWire:
    name = "anthropic"
    keep_alive = b'event: ping\ndata: {"type": "ping"}\n\n'

    def read(self, body: bytes) -> Asked:
        return read_fields(body)

    def with_model(self, body: bytes, model: str) -> bytes:
        return replace_model(body, model)

    def judge(self, *, stream: bool) -> Judge:
        return StreamJudge(_read_frame, Named()) if stream else SingleJudge(_read_body, _glance)

    def error_body(self, answer: ErrorAnswer) -> bytes:
        other = "api_error" if answer.status >= 500 else "invalid_request_error"
        error: dict[str, Any] = {
            "type": _ERROR_TYPES.get(answer.status, other),
            "message": answer.message,
            "code": answer.code,
            "details": {"error_code": answer.code},  # Where the SDK looks for a stable code.
        }
        if answer.targets:
            error["targets"] = [dict(target) for target in answer.targets]
        return encoded({"type": "error", "error": error, "request_id": answer.request_id})

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        return b"event: error\ndata: " + self.error_body(answer) + b"\n\n"


def _read_frame(judge: StreamJudge, event: bytes, data: bytes) -> None:
    if judge.content and event in _QUIET_EVENTS:
        if event == b"content_block_delta":
            judge.plain(event, data)
        return
    value = mapping(decoded(data))
    kind = value.get("type") or event.decode(errors="replace")
    if kind == "error" or event == b"error" or value.get("error"):
        judge.fault = Fault(reason="error_event", error=error_of(value) or value)
    elif kind == "message_start":
        message = mapping(value.get("message"))
        judge.served_model = model_of(message.get("model"))
        _count(judge, message.get("usage"))
    elif kind == "content_block_start":
        judge.content = judge.content or _starts_full(mapping(value.get("content_block")))
    elif kind == "content_block_delta":
        delta = mapping(value.get("delta"))
        if any(inner for name, inner in delta.items() if name != "type"):
            judge.content = True
            judge.pieces += 1
    elif kind == "message_delta":
        _count(judge, value.get("usage"))
        # An answer may be empty by right, if it says why it stopped.
        judge.content = judge.content or bool(mapping(value.get("delta")).get("stop_reason"))
    elif kind == "message_stop":
        judge.terminal()


def _starts_full(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    if kind in _EMPTY_AT_START:
        return bool(block.get(kind))  # The text stands under the name of the type.
    return bool(kind)


def _count(judge: StreamJudge, usage: object) -> None:
    """Adds the counts of one event; they are cumulative, so the later one replaces.

    Except by a zero of input: some servers count it in `message_start` and send 0 in the end.
    """
    fields = mapping(usage)
    details = mapping(fields.get("output_tokens_details"))
    kept = mapping(fields.get("cache_creation"))
    for name, value in (*fields.items(), *details.items(), *kept.items()):
        count = tokens(value)
        if name not in _COUNTS or count is None:
            continue
        if count or name == "output_tokens" or name not in judge.counts:
            judge.counts[name] = count
    tier = fields.get("service_tier") or (judge.usage.service_tier if judge.usage else "")
    judge.usage = _usage(judge.counts, tier) if judge.counts else None


def _glance(judge: SingleJudge, body: bytes) -> bool:
    answer = _ANSWER.decode(body)
    if not answer.content or answer.object == "error" or answer.type == "error":
        return False
    counts = answer.usage
    if counts.input_tokens is None or counts.output_tokens is None:
        return False
    judge.served_model = model_of(answer.model)
    kept, made = counts.cache_creation, counts.output_tokens_details
    judge.usage = _usage_of(
        counts.input_tokens,
        counts.cache_read_input_tokens,
        counts.cache_creation_input_tokens,
        counts.output_tokens,
        made.thinking_tokens if made is not None else None,
        kept.ephemeral_1h_input_tokens if kept is not None else None,
        tier_of(counts.service_tier),
    )
    return True


def _read_body(judge: SingleJudge, fields: Mapping[str, msgspec.Raw]) -> None:
    counted = tokens(member(fields, "input_tokens"))
    if counted is not None:  # count_tokens: the number is the answer, nothing was used.
        judge.content = True
        return
    usage = mapping(member(fields, "usage"))
    if usage:
        details = mapping(usage.get("output_tokens_details"))
        kept = mapping(usage.get("cache_creation"))
        judge.usage = _usage({**details, **kept, **usage}, usage.get("service_tier"))
    content = member(fields, "content")
    if isinstance(content, list):
        judge.content = bool(content) or bool(member(fields, "stop_reason"))


def _usage(counts: Mapping[str, object], tier: object) -> Usage:
    return _usage_of(
        tokens(counts.get("input_tokens")),
        tokens(counts.get("cache_read_input_tokens")),
        tokens(counts.get("cache_creation_input_tokens")),
        tokens(counts.get("output_tokens")),
        tokens(counts.get("thinking_tokens")),
        tokens(counts.get("ephemeral_1h_input_tokens")),
        tier_of(tier),
    )


def _usage_of(
    fresh: int | None,
    cached: int | None,
    written: int | None,
    made: int | None,
    thought: int | None,
    hourly: int | None,
    tier: str,
) -> Usage:
    """Anthropic's `input_tokens` leaves out what was read from or written to the cache."""
    parts = [part for part in (fresh, cached, written) if part is not None]
    return Usage(
        input_tokens=sum(parts) if parts else None,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=made,
        reasoning_tokens=thought,
        cache_write_1h_tokens=hourly,
        service_tier=tier,
    )
