"""Which of the clients' dialects a provider can be asked in as they are."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from gateway.config import Dialect, Provider, Responses

SPOKEN: Final[Mapping[Dialect, frozenset[str]]] = MappingProxyType(
    {
        Dialect.OPENAI: frozenset({"openai"}),
        Dialect.ANTHROPIC: frozenset({"anthropic"}),
        Dialect.GEMINI: frozenset({"gemini"}),
        Dialect.CODE_ASSIST: frozenset({"gemini"}),
        Dialect.SIMULATED: frozenset({"openai", "responses", "anthropic", "gemini"}),
    }
)
"""Responses is a matter of the provider's setting `responses` besides."""

RESPONSES_HOSTS: Final = (
    "api.openai.com",
    "*.api.openai.com",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
    "*.cognitiveservices.azure.com",
    "api.x.ai",
    "openrouter.ai",
    "api.groq.com",
)
"""Where `responses: auto` means native; all others are asked for chat completions only."""


def speaks(provider: Provider, client: str) -> bool:
    """Whether `provider` serves the client dialect `client` without translation."""
    if client in SPOKEN.get(provider.dialect, ()):
        return True
    if client != "responses" or provider.dialect is not Dialect.OPENAI:
        return False
    if provider.responses is Responses.AUTO:
        return _serves_responses(provider.base_url)
    return provider.responses is Responses.NATIVE


@lru_cache(maxsize=256)
def _serves_responses(base_url: str) -> bool:
    host = (urlsplit(base_url).hostname or "").lower()
    return any(fnmatchcase(host, glob) for glob in RESPONSES_HOSTS)
