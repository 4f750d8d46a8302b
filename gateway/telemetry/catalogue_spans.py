"""Every name that spans use, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Span(StrEnum):
    """Attributes and events of spans: OpenTelemetry's names where there is one, else our own.

    The GenAI names are those of semantic conventions 1.41.1, the last release before they moved
    to a repository of their own; `CONVENTIONS` says what other versions call them.
    """

    SCHEMA = "https://opentelemetry.io/schemas/1.41.1"

    METHOD = "http.request.method"
    STATUS = "http.response.status_code"
    RESEND = "http.request.resend_count"
    PATH = "url.path"
    HTTP_ROUTE = "http.route"
    ERROR = "error.type"

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    REQUEST_MODEL = "gen_ai.request.model"
    RESPONSE_MODEL = "gen_ai.response.model"
    CONVERSATION = "gen_ai.conversation.id"
    STREAM = "gen_ai.request.stream"
    FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

    INPUT = "gen_ai.input.messages"
    OUTPUT = "gen_ai.output.messages"

    REQUEST_ID = "evenkeel.request_id"
    ATTEMPT_ID = "evenkeel.attempt_id"
    ATTEMPT_NUMBER = "evenkeel.attempt.number"
    ROUTE = "evenkeel.route"
    CLIENT = "evenkeel.client"
    OUTCOME = "evenkeel.outcome"
    REASON = "evenkeel.reason"
    TARGET = "evenkeel.target"
    CREDENTIAL = "evenkeel.credential"
    ATTEMPTS = "evenkeel.attempts"
    SKIPPED = "evenkeel.skipped"
    FALLBACK_FROM = "evenkeel.fallback.from"
    FALLBACK_REASON = "evenkeel.fallback.reason"
    PROBE = "evenkeel.probe"
    FROM = "evenkeel.from"
    TO = "evenkeel.to"
    SWITCH = "evenkeel.switch"
    SCOPE = "evenkeel.scope"
    SOURCE = "evenkeel.source"
    SECONDS = "evenkeel.duration_seconds"
    ENDED = "evenkeel.ended"
    DWELL = "evenkeel.dwell_seconds"
    HOLD = "evenkeel.hold_seconds"
    PENALTY = "evenkeel.penalty"
    REVERSAL = "evenkeel.reversal"
    WAITED = "evenkeel.waited_seconds"
    COST = "evenkeel.cost_usd"

    WAITED_EVENT = "evenkeel.waited"
    SKIPPED_EVENT = "evenkeel.candidate_skipped"
    SWITCHED_EVENT = "evenkeel.switched"
    COOLDOWN_EVENT = "evenkeel.cooldown_started"


CONVENTIONS: Final[Mapping[str, Mapping[Span, str]]] = {
    "1.41": {},
    "development": {Span.CACHE_WRITE_TOKENS: "gen_ai.usage.cache_write.input_tokens"},
}
"""Version of the GenAI conventions (`telemetry.genai_conventions`) → names that differ there."""
OPERATIONS: Final = {
    "/v1/embeddings": "embeddings",
    "/v1/messages/count_tokens": "count_tokens",
}
"""Endpoint → `gen_ai.operation.name`, which is `chat` for all others."""
PROVIDERS: Final = {"gemini": "gcp.gemini", "google": "gcp.gemini", "mistral": "mistral_ai"}
"""Usual names of providers in configurations → the well-known value for them."""
