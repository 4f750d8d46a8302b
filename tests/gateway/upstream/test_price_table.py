"""The table that litellm brings, read without running litellm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import Dialect, Provider
from gateway.events import Usage
from gateway.routing.prices import Prices
from gateway.upstream import price_table

MILLION = Usage(input_tokens=100_000, output_tokens=0)


def test_real_models_of_real_vendors_are_found() -> None:
    prices = Prices(price_table.load())
    assert len(prices.book) > 1000
    for vendor, model in (
        ("openai", "gpt-4o"),
        ("openai", "text-embedding-3-small"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-pro"),
        ("vertex", "gemini-2.5-pro"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("azure", "gpt-4o"),
        ("mistral", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
        ("cohere", "command-a-03-2025"),
    ):
        provider = Provider(name="x", dialect=Dialect.OPENAI, vendor=vendor)
        usd = prices.cost(provider, model, "", MILLION)
        assert usd is not None, (vendor, model)
        assert 0 < usd < 5


def test_litellm_is_not_imported_for_it() -> None:
    script = (
        "import sys; from gateway.upstream import price_table; "
        "print(len(price_table.load()) > 0, 'litellm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "False"]


def test_only_entries_with_prices_are_kept(tmp_path: Path) -> None:
    path = tmp_path / price_table.FILE_NAME
    entries = {
        "a": {"litellm_provider": "openai", "input_cost_per_token": 1e-6},
        "b": {"litellm_provider": "openai", "output_cost_per_image": 1},
        "c": {"litellm_provider": "nobody", "input_cost_per_token": 1e-6},
        "d": {"input_cost_per_token": 1e-6},
        "e": ["input_cost_per_token"],
    }
    path.write_text(json.dumps(entries), "utf-8")
    assert set(price_table.read(path)) == {"a"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1', "\0"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / price_table.FILE_NAME
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r".+"):
        price_table.read(path)
