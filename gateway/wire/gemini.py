"""Gemini's native dialect: generate, as a stream or one answer, countTokens and embeddings.

The model stands in the path, so that there is one wire for each request. A stream is server-sent
events here; the form of a JSON array is made of them where the answer leaves the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.events import Usage
from gateway.wire.answer import (
    SingleJudge,
    StreamJudge,
    decoded,
    encoded,
    error_of,
    is_full_array,
    mapping,
    member,
    model_of,
    tokens,
)
from gateway.wire.base import Asked, ErrorAnswer, Fault, Judge
from gateway.wire.body import read_unnamed, replace_any_model, replace_values

GENERATE = "generateContent"
STREAM = "streamGenerateContent"
COUNT = "countTokens"
EMBED = "embedContent"
EMBED_BATCH = "batchEmbedContents"
METHODS = (GENERATE, STREAM, COUNT, EMBED, EMBED_BATCH)

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."

_SAYS_NOTHING = frozenset({"", "STOP", "OTHER", "FINISH_REASON_UNSPECIFIED"})
"""Reasons that do not explain why an answer is empty."""
_MISTAKES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""The model has failed: asked once more, or another one, it may well succeed."""
_NO_CONTENT_OF_A_PART = frozenset({"text", "thought", "thoughtSignature", "partMetadata"})

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class GeminiWire:
    """Of one request: `model` and `method` are the path's."""

    name = "gemini"
    keep_alive = b": keep-alive\n\n"

    def __init__(self, model: str = "", method: str = GENERATE) -> None:
        self._model = model
        self._method = method

    def read(self, body: bytes) -> Asked:
        return read_unnamed(body, model=self._model, stream=self._method == STREAM)

    def with_model(self, body: bytes, model: str) -> bytes:
        """Requests inside requests name the model again, as `models/…`."""
        named = f"models/{model}"
        body = replace_any_model(body, named)
        if self._method == COUNT:
            return replace_values(
                body, "generateContentRequest", lambda value: replace_any_model(value, named)
            )
        if self._method == EMBED_BATCH:
            return replace_values(body, "requests", lambda value: _all_named(value, named))
        return body

    def judge(self, *, stream: bool) -> Judge:
        return StreamJudge(_read_frame) if stream else SingleJudge(_read_body)

    def error_body(self, answer: ErrorAnswer) -> bytes:
        return encoded({"error": _error(answer)})

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        return b"data: " + self.error_body(answer) + b"\n\n"


def _all_named(requests: bytes, named: str) -> bytes:
    try:
        parts = _LIST.decode(requests)
    except (ValueError, RecursionError):
        return requests
    return b"[" + b",".join(replace_any_model(bytes(part), named) for part in parts) + b"]"


