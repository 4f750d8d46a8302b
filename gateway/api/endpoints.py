"""The inference paths of all dialects: which wire reads what comes there, and where it goes.

OpenAI's and Anthropic's are fixed; Gemini's hold the model, which may itself hold slashes and
colons (`/v1beta/models/openai/gpt-5.2:generateContent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.wire import gemini
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.gemini import GeminiWire
from gateway.wire.headers import wants_events
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesWire

OPENAI = OpenAIWire()
RESPONSES = ResponsesWire()
ANTHROPIC = AnthropicWire()
GEMINI = GeminiWire()

GEMINI_ROOTS = ("/v1beta/models", "/v1alpha/models")
"""Where Gemini's models and methods are; its methods also stand below `/v1/models`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    path: str
    """As the history names it."""
    wire: Wire
    upstream_path: str
    """Below the dialect's root; with `{model}` where the model's name belongs."""
    talks: bool = True
    """It carries a conversation."""
    as_array: bool = False
    """A stream leaves as a JSON array instead of events."""


ENDPOINTS = (
    Endpoint("/v1/chat/completions", OPENAI, "/chat/completions"),
    Endpoint("/v1/responses", RESPONSES, "/responses"),
    Endpoint("/v1/embeddings", OPENAI, "/embeddings", talks=False),
    Endpoint("/v1/messages", ANTHROPIC, "/v1/messages"),
    Endpoint("/v1/messages/count_tokens", ANTHROPIC, "/v1/messages/count_tokens"),
)
_BY_PATH: Mapping[str, Endpoint] = {endpoint.path: endpoint for endpoint in ENDPOINTS}
_METHOD_ROOTS = tuple(f"{root}/" for root in (*GEMINI_ROOTS, "/v1/models"))
_TALKING = frozenset({gemini.GENERATE, gemini.STREAM, gemini.COUNT})


def fixed(request: web.Request) -> Endpoint:
    return _BY_PATH[request.path]


def of_gemini(request: web.Request) -> Endpoint | None:
    return gemini_method(request.match_info["rest"], request.rel_url.raw_query_string)


def at(path: str, query: str) -> Endpoint | None:
    """The endpoint of a POST to a plain path, one without escapes; None for any other."""
    found = _BY_PATH.get(path)
    if found is not None or "//" in path or "/." in path:
        return found
    for root in _METHOD_ROOTS:
        if path.startswith(root):
            return gemini_method(path[len(root) :], query)
    return None


def gemini_method(rest: str, query: str) -> Endpoint | None:
    """From what stands behind `models/`; None for a method that is not served."""
    model, _, method = rest.rpartition(":")
    if not model or method not in gemini.METHODS:
        return None
    streams = method == gemini.STREAM
    return Endpoint(
        f"/v1beta/models/{{model}}:{method}",
        GeminiWire(model, method),
        f"/models/{{model}}:{method}",
        talks=method in _TALKING,
        as_array=streams and not wants_events(query),
    )


def is_google(request: web.Request) -> bool:
    """Google's clients, some of which use the paths below `/v1` as OpenAI's do."""
    headers = request.headers
    return "x-goog-api-client" in headers or "x-goog-api-key" in headers


def wire_of(request: web.Request) -> Wire:
    """Whose client is listening, where no endpoint was found."""
    path = request.path
    if path.startswith(GEMINI_ROOTS) or ":" in path.rpartition("/")[2] or is_google(request):
        return GEMINI
    if path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return ANTHROPIC
    return OPENAI
