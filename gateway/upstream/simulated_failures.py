"""How a simulated provider words its failures: as the real ones do, so that they classify alike.

One row per failure that comes with a status of its own. What fails below HTTP, or inside a 200,
has no row: `simulated_plan` plays it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

from gateway.events import Failure
from gateway.wire.answer import encoded

HTML_PAGE = b"<!doctype html><html><head><title>Gate</title></head><body>Please wait.</body></html>"


@dataclass(frozen=True, slots=True)
class Wording:
    status: int
    kind: str
    """The `type` of the error; empty: a CDN answers in the provider's place, with a page."""
    code: str
    """OpenAI's `code`; Anthropic has a place for one in `details`."""
    message: str
    """`{model}` stands for the model."""


OPENAI: Mapping[Failure, Wording] = MappingProxyType(
    {
        Failure.RATE_LIMITED: Wording(
            429, "requests", "rate_limit_exceeded", "Rate limit reached for {model} on requests."
        ),
        Failure.QUOTA_EXHAUSTED: Wording(
            429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."
        ),
        Failure.AUTH: Wording(
            401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."
        ),
        Failure.OVERLOADED: Wording(
            503, "server_error", "server_is_overloaded", "The engine is currently overloaded."
        ),
        Failure.SERVER_ERROR: Wording(
            500, "server_error", "", "The server had an error while processing your request."
        ),
        Failure.MODEL_NOT_FOUND: Wording(
            404, "invalid_request_error", "model_not_found", "The model {model} does not exist."
        ),
        Failure.UNSUPPORTED: Wording(
            403,
            "request_forbidden",
            "unsupported_country_region_territory",
            "Country, region, or territory not supported.",
        ),
        Failure.BAD_REQUEST: Wording(
            400, "invalid_request_error", "", "The request is not one that {model} can answer."
        ),
        Failure.CONTEXT_TOO_LONG: Wording(
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "This model's maximum context length is 128000 tokens; your messages hold more.",
        ),
        Failure.CONTENT_POLICY: Wording(
            400,
            "invalid_request_error",
            "content_policy_violation",
            "Your request was rejected by our safety system.",
        ),
        Failure.UNKNOWN: Wording(403, "", "", ""),
    }
)

ANTHROPIC: Mapping[Failure, Wording] = MappingProxyType(
    {
        Failure.RATE_LIMITED: Wording(
            429, "rate_limit_error", "", "This request would exceed your organization's rate limit."
        ),
        Failure.QUOTA_EXHAUSTED: Wording(
            400, "invalid_request_error", "", "Your credit balance is too low to use the API."
        ),
        Failure.AUTH: Wording(401, "authentication_error", "", "invalid x-api-key"),
        Failure.OVERLOADED: Wording(529, "overloaded_error", "", "Overloaded"),
        Failure.SERVER_ERROR: Wording(500, "api_error", "", "Internal server error"),
        Failure.MODEL_NOT_FOUND: Wording(404, "not_found_error", "", "model: {model}"),
        Failure.UNSUPPORTED: Wording(
            403,
            "permission_error",
            "unsupported_country_region_territory",
            "The API is not available in your region.",
        ),
        Failure.BAD_REQUEST: Wording(
            400, "invalid_request_error", "", "The request is not one that {model} can answer."
        ),
        Failure.CONTEXT_TOO_LONG: Wording(
            400, "invalid_request_error", "", "prompt is too long: 210000 tokens > 200000 maximum"
        ),
        Failure.CONTENT_POLICY: Wording(
            400, "invalid_request_error", "", "Output blocked by content filtering policy"
        ),
        Failure.UNKNOWN: Wording(403, "", "", ""),
    }
)

