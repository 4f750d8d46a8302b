"""Whose service a configured provider is: it decides which error rules and which prices apply.

Asked in this order: the operator's `vendor`, the prefix of a litellm model (`bedrock/…`), the host
of the base URL, a word of the provider's name. A provider may be called `work`, and a relay before
Groq may stand at an address of its own. An empty vendor is judged by the common tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from urllib.parse import urlsplit

from gateway.config import Dialect, Provider

WORDS: Mapping[str, str] = {
    "aistudio": "gemini",
    "alibaba": "dashscope",
    "anthropic": "anthropic",
    "antigravity": "code_assist",
    "azure": "azure",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "claude": "anthropic",
    "code_assist": "code_assist",
    "cohere": "cohere",
    "copilot": "github",
    "dashscope": "dashscope",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "gemini",
    "gemini_cli": "code_assist",
    "github": "github",
    "glm": "glm",
    "google": "gemini",
    "google_vertex": "vertex",
    "groq": "groq",
    "kimi": "moonshot",
    "mistral": "mistral",
    "moonshot": "moonshot",
    "nim": "nvidia",
    "nvidia": "nvidia",
    "ollama": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "qwen": "dashscope",
    "together": "together",
    "vertex": "vertex",
    "vllm": "vllm",
    "xai": "xai",
    "z_ai": "glm",
    "zai": "glm",
    "zhipu": "glm",
}
"""By one or two words of a name: `groq`, `groq-2` and `my_groq` are Groq."""

VENDORS: frozenset[str] = frozenset(WORDS.values())
"""What `providers.*.vendor` may say."""

HOSTS: Mapping[str, str] = {
    "aiplatform.googleapis.com": "vertex",
    "aliyuncs.com": "dashscope",
    "amazonaws.com": "bedrock",
    "anthropic.com": "anthropic",
    "api.kimi.com": "moonshot",
    "azure.com": "azure",
    "bigmodel.cn": "glm",
    "cerebras.ai": "cerebras",
    "cloudcode-pa.googleapis.com": "code_assist",
    "cohere.ai": "cohere",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "fireworks.ai": "fireworks",
    "generativelanguage.googleapis.com": "gemini",
    "githubcopilot.com": "github",
    "groq.com": "groq",
    "mistral.ai": "mistral",
    "models.github.ai": "github",
    "moonshot.ai": "moonshot",
    "moonshot.cn": "moonshot",
    "nvidia.com": "nvidia",
    "ollama.com": "ollama",
    "openai.com": "openai",
    "openrouter.ai": "openrouter",
    "together.ai": "together",
    "together.xyz": "together",
    "x.ai": "xai",
    "z.ai": "glm",
}
"""By the end of a host's name."""

REGIONAL_VERTEX = "-aiplatform.googleapis.com"

PREFIXES: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "dashscope": "dashscope",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "gemini",
    "github": "github",
    "github_copilot": "github",
    "groq": "groq",
    "hosted_vllm": "vllm",
    "mistral": "mistral",
    "moonshot": "moonshot",
    "nvidia_nim": "nvidia",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "sagemaker": "bedrock",
    "together_ai": "together",
    "vertex_ai": "vertex",
    "vertex_ai_beta": "vertex",
    "xai": "xai",
    "zai": "glm",
}
"""What a model's name begins with where litellm translates: before the first `/`."""


def vendor_of(provider: Provider, model: str) -> str:
    """Whose service answers for `model` of this provider; empty if nobody knows."""
    if provider.vendor:
        return provider.vendor
    prefix = model.partition("/")[0] if provider.dialect is Dialect.LITELLM else ""
    return _found(prefix, provider.base_url, provider.name)


@lru_cache(maxsize=1024)
def _found(prefix: str, base_url: str, name: str) -> str:
    return PREFIXES.get(prefix, "") or by_host(base_url) or by_name(name)


def by_host(base_url: str) -> str:
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
    if host.endswith(REGIONAL_VERTEX):
        return "vertex"
    while host:
        if host in HOSTS:
            return HOSTS[host]
        host = host.partition(".")[2]
    return ""


def by_name(name: str) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    pairs = [f"{one}_{two}" for one, two in pairwise(words)]
    return next((WORDS[each] for each in (*pairs, *words) if each in WORDS), "")
