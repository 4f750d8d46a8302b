from __future__ import annotations

import pytest

from gateway.config import Dialect, Provider, Responses
from gateway.config_spoken import SPOKEN, speaks

CLIENTS = ("openai", "responses", "anthropic", "gemini")


@pytest.mark.parametrize(
    ("dialect", "served"),
    [
        (Dialect.OPENAI, ["openai"]),
        (Dialect.ANTHROPIC, ["anthropic"]),
        (Dialect.GEMINI, ["gemini"]),
        (Dialect.CODE_ASSIST, ["gemini"]),
        (Dialect.LITELLM, ["openai"]),
        (Dialect.SIMULATED, list(CLIENTS)),
    ],
)
def test_a_provider_serves_its_own_dialect_and_a_simulated_one_all(
    dialect: Dialect, served: list[str]
) -> None:
    provider = Provider(name="p", dialect=dialect)
    assert [client for client in CLIENTS if speaks(provider, client)] == served
    assert SPOKEN.get(dialect, frozenset()) == frozenset(served)


@pytest.mark.parametrize(
    ("url", "native"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("https://API.X.AI/v1", True),
        ("https://openrouter.ai/api/v1", True),
        ("https://api.groq.com/openai/v1", True),
        ("https://api.mistral.ai/v1", False),
        ("https://api.openai.com.example/v1", False),
        ("http://127.0.0.1:1/v1", False),
        ("", False),
    ],
)
def test_the_address_says_whether_responses_are_served_unless_the_setting_does(
    url: str, native: bool
) -> None:
    def served(responses: Responses) -> bool:
        provider = Provider(name="p", dialect=Dialect.OPENAI, base_url=url, responses=responses)
        return speaks(provider, "responses")

    assert served(Responses.AUTO) is native
    assert served(Responses.NATIVE)
    assert not served(Responses.CHAT)


def test_the_setting_makes_no_other_dialect_speak_responses() -> None:
    provider = Provider(name="p", dialect=Dialect.ANTHROPIC, responses=Responses.NATIVE)
    assert not speaks(provider, "responses")
