"""When the price table is read."""

from __future__ import annotations

import pytest

from gateway.app_prices import needed
from gateway.config import Billing, Config, Dialect, Provider


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (Provider(name="openai", dialect=Dialect.OPENAI), True),
        (Provider(name="work", dialect=Dialect.OPENAI, base_url="https://api.groq.com/v1"), True),
        (Provider(name="work", dialect=Dialect.OPENAI), False),
        (Provider(name="vllm", dialect=Dialect.OPENAI), False),
        (Provider(name="cloud", dialect=Dialect.LITELLM), True),
        (Provider(name="openai", dialect=Dialect.OPENAI, billing=Billing.FLAT), False),
        (Provider(name="sunny", dialect=Dialect.SIMULATED), False),
    ],
)
def test_only_where_somebody_pays_by_list_prices(provider: Provider, expected: bool) -> None:
    assert needed(Config(providers={provider.name: provider})) is expected
