"""Which of the clients' dialects a provider can be asked in as they are, and which one else."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from gateway.config import Dialect, Provider, Responses
from gateway.wire.translate.registry import translation

SPOKEN: Final[Mapping[Dialect, frozenset[str]]] = MappingProxyType(
    {
        Dialect.OPENAI: frozenset({"openai"}),
        Dialect.ANTHROPIC: frozenset({"anthropic"}),
        Dialect.GEMINI: frozenset({"gemini"}),
        Dialect.CODE_ASSIST: frozenset({"gemini"}),
        Dialect.LITELLM: frozenset({"openai"}),
        Dialect.SIMULATED: frozenset({"openai", "responses", "anthropic", "gemini"}),
    }
)
"""Responses is a matter of the provider's setting `responses` besides."""

OWN: Final[Mapping[Dialect, str]] = MappingProxyType(
    {
        Dialect.OPENAI: "openai",
        Dialect.ANTHROPIC: "anthropic",
        Dialect.GEMINI: "gemini",
        Dialect.CODE_ASSIST: "gemini",
        Dialect.LITELLM: "openai",
        Dialect.SIMULATED: "openai",
    }
)
"""What a request is translated into for a provider that does not speak the client's dialect."""

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


def serves(provider: Provider, client: str) -> bool:
    """Whether `provider` can serve clients of `client`, translated or as they are."""
    target = spoken(provider, client)
    return target == client or _translates(client, target)


def spoken(provider: Provider, client: str) -> str:
    """The dialect in which `provider` is asked for clients of `client`."""
    return client if speaks(provider, client) else OWN[provider.dialect]


def speaks(provider: Provider, client: str) -> bool:
    """Whether `provider` serves the client dialect `client` without translation."""
    if client in SPOKEN.get(provider.dialect, ()):
        return True
    if client != "responses" or provider.dialect is not Dialect.OPENAI:
        return False
    if provider.responses is Responses.AUTO:
        return _serves_responses(provider.base_url)
    return provider.responses is Responses.NATIVE


@lru_cache(maxsize=64)
def _translates(client: str, target: str) -> bool:
    return translation(client, target) is not None


@lru_cache(maxsize=256)
def _serves_responses(base_url: str) -> bool:
    host = (urlsplit(base_url).hostname or "").lower()
    return any(fnmatchcase(host, glob) for glob in RESPONSES_HOSTS)
