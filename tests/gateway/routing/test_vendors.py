"""Whose service a provider is, however its operator has called it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config import Dialect, Provider
from gateway.config_environment import KNOWN_BASE_URLS
from gateway.routing.vendors import HOSTS, PREFIXES, VENDORS, by_host, by_name, vendor_of

WORK = Provider(name="work", dialect=Dialect.OPENAI)


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("groq", "groq"),
        ("groq-2", "groq"),
        ("my_groq", "groq"),
        ("Groq", "groq"),
        ("groqish", ""),
        ("z.ai", "glm"),
        ("gemini_cli", "code_assist"),
        ("google-vertex", "vertex"),
        ("fireworks_ai", "fireworks"),
        ("nvidia_nim", "nvidia"),
        ("work", ""),
        ("", ""),
    ],
)
def test_a_vendor_is_known_by_a_word_of_the_name(name: str, vendor: str) -> None:
    assert by_name(name) == vendor


@pytest.mark.parametrize(
    ("url", "vendor"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://API.GROQ.COM./openai/v1", "groq"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
        ("https://api.openai.com/v1", "openai"),
        ("https://europe-west4-aiplatform.googleapis.com/v1", "vertex"),
        ("https://aiplatform.googleapis.com/v1", "vertex"),
        ("https://generativelanguage.googleapis.com", "gemini"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://notgroq.com/v1", ""),
        ("https://groq.com.example.org/v1", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("http://[::1]:8000/v1", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_a_vendor_is_known_by_the_host(url: str, vendor: str) -> None:
    assert by_host(url) == vendor


def test_the_operators_word_comes_first_then_the_host_then_the_name() -> None:
    assert vendor_of(WORK, "m") == ""
    groq = replace(WORK, base_url="https://api.groq.com/openai/v1")
    assert vendor_of(groq, "m") == "groq"
    assert vendor_of(replace(groq, name="openai"), "m") == "groq"
    assert vendor_of(replace(groq, vendor="openrouter"), "m") == "openrouter"
    relayed = replace(WORK, name="groq", base_url="http://127.0.0.1:4000/v1")
    assert vendor_of(relayed, "m") == "groq"


def test_where_litellm_translates_the_models_prefix_tells() -> None:
    aws = Provider(name="aws", dialect=Dialect.LITELLM)
    assert vendor_of(aws, "bedrock/anthropic.claude-sonnet-5-v1:0") == "bedrock"
    assert vendor_of(aws, "vertex_ai/gemini-3-pro") == "vertex"
    assert vendor_of(aws, "cohere/command-a") == "cohere"
    assert vendor_of(replace(aws, name="azure"), "gpt-5.2") == "azure"
    # In other dialects a slash is part of the model's name and says nothing.
    assert vendor_of(WORK, "bedrock/x") == ""


def test_every_known_address_but_one_has_a_vendor() -> None:
    unknown = {name for name, url in KNOWN_BASE_URLS.items() if not by_host(url)}
    assert unknown == {"sambanova"}


def test_hosts_and_prefixes_lead_to_vendors_that_may_be_named() -> None:
    assert set(HOSTS.values()) | set(PREFIXES.values()) <= VENDORS
