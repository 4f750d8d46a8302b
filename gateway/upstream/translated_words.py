"""What litellm's exceptions say, and which fields of a request are the chat dialect's.

litellm puts a vendor's error body into a sentence of its own; here it is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]

CHAT_FIELDS: Final = frozenset(
    {
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "temperature",
        "top_p",
        "top_k",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "seed",
        "user",
        "reasoning_effort",
        "thinking",
        "modalities",
        "audio",
        "prediction",
        "service_tier",
        "verbosity",
    }
)
EMBEDDING_FIELDS: Final = frozenset({"input", "dimensions", "encoding_format", "user"})
CAUSES_MAX: Final = 10


def error_of(error: BaseException) -> Json | None:
    """The vendor's error object, in an object; None where its words hold none."""
    for each in (error, getattr(error, "original_exception", None)):
        body = getattr(each, "body", None)
        if isinstance(body, dict) and body:
            return body if "error" in body else {"error": body}
        found = _json_in(str(getattr(each, "message", "") or each or ""))
        if found is not None:
            return found if "error" in found else {"error": found}
    return None


def _json_in(text: str) -> Json | None:
    """The first JSON object in a sentence; litellm sometimes writes bytes as Python shows them."""
    start = text.find("{")
    while start >= 0:
        for candidate in (text[start:], text[start:].encode().decode("unicode_escape", "ignore")):
            try:
                value, _ = json.JSONDecoder().raw_decode(candidate)
            except ValueError:
                continue
            if isinstance(value, dict) and value:
                return value
        start = text.find("{", start + 1)
    return None


def foreign_causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those behind it, the outermost first."""
    cause: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
