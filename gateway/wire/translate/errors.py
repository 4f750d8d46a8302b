"""A target's refusal in the client's shape.

The sentence stays as it is. Where it says that the context is full and the client looks for its own
provider's words, those are put behind it: agents shorten their conversation when they find them.
"""

from __future__ import annotations

import re

from gateway.wire.answer import decoded, encoded, error_of
from gateway.wire.translate.neutral import Failed, Json
from gateway.wire.translate.reading import mapping, objects, text

MESSAGE_CHARS_MAX = 4000
"""Of an error that is no JSON: a page of HTML may be long."""

_FULL = re.compile(
    r"context_length_exceeded|context (?:length|window)|(?:prompt|input) is too long"
    r"|exceeds? the (?:maximum|model's)[^.]{0,40}(?:tokens|context)|token count[^.]{0,40}exceeds"
    r"|reduce the length",
    re.IGNORECASE,
)
_FULL_WORDS = {
    "anthropic": "prompt is too long",
    "gemini": "input token count exceeds the maximum number of tokens allowed",
}
_STATUS_BY_WORD = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "context_length_exceeded": 400,
    "api_error": 500,
    "server_error": 500,
    "server_is_overloaded": 503,
    "timeout_error": 504,
    "overloaded_error": 529,
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_GEMINI_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def read_error(status: int, body: bytes) -> Failed:
    """All dialects' shapes, and those of servers that speak none."""
    value = decoded(body)
    if isinstance(value, list):  # Google's OpenAI endpoint.
        value = next(iter(objects(value)), None)
    told = mapping(value)
    if not told:
        message = body.decode(errors="replace").strip()[:MESSAGE_CHARS_MAX]
        return Failed(message or f"the provider answered {status}", status=status)
    return failed_of(told, status)


def failed_of(value: Json, status: int = 0) -> Failed:
    """From an error's object, or from what holds one."""
    told = mapping(error_of(value)) or value
    code = told.get("code")
    kind = text(told.get("type")) or text(told.get("status"))
    said = next(filter(None, (text(told.get(name)) for name in ("message", "detail", "msg"))), "")
    failed = Failed(
        said or encoded(value).decode()[:MESSAGE_CHARS_MAX],
        kind,
        code if isinstance(code, str) else "",
        status or (code if isinstance(code, int) and 400 <= code < 600 else 0),
    )
    failed.status = failed.status or _status(failed)
    return failed


def _status(failed: Failed) -> int:
    """What it would have been before the stream began."""
    return _STATUS_BY_WORD.get(failed.code) or _STATUS_BY_WORD.get(failed.kind) or 500


def write_error(client: str, failed: Failed) -> bytes:
    return encoded(_WRITERS[client](failed))


def _message(client: str, failed: Failed) -> str:
    words = _FULL_WORDS.get(client, "")
    if is_full(failed) and words and words not in failed.message.lower():
        return f"{failed.message} ({words})"
    return failed.message


def is_full(failed: Failed) -> bool:
    """The conversation is longer than the model's context."""
    return _FULL.search(f"{failed.code} {failed.message}") is not None and failed.status in (
        400,
        413,
    )


def openai_error(failed: Failed) -> Json:
    server = "server_error" if failed.status >= 500 else "invalid_request_error"
    return {
        "message": _message("openai", failed),
        "type": _OPENAI_TYPES.get(failed.status, server),
        "param": None,
        "code": openai_code(failed),
    }


def openai_code(failed: Failed) -> str | None:
    if is_full(failed):
        return "context_length_exceeded"
    if failed.status == 529 or failed.kind == "overloaded_error":
        return "server_is_overloaded"
    if failed.status == 429:
        return failed.code or "rate_limit_exceeded"
    return failed.code or ("server_error" if failed.status >= 500 else None)


def _openai(failed: Failed) -> Json:
    return {"error": openai_error(failed)}


def _anthropic(failed: Failed) -> Json:
    other = "api_error" if failed.status >= 500 else "invalid_request_error"
    kind = _ANTHROPIC_TYPES.get(failed.status, other)
    return {"type": "error", "error": {"type": kind, "message": _message("anthropic", failed)}}


def _gemini(failed: Failed) -> Json:
    other = "INTERNAL" if failed.status >= 500 else "INVALID_ARGUMENT"
    status = _GEMINI_STATUSES.get(failed.status, other)
    message = _message("gemini", failed)
    return {"error": {"code": failed.status, "message": message, "status": status}}


_WRITERS = {"openai": _openai, "responses": _openai, "anthropic": _anthropic, "gemini": _gemini}
