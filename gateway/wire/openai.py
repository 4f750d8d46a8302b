"""The OpenAI dialect: Chat Completions, as a stream or one answer, and Embeddings.

Judged leniently in form, since many servers speak it, and strictly in substance: an answer must
hold something, and be whole.
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
from gateway.wire.base import Asked, ErrorAnswer, Fault, Judge
from gateway.wire.body import read_fields, replace_model
from gateway.wire.skimming import Shape

CONTENT_KEYS = (
    "content",
    "reasoning_content",  # DeepSeek, vLLM, SGLang, Qwen
    "reasoning",  # OpenRouter, Groq, Ollama
    "reasoning_details",  # OpenRouter
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
    "images",  # OpenRouter
)
"""What a message or a delta may hold for the reader; one of them not empty makes it content."""

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class _GlanceChoice(msgspec.Struct):
    finish_reason: Any = None
    error: Any = None


class _Glance(msgspec.Struct):
    """What can still matter after the first content. The text is skipped and not built, which
    is cheaper than searching the frame for the words: most frames hold `"usage":null`."""

    error: Any = None
    code: Any = None
    object: Any = None
    usage: Any = None
    x_groq: Any = None
    choices: list[_GlanceChoice] | None = None


class _GivenDetails(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None


class _MadeDetails(msgspec.Struct):
    reasoning_tokens: Tokens = None


class _Counts(msgspec.Struct):
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    total_tokens: Tokens = None
    prompt_tokens_details: _GivenDetails | None = None
    completion_tokens_details: _MadeDetails | None = None
    prompt_cache_hit_tokens: Tokens = None


class _AnswerChoice(msgspec.Struct):
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    """What is looked at in a good answer of the usual form."""

    error: None = None
    object: str = ""
    type: str = ""
    model: str = ""
    choices: list[_AnswerChoice] = []
    usage: _Counts | None = None
    service_tier: str | None = None


_GLANCE = msgspec.json.Decoder(_Glance)
_ANSWER = msgspec.json.Decoder(_Answer)


class OpenAIWire:
    name = "openai"
    keep_alive = b": keep-alive\n\n"

    def read(self, body: bytes) -> Asked:
        return read_fields(body)

    def with_model(self, body: bytes, model: str) -> bytes:
        return replace_model(body, model)

    def judge(self, *, stream: bool) -> Judge:
        return StreamJudge(_read_frame, Shape()) if stream else SingleJudge(_read_body, _glance)

    def error_body(self, answer: ErrorAnswer) -> bytes:
        return encoded({"error": openai_error(answer)})

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        return b"data: " + self.error_body(answer) + b"\n\n"


def openai_error(answer: ErrorAnswer) -> dict[str, Any]:
    """The error object of both of OpenAI's dialects."""
    server = "server_error" if answer.status >= 500 else "invalid_request_error"
    error: dict[str, Any] = {
        "message": answer.message,
        "type": _ERROR_TYPES.get(answer.status, server),
        "param": None,
        "code": answer.code,
        "request_id": answer.request_id,
    }
    if answer.targets:
        error["targets"] = [dict(target) for target in answer.targets]
    return error


def _read_frame(judge: StreamJudge, event: bytes, data: bytes) -> None:
    if data.startswith(b"[DONE]"):  # As the SDK tells it.
        judge.terminal()
        return
    if judge.content and event != b"error" and _is_plain(data):
        judge.plain(event, data)
        return
    chunk = mapping(decoded(data))
    choices = [mapping(choice) for choice in _items(chunk.get("choices"))]
    error = _stream_error(event, chunk, choices)
    if error is not None:
        judge.fault = Fault(reason="error_event", error=error)
        return
    judge.served_model = judge.served_model or model_of(chunk.get("model"))
    judge.usage = _stream_usage(chunk, choices) or judge.usage
    for choice in choices:
        if choice.get("finish_reason"):
            # An answer may be empty by right; and several servers never send [DONE], so that
            # one finish_reason is enough for a stream that then ends.
            judge.content = judge.finished = True
        elif _has_content(choice):
            judge.pieces += 1
            if not judge.content:
                judge.content = True
                if event != b"error" and _is_plain(data):
                    judge.resembling(event, data)