GEMINI: Mapping[Failure, Wording] = MappingProxyType(
    {
        Failure.RATE_LIMITED: Wording(
            429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "Quota exceeded for {model}."
        ),
        Failure.QUOTA_EXHAUSTED: Wording(
            429, "RESOURCE_EXHAUSTED", "QUOTA_EXHAUSTED", "You have used up your quota of the day."
        ),
        Failure.AUTH: Wording(
            400,
            "INVALID_ARGUMENT",
            "API_KEY_INVALID",
            "API key not valid. Please pass a valid one.",
        ),
        Failure.OVERLOADED: Wording(
            503, "UNAVAILABLE", "", "The model is overloaded. Please try again later."
        ),
        Failure.SERVER_ERROR: Wording(
            500, "INTERNAL", "", "An internal error has occurred. Please retry."
        ),
        Failure.MODEL_NOT_FOUND: Wording(
            404, "NOT_FOUND", "", "models/{model} is not found for API version v1beta."
        ),
        Failure.UNSUPPORTED: Wording(
            400,
            "FAILED_PRECONDITION",
            "",
            "User location is not supported for the API use.",
        ),
        Failure.BAD_REQUEST: Wording(
            400, "INVALID_ARGUMENT", "", "The request is not one that {model} can answer."
        ),
        Failure.CONTEXT_TOO_LONG: Wording(
            400,
            "INVALID_ARGUMENT",
            "",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575).",
        ),
        Failure.CONTENT_POLICY: Wording(
            400, "INVALID_ARGUMENT", "content_policy_violation", "The prompt was blocked."
        ),
        Failure.UNKNOWN: Wording(403, "", "", ""),
    }
)
_GOOGLE = "type.googleapis.com/google.rpc."

WAITABLE = frozenset(
    {Failure.RATE_LIMITED, Failure.QUOTA_EXHAUSTED, Failure.OVERLOADED, Failure.SERVER_ERROR}
)
"""Failures with which providers state a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error answer, ready to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def refused(
    failure: Failure,
    dialect: str,
    *,
    model: str,
    request_id: str,
    retry_after_seconds: float | None = None,
    message: str = "",
) -> Refused | None:
    """`dialect`'s error answer for `failure`; None where it comes with no status of its own.

    `message` takes the place of the usual sentence.
    """
    wording = _table(dialect).get(failure)
    if wording is None:
        return None
    timed = failure in WAITABLE and retry_after_seconds is not None
    wait = retry_after_seconds if timed else None
    headers = retry_after(wait) if wait else ()
    if not wording.kind:
        page = (("content-type", "text/html; charset=utf-8"),)
        return Refused(status=wording.status, headers=page, body=HTML_PAGE)
    return Refused(
        status=wording.status,
        headers=(("content-type", "application/json"), *headers),
        body=_body(
            dialect,
            _error(dialect, wording, message or _message(wording, model), wait),
            request_id,
        ),
    )


def inner_error(failure: Failure, dialect: str, *, model: str) -> Mapping[str, Any]:
    """The error object of a failure that has a row, as it stands inside a stream or a 200."""
    wording = _table(dialect)[failure]
    return _error(dialect, wording, _message(wording, model))


def retry_after(seconds: float) -> tuple[tuple[str, str], ...]:
    """Never earlier than `seconds`: whole seconds for everyone, milliseconds where they differ."""
    whole = ("retry-after", str(ceil(seconds)))
    if seconds == ceil(seconds):
        return (whole,)
    return whole, ("retry-after-ms", str(ceil(seconds * 1000)))


def _table(dialect: str) -> Mapping[Failure, Wording]:
    return {"anthropic": ANTHROPIC, "gemini": GEMINI}.get(dialect, OPENAI)


def _message(wording: Wording, model: str) -> str:
    return wording.message.replace("{model}", model)


def _error(
    dialect: str, wording: Wording, message: str, wait: float | None = None
) -> dict[str, Any]:
    if dialect == "gemini":
        return _google_error(wording, message, wait)
    if dialect != "anthropic":
        code = wording.code or None
        return {"message": message, "type": wording.kind, "param": None, "code": code}
    error: dict[str, Any] = {"type": wording.kind, "message": message}
    if wording.code:
        error["details"] = {"error_code": wording.code}
    return error


def _google_error(wording: Wording, message: str, wait: float | None) -> dict[str, Any]:
    """What OpenAI calls a code is the reason in Google's details, where the time stands as well."""
    details: list[dict[str, Any]] = []
    if wording.code:
        details.append({"@type": f"{_GOOGLE}ErrorInfo", "reason": wording.code})
    if wait is not None:
        details.append({"@type": f"{_GOOGLE}RetryInfo", "retryDelay": f"{wait:g}s"})
    error = {"code": wording.status, "message": message, "status": wording.kind}
    return {**error, "details": details} if details else error


def _body(dialect: str, error: Mapping[str, Any], request_id: str) -> bytes:
    if dialect == "anthropic":
        return encoded({"type": "error", "error": error, "request_id": request_id})
    return encoded({"error": error})
