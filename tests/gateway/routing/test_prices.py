"""Tokens times prices: which price, of which tokens, and when nobody knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config import Billing, Dialect, Price, Provider
from gateway.events import Usage
from gateway.routing.prices import FOUND_MAX, PAID, Prices, Tariff, cost, of_operator, sold, tariff

GPT: dict[str, Any] = {
    "input_cost_per_token": 2e-6,
    "cache_read_input_token_cost": 0.2e-6,
    "output_cost_per_token": 10e-6,
    "input_cost_per_token_priority": 4e-6,
    "output_cost_per_token_priority": 20e-6,
    "input_cost_per_token_batches": 1e-6,
    "litellm_provider": "openai",
    "mode": "chat",
    "max_input_tokens": 272000,
}
CLAUDE: dict[str, Any] = {
    "input_cost_per_token": 3e-6,
    "input_cost_per_token_above_200k_tokens": 6e-6,
    "cache_read_input_token_cost": 0.3e-6,
    "cache_creation_input_token_cost": 3.75e-6,
    "cache_creation_input_token_cost_above_1hr": 6e-6,
    "output_cost_per_token": 15e-6,
    "output_cost_per_token_above_200k_tokens": 22.5e-6,
}
OPENAI = Provider(name="openai", dialect=Dialect.OPENAI)


def known(seller: str, entry: dict[str, Any]) -> Tariff:
    found = tariff(seller, entry)
    assert found is not None
    return found


INPUT = "input_cost_per_token"
GPT_TARIFF, CLAUDE_TARIFF = known("openai", GPT), known("anthropic", CLAUDE)


def used(given: int | None, made: int | None, **more: Any) -> Usage:
    return Usage(input_tokens=given, output_tokens=made, **more)


@pytest.mark.parametrize(
    ("prices", "usage", "micro_dollars"),
    [
        (GPT_TARIFF, used(1000, 100), 2000 + 1000),
        (GPT_TARIFF, used(1000, 100, cached_tokens=400), 600 * 2 + 400 * 0.2 + 1000),
        (GPT_TARIFF, used(1000, 100, reasoning_tokens=60), 2000 + 1000),
        (GPT_TARIFF, used(1000, 100, cache_write_tokens=500), 2000 + 1000),
        (GPT_TARIFF, used(1000, 100, service_tier="priority"), 4000 + 2000),
        (GPT_TARIFF, used(1000, 100, service_tier="batch"), 1000 + 1000),
        (GPT_TARIFF, used(1000, 100, service_tier="default"), 2000 + 1000),
        (GPT_TARIFF, used(0, 0), 0),
        (
            CLAUDE_TARIFF,
            used(10_000, 10, cached_tokens=6000, cache_write_tokens=3000),
            1000 * 3 + 6000 * 0.3 + 3000 * 3.75 + 150,
        ),
        (
            CLAUDE_TARIFF,
            used(10_000, 10, cache_write_tokens=3000, cache_write_1h_tokens=1000),
            7000 * 3 + 2000 * 3.75 + 1000 * 6 + 150,
        ),
        (CLAUDE_TARIFF, used(200_000, 100), 600_000 + 1500),
        (CLAUDE_TARIFF, used(200_001, 100), 200_001 * 6 + 2250),
        # More cached than there was at all: a provider's slip costs no negative amount.
        (CLAUDE_TARIFF, used(10, 0, cached_tokens=100), 30),
    ],
)
def test_each_kind_of_token_has_its_price(
    prices: Tariff, usage: Usage, micro_dollars: float
) -> None:
    assert cost(usage, prices) == pytest.approx(micro_dollars / 1e6, abs=1e-12)


def test_reasoning_may_have_a_price_of_its_own() -> None:
    dear = known("x", {**GPT, "output_cost_per_reasoning_token": 30e-6})
    assert cost(used(0, 100, reasoning_tokens=60), dear) == pytest.approx(40 * 10e-6 + 60 * 30e-6)


def test_what_is_not_counted_or_not_priced_is_not_known() -> None:
    assert cost(used(None, 10), GPT_TARIFF) is None
    assert cost(used(10, None), GPT_TARIFF) is None
    assert cost(used(10, 10), known("x", {"input_cost_per_token": 1e-6})) is None
    assert cost(used(10, 0), known("x", {"input_cost_per_token": 1e-6})) == pytest.approx(1e-5)


def test_an_embedding_has_no_output_to_pay_for() -> None:
    embedding = {"input_cost_per_token": 1e-6, "output_cost_per_token": 0.0}
    assert cost(used(10, None), known("openai", embedding)) == pytest.approx(1e-5)


def test_an_entry_that_sells_no_tokens_is_no_tariff() -> None:
    assert tariff("x", {"output_cost_per_image": 0.04, "mode": "image_generation"}) is None
    assert tariff("x", {"input_cost_per_token": True, "output_cost_per_token": "1"}) is None
    assert tariff("x", {"input_cost_per_token": -1}) is None


def test_an_operators_price_is_for_a_million() -> None:
    price = Price(input_per_million=3, output_per_million=15, cached_per_million=0.3)
    usage = used(1_000_000, 1000, cached_tokens=500_000, cache_write_tokens=100_000)
    assert cost(usage, of_operator(price)) == pytest.approx(0.5 * 3 + 0.5 * 0.3 + 0.015)


BOOK = Prices(
    {
        "gpt-5.2": GPT_TARIFF,
        "gpt-5.2-2026-01-01": known("openai", {**GPT, "input_cost_per_token": 9e-6}),
        "groq/llama": known("groq", GPT),
        "openrouter/anthropic/claude": known("openrouter", CLAUDE),
        "claude": CLAUDE_TARIFF,
        "azure/gpt-5.2": known("azure", GPT),
        "anthropic.claude-v1:0": known("bedrock_converse", CLAUDE),
        "cohere/command": known("cohere_chat", GPT),
        "mixtral": known("deepinfra", GPT),
    }
)


@pytest.mark.parametrize(
    ("vendor", "model", "served", "seller", "input_usd"),
    [
        ("openai", "gpt-5.2", "", "openai", 2e-6),
        ("openai", "gpt-5.2", "gpt-5.2-2026-01-01", "openai", 9e-6),
        ("openai", "gpt-5.2", "gpt-5.2-2026-02-02", "openai", 2e-6),
        ("openai", "gpt-5.2-2026-03-03", "", "openai", 2e-6),
        ("openai", "gpt-9", "gpt-9", None, 0),
        ("openai", "claude", "", None, 0),  # Somebody else's model of that name.
        ("openai", "mixtral", "", None, 0),
        ("anthropic", "claude-20260101", "claude-20260101", "anthropic", 3e-6),
        ("groq", "llama", "llama", "groq", 2e-6),
        ("openrouter", "anthropic/claude", "anthropic/claude", "openrouter", 3e-6),
        ("azure", "my-deployment", "gpt-5.2-2026-01-01", "azure", 2e-6),
        ("bedrock", "eu.anthropic.claude-v1:0", "", "bedrock_converse", 3e-6),
        ("bedrock", "bedrock/anthropic.claude-v1:0", "", "bedrock_converse", 3e-6),
        ("cohere", "cohere/command", "", "cohere_chat", 2e-6),
        ("vllm", "gpt-5.2", "gpt-5.2", None, 0),
        ("", "gpt-5.2", "gpt-5.2", None, 0),
    ],
)
def test_the_price_is_that_of_the_vendors_model(
    vendor: str, model: str, served: str, seller: str | None, input_usd: float
) -> None:
    at = replace(OPENAI, name="work", vendor=vendor)
    found = BOOK.find(at, model, served)
    assert (found.seller if found else None) == seller
    if found is not None:
        assert cost(used(1, 0), found) == pytest.approx(input_usd)


def test_without_a_vendors_name_a_model_of_litellm_tells() -> None:
    at = Provider(name="cloud", dialect=Dialect.LITELLM)
    found = BOOK.find(at, "cohere/command", "command")
    assert found is not None
    assert found.seller == "cohere_chat"


def test_the_operators_price_comes_first_by_glob() -> None:
    mine = {"gpt-*": Price(input_per_million=1.0), "*": Price(input_per_million=7.0)}
    at = replace(OPENAI, prices=mine)
    assert BOOK.cost(at, "gpt-5.2", "", used(1_000_000, 0)) == 1.0
    assert BOOK.cost(at, "other", "", used(1_000_000, 0)) == 7.0


def test_plans_and_free_providers_cost_nothing_unless_the_operator_says_so() -> None:
    for billing in (Billing.FLAT, Billing.FREE):
        plan = replace(OPENAI, billing=billing)
        assert BOOK.cost(plan, "gpt-5.2", "", used(10, 10)) == 0.0
        assert BOOK.cost(plan, "gpt-5.2", "", None) is None
        worth = replace(plan, prices={"*": Price(input_per_million=2.0)})
        assert BOOK.cost(worth, "gpt-5.2", "", used(1_000_000, 10)) == 2.0


def test_an_unknown_price_is_none_and_never_nothing() -> None:
    assert BOOK.cost(OPENAI, "gpt-9", "", used(10, 10)) is None
    assert Prices().cost(OPENAI, "gpt-5.2", "", used(10, 10)) is None
    simulated = replace(OPENAI, dialect=Dialect.SIMULATED)
    assert BOOK.cost(simulated, "gpt-5.2", "", used(10, 10)) is None


def test_only_sellers_that_a_vendor_leads_to_are_kept() -> None:
    assert sold("bedrock_converse")
    assert sold("vertex_ai-anthropic_models")
    assert not sold("deepinfra")


@pytest.mark.parametrize("prices", [GPT_TARIFF, CLAUDE_TARIFF])
def test_prices_found_for_a_band_hold_for_all_of_it(prices: Tariff) -> None:
    for tokens in (0, 1, 200_000, 200_001, 5, 272_000, 272_001, 10**9, 200_000):
        for tier in ("", "priority", "flex", "batches"):
            assert prices.each(tokens, tier) == tuple(
                prices.usd(kind, tokens, tier) for kind in PAID
            )


def test_what_was_found_is_forgotten_with_its_provider_and_its_book() -> None:
    usage = used(1000, 0)
    prices = Prices({"gpt-5.2": GPT_TARIFF})
    first = prices.cost(OPENAI, "gpt-5.2", "", usage)
    assert first == prices.cost(OPENAI, "gpt-5.2", "", usage) == pytest.approx(0.002)
    assert prices.cost(replace(OPENAI, vendor="groq"), "gpt-5.2", "", usage) is None
    assert prices.cost(OPENAI, "gpt-5.2", "", usage) == first
    prices.book = {"gpt-5.2": CLAUDE_TARIFF, "openai/gpt-5.2": known("openai", {**GPT, INPUT: 1.0})}
    assert prices.cost(OPENAI, "gpt-5.2", "", usage) == pytest.approx(1000.0)


def test_names_out_of_answers_are_kept_up_to_a_bound() -> None:
    prices = Prices({"gpt-5.2": GPT_TARIFF})
    for number in range(FOUND_MAX + 10):
        prices.cost(OPENAI, "gpt-5.2", f"served-{number}", used(1, 1))
    assert len(prices._found) == 10
