"""One answer, said in any of the four dialects: which module makes its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from gateway.upstream import simulated_answers as answers
from gateway.upstream import simulated_gemini as of_gemini
from gateway.upstream import simulated_responses as of_responses
from gateway.upstream.simulated_answers import Frames, Said

_BODIES: Mapping[str, Callable[[Said], bytes]] = MappingProxyType(
    {
        "openai": answers.openai_body,
        "responses": of_responses.responses_body,
        "anthropic": answers.anthropic_body,
        "gemini": of_gemini.gemini_body,
    }
)
_FRAMES: Mapping[str, Callable[[Said], Frames]] = MappingProxyType(
    {
        "openai": answers.openai_frames,
        "responses": of_responses.responses_frames,
        "anthropic": answers.anthropic_frames,
        "gemini": of_gemini.gemini_frames,
    }
)
DIALECTS = tuple(_BODIES)


def body(dialect: str, said: Said) -> bytes:
    return _BODIES[dialect](said)


def frames(dialect: str, said: Said) -> Frames:
    return _FRAMES[dialect](said)


def error_event(dialect: str, error: Mapping[str, Any]) -> bytes:
    """An error in the middle of a stream, as the dialect's providers send it."""
    if dialect == "responses":
        return of_responses.responses_error_event(error)
    if dialect == "gemini":
        return of_gemini.gemini_error_event(error)
    return answers.error_event(dialect, error)


def ping(dialect: str) -> bytes:
    """What keeps a silent stream alive."""
    return b'event: ping\ndata: {"type": "ping"}\n\n' if dialect == "anthropic" else b": ping\n\n"