def _is_plain(data: bytes) -> bool:
    """A chunk of which only the text could interest anyone."""
    try:
        glance = _GLANCE.decode(data)
    except (ValueError, RecursionError):
        return False
    if glance.error or glance.usage or glance.x_groq or glance.code or glance.object == "error":
        return False
    for choice in glance.choices or ():  # noqa: SIM110  # A generator takes half as long again.
        if choice.finish_reason or choice.error:
            return False
    return True


def _stream_error(
    event: bytes, chunk: Mapping[str, Any], choices: list[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """OpenRouter sets `error` beside a choice whose finish_reason is `error`, or within it."""
    error = error_of(chunk)
    if error is not None:
        return error
    for choice in choices:
        if choice.get("finish_reason") == "error":
            return error_of(choice) or {}
    flat = not choices and chunk.get("code") and chunk.get("message")  # DashScope, Copilot
    return chunk if flat or event == b"error" else None


def _stream_usage(chunk: Mapping[str, Any], choices: list[Mapping[str, Any]]) -> Usage | None:
    """Usage stands at the top; Groq has it in `x_groq`, Moonshot in the last choice."""
    tier = chunk.get("service_tier")
    usage = _usage(chunk.get("usage"), tier) or _usage(
        mapping(chunk.get("x_groq")).get("usage"), tier
    )
    for choice in choices:
        usage = usage or _usage(choice.get("usage"), tier)
    return usage


def _glance(judge: SingleJudge, body: bytes) -> bool:
    answer = _ANSWER.decode(body)
    if answer.object == "error" or answer.type == "error" or not answer.choices:
        return False
    reasons = [choice.finish_reason for choice in answer.choices]
    counts = answer.usage
    if "error" in reasons or not any(reasons) or (counts is not None and not _tells(counts)):
        return False
    judge.served_model = model_of(answer.model)
    judge.usage = None if counts is None else _counted(counts, answer.service_tier)
    return True


def _tells(counts: _Counts) -> bool:
    return counts.prompt_tokens is not None and counts.completion_tokens is not None


def _counted(counts: _Counts, tier: str | None) -> Usage:
    given, made = counts.prompt_tokens_details, counts.completion_tokens_details
    cached = given.cached_tokens if given is not None else None
    return _usage_of(
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.total_tokens,
        counts.prompt_cache_hit_tokens if cached is None else cached,
        given.cache_write_tokens if given is not None else None,
        made.reasoning_tokens if made is not None else None,
        tier_of(tier),
    )


def _read_body(judge: SingleJudge, fields: Mapping[str, msgspec.Raw]) -> None:
    judge.usage = _usage(member(fields, "usage"), member(fields, "service_tier"))
    choices = [mapping(choice) for choice in _items(member(fields, "choices"))]
    for choice in choices:
        if choice.get("finish_reason") == "error":
            judge.fault = Fault(reason="error_in_body", error=error_of(choice) or {})
            return
        if choice.get("finish_reason") or _has_content(choice):
            judge.content = True
    if not choices and "data" in fields:
        judge.content = is_full_array(fields["data"])  # Embeddings.


def _has_content(choice: Mapping[str, Any]) -> bool:
    """Of a chunk (`delta`), of an answer (`message`) or of a legacy completion (`text`)."""
    message = mapping(choice.get("delta")) or mapping(choice.get("message"))
    return any(message.get(key) for key in CONTENT_KEYS) or bool(choice.get("text"))


def _usage(value: object, tier: object) -> Usage | None:
    usage = mapping(value)
    if not usage:
        return None
    prompt = mapping(usage.get("prompt_tokens_details"))
    completion = mapping(usage.get("completion_tokens_details"))
    cached = tokens(prompt.get("cached_tokens"))
    if cached is None:
        cached = tokens(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
    return _usage_of(
        tokens(usage.get("prompt_tokens")),
        tokens(usage.get("completion_tokens")),
        tokens(usage.get("total_tokens")),
        cached,
        tokens(prompt.get("cache_write_tokens")),
        tokens(completion.get("reasoning_tokens")),
        tier_of(tier),
    )


def _usage_of(
    given: int | None,
    made: int | None,
    total: int | None,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
    tier: str,
) -> Usage:
    if given is not None and made is not None and total is not None:
        beyond = total - given - made
        if beyond > 0 and reasoning in (None, beyond):
            # xAI and Gemini's OpenAI endpoint leave reasoning out of the completion's tokens.
            made, reasoning = made + beyond, beyond
    return Usage(
        input_tokens=given,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=made,
        reasoning_tokens=reasoning,
        service_tier=tier,
    )


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
