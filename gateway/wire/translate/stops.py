"""Why an answer ended, and what it used, in each dialect's words."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.wire.translate.neutral import Json, Stop, Used
from gateway.wire.translate.reading import mapping, whole

CHAT: Mapping[object, Stop] = {
    "stop": Stop.DONE,
    "length": Stop.LENGTH,
    "tool_calls": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "content_filter": Stop.FILTERED,
}
ANTHROPIC: Mapping[object, Stop] = {
    "end_turn": Stop.DONE,
    "max_tokens": Stop.LENGTH,
    "tool_use": Stop.TOOLS,
    "stop_sequence": Stop.SEQUENCE,
    "refusal": Stop.REFUSED,
    "pause_turn": Stop.PAUSED,
    "model_context_window_exceeded": Stop.CONTEXT,
}
GEMINI: Mapping[object, Stop] = {
    "STOP": Stop.DONE,
    "MAX_TOKENS": Stop.LENGTH,
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "OTHER"),
        ),
        Stop.FILTERED,
    ),
}
GEMINI_FAULTS = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}
)
"""The model made a mess of it: nothing was answered."""

TO_CHAT = {
    Stop.LENGTH: "length",
    Stop.CONTEXT: "length",
    Stop.TOOLS: "tool_calls",
    Stop.FILTERED: "content_filter",
    Stop.REFUSED: "content_filter",
}
TO_ANTHROPIC = {
    Stop.LENGTH: "max_tokens",
    Stop.CONTEXT: "model_context_window_exceeded",
    Stop.TOOLS: "tool_use",
    Stop.SEQUENCE: "stop_sequence",
    Stop.FILTERED: "refusal",
    Stop.REFUSED: "refusal",
}
TO_GEMINI = {
    Stop.LENGTH: "MAX_TOKENS",
    Stop.CONTEXT: "MAX_TOKENS",
    Stop.FILTERED: "SAFETY",
    Stop.REFUSED: "SAFETY",
}
TO_RESPONSES = {
    Stop.LENGTH: "max_output_tokens",
    Stop.CONTEXT: "max_output_tokens",
    Stop.FILTERED: "content_filter",
    Stop.REFUSED: "content_filter",
}
"""Why it is `incomplete`; all others are `completed`."""


def settled(stop: Stop, *, calls: bool) -> Stop:
    """Servers are careless here: calls end an answer whatever it says, and nothing else does so."""
    if calls and stop in (Stop.DONE, Stop.SEQUENCE):
        return Stop.TOOLS
    return Stop.DONE if stop is Stop.TOOLS and not calls else stop


# -- usage ---------------------------------------------------------------------------------------


def chat_used(value: object) -> Used | None:
    told = mapping(value)
    if not told:
        return None
    prompt = mapping(told.get("prompt_tokens_details"))
    completion = mapping(told.get("completion_tokens_details"))
    return Used(
        input=whole(told.get("prompt_tokens")),
        cached=whole(prompt.get("cached_tokens")) or whole(told.get("prompt_cache_hit_tokens")),
        written=whole(prompt.get("cache_write_tokens")),
        output=whole(told.get("completion_tokens")),
        reasoning=whole(completion.get("reasoning_tokens")),
    )


def to_chat(used: Used) -> Json:
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {
            "cached_tokens": used.cached,
            **({"cache_write_tokens": used.written} if used.written else {}),
        },
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    }


def responses_used(value: object) -> Used | None:
    told = mapping(value)
    if not told:
        return None
    before = mapping(told.get("input_tokens_details"))
    return Used(
        input=whole(told.get("input_tokens")),
        cached=whole(before.get("cached_tokens")),
        written=whole(before.get("cache_write_tokens")),
        output=whole(told.get("output_tokens")),
        reasoning=whole(mapping(told.get("output_tokens_details")).get("reasoning_tokens")),
    )


def to_responses(used: Used) -> Json:
    return {
        "input_tokens": used.input,
        "input_tokens_details": {
            "cached_tokens": used.cached,
            "cache_write_tokens": used.written,
        },
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


def anthropic_used(told: Json) -> Used | None:
    """Its `input_tokens` leaves out what was read from or written to the cache."""
    if not told:
        return None
    cached = whole(told.get("cache_read_input_tokens"))
    written = whole(told.get("cache_creation_input_tokens"))
    return Used(
        input=whole(told.get("input_tokens")) + cached + written,
        cached=cached,
        written=written,
        output=whole(told.get("output_tokens")),
        reasoning=whole(mapping(told.get("output_tokens_details")).get("thinking_tokens")),
    )


def to_anthropic(used: Used) -> Json:
    told: Json = {
        "input_tokens": max(used.input - used.cached - used.written, 0),
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": used.output,
    }
    if used.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    return told


def gemini_used(value: object) -> Used | None:
    """Its `candidatesTokenCount` leaves out the thoughts."""
    told = mapping(value)
    if not told:
        return None
    thoughts = whole(told.get("thoughtsTokenCount"))
    return Used(
        input=whole(told.get("promptTokenCount")) + whole(told.get("toolUsePromptTokenCount")),
        cached=whole(told.get("cachedContentTokenCount")),
        output=whole(told.get("candidatesTokenCount")) + thoughts,
        reasoning=thoughts,
    )


def to_gemini(used: Used) -> Json:
    told: Json = {
        "promptTokenCount": used.input,
        "candidatesTokenCount": max(used.output - used.reasoning, 0),
        "totalTokenCount": used.input + used.output,
    }
    if used.cached:
        told["cachedContentTokenCount"] = used.cached
    if used.reasoning:
        told["thoughtsTokenCount"] = used.reasoning
    return told