def _error(answer: ErrorAnswer) -> dict[str, Any]:
    """As Google's clients read it: the code in `details`, and there the time to wait as well."""
    info = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": answer.code.upper(),
        "domain": "evenkeel",
        "metadata": {"request_id": answer.request_id},
    }
    details: list[dict[str, Any]] = [info]
    if answer.retry_after_seconds is not None:
        wait = {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{answer.retry_after_seconds}s"}
        details.append(wait)
    error: dict[str, Any] = {
        "code": answer.status,
        "message": answer.message,
        "status": _STATUS.get(answer.status, "INTERNAL"),
        "details": details,
    }
    if answer.targets:
        error["targets"] = [dict(target) for target in answer.targets]
    return error


# -- streams -------------------------------------------------------------------------------------


def _read_frame(judge: StreamJudge, event: bytes, data: bytes) -> None:
    if data.startswith(b"[DONE]"):
        return  # Not of this dialect; some servers write it behind everything they stream.
    value = decoded(data)
    if isinstance(value, list):
        value = value[0] if value else None
    chunk = mapping(value)
    error = error_of(chunk)
    if error is not None or event == b"error":
        judge.fault = Fault(reason="error_event", error=error or chunk)
        return
    judge.served_model = judge.served_model or model_of(chunk.get("modelVersion"))
    judge.usage = _usage(chunk.get("usageMetadata")) or judge.usage
    if _blocked(chunk):
        judge.content = judge.finished = True
        return
    candidates = [mapping(each) for each in _items(chunk.get("candidates"))]
    for candidate in candidates:
        if _has_content(candidate):
            judge.content = True
            judge.pieces += 1
    _read_reasons(judge, candidates)


def _read_reasons(judge: StreamJudge, candidates: list[Mapping[str, Any]]) -> None:
    """There is no marker behind the last chunk: a reason in it makes the stream whole, once it
    ends. Whatever comes behind it (grounding, usage) is still part of the answer."""
    for candidate in candidates:
        reason = candidate.get("finishReason")
        if not isinstance(reason, str) or reason == "FINISH_REASON_UNSPECIFIED":
            continue
        if not judge.content and reason in _MISTAKES:
            judge.fault = Fault(reason="error_event", error=_mistake(candidate))
            return
        judge.finished = True
        judge.content = judge.content or reason not in _SAYS_NOTHING


# -- single answers ------------------------------------------------------------------------------


def _read_body(judge: SingleJudge, fields: Mapping[str, msgspec.Raw]) -> None:
    if not judge.served_model:
        judge.served_model = model_of(member(fields, "modelVersion"))
    if tokens(member(fields, "totalTokens")) is not None:  # countTokens.
        judge.content = True
        return
    if "embedding" in fields:
        values = mapping(member(fields, "embedding")).get("values")
        judge.content = isinstance(values, list) and bool(values)
        return
    if "embeddings" in fields:
        judge.content = is_full_array(fields["embeddings"])
        return
    judge.usage = _usage(member(fields, "usageMetadata"))
    if _blocked({"promptFeedback": member(fields, "promptFeedback")}):
        judge.content = True
        return
    candidates = [mapping(each) for each in _items(member(fields, "candidates"))]
    reasons = [str(candidate.get("finishReason") or "") for candidate in candidates]
    judge.content = any(map(_has_content, candidates)) or any(
        reason not in _SAYS_NOTHING | _MISTAKES for reason in reasons
    )
    if not judge.content:
        failed = [c for c, reason in zip(candidates, reasons, strict=True) if reason in _MISTAKES]
        if failed:
            judge.fault = Fault(reason="error_in_body", error=_mistake(failed[0]))


# -- both ----------------------------------------------------------------------------------------


def _blocked(chunk: Mapping[str, Any]) -> bool:
    """A prompt that is refused is an answer of its own, without candidates; SDKs know it by its
    reason, and nobody else would take the prompt either."""
    return bool(mapping(chunk.get("promptFeedback")).get("blockReason"))


def _mistake(candidate: Mapping[str, Any]) -> Mapping[str, Any]:
    reason = str(candidate.get("finishReason"))
    said = candidate.get("finishMessage")
    message = said if isinstance(said, str) and said else f"The model ended with {reason}."
    return {"status": reason, "message": message}


def _has_content(candidate: Mapping[str, Any]) -> bool:
    content = mapping(candidate.get("content"))
    for part in _items(content.get("parts")):
        fields = mapping(part)
        if fields.get("text") or any(
            inner for name, inner in fields.items() if name not in _NO_CONTENT_OF_A_PART
        ):
            return True
    return False


def _usage(value: object) -> Usage | None:
    """`promptTokenCount` holds what was cached, `candidatesTokenCount` leaves out the thoughts."""
    usage = mapping(value)
    if not usage:
        return None
    thoughts = tokens(usage.get("thoughtsTokenCount"))
    said = tokens(usage.get("candidatesTokenCount"))
    parts = [part for part in (said, thoughts) if part is not None]
    prompt = tokens(usage.get("promptTokenCount"))
    of_tools = tokens(usage.get("toolUsePromptTokenCount"))
    given = [part for part in (prompt, of_tools) if part is not None]
    return Usage(
        input_tokens=sum(given) if given else None,
        cached_tokens=tokens(usage.get("cachedContentTokenCount")),
        output_tokens=sum(parts) if parts else None,
        reasoning_tokens=thoughts,
    )


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
