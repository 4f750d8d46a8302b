"""What an attempt costs: its tokens times the price of the model that served it.

A price comes from the operator (`providers.*.prices`) or from a book of list prices, found by
vendor and model. What is not known is None and never 0; a wrong bill that is believed is worse
than none. Reading the book from a file is `upstream.price_table`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import NamedTuple

from gateway.config import Billing, Dialect, Price, Provider
from gateway.events import Usage
from gateway.routing.vendors import vendor_of

MILLION = 1_000_000
FOUND_MAX = 1024
"""Tariffs found and kept by their names; a model's name may be any text of an answer."""


class Kind(Enum):
    INPUT = "input_cost_per_token"
    OUTPUT = "output_cost_per_token"
    CACHED = "cache_read_input_token_cost"
    WRITE = "cache_creation_input_token_cost"
    WRITE_1H = "cache_creation_input_token_cost_above_1hr"
    """Of a cache that is kept for an hour."""
    REASONING = "output_cost_per_reasoning_token"


INSTEAD: Mapping[Kind, Kind | None] = {
    Kind.INPUT: None,
    Kind.OUTPUT: None,
    Kind.CACHED: Kind.INPUT,
    Kind.WRITE: Kind.INPUT,
    Kind.WRITE_1H: Kind.WRITE,
    Kind.REASONING: Kind.OUTPUT,
}
"""What tokens of a kind cost where it has no price of its own."""

PAID = (Kind.INPUT, Kind.CACHED, Kind.WRITE, Kind.WRITE_1H, Kind.OUTPUT, Kind.REASONING)
"""In the order in which an attempt's costs are added up."""

KEY = re.compile(
    rf"({'|'.join(sorted((kind.value for kind in Kind), key=len, reverse=True))})"
    r"(?:_above_([0-9]+)k_tokens)?(?:_(priority|flex|batches))?"
)
"""A price in the table: of what, from how many thousand tokens of input on, in which tier."""

TIERS: Mapping[str, str] = {"priority": "priority", "flex": "flex", "batch": "batches"}
"""A tier as an answer names it, and as the table does; any other one costs the usual."""


@dataclass(frozen=True, slots=True)
class Rate:
    kind: Kind
    above: int
    """Holds for requests with more tokens of input than this."""
    tier: str
    """Empty for the usual one."""
    usd: float
    """For one token."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices of one model."""

    seller: str
    """Who sells it at these prices, by the table's names."""
    rates: tuple[Rate, ...]
    _found: dict[tuple[str, int], tuple[float | None, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def each(self, input_tokens: int, tier: str) -> tuple[float | None, ...]:
        """`usd` of each of `PAID`, found once for all numbers of tokens between two thresholds."""
        band = sum(input_tokens > rate.above for rate in self.rates)
        found = self._found.get((tier, band))
        if found is None:
            found = tuple(self.usd(kind, input_tokens, tier) for kind in PAID)
            self._found[tier, band] = found
        return found

    def usd(self, kind: Kind, input_tokens: int, tier: str) -> float | None:
        """For one token; None if no price is known."""
        fitting = [
            (rate.tier == tier, rate.above, rate.usd)
            for rate in self.rates
            if rate.kind is kind and rate.tier in ("", tier) and input_tokens > rate.above
        ]
        if fitting:
            return max(fitting)[2]
        other = INSTEAD[kind]
        return None if other is None else self.usd(other, input_tokens, tier)


def tariff(seller: str, entry: Mapping[str, object]) -> Tariff | None:
    """The prices in one entry of the table; None if it sells no tokens."""
    rates = []
    for name, value in entry.items():
        found = KEY.fullmatch(name)
        if found is None or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        kind, above, tier = found.groups()
        if value >= 0:
            rates.append(Rate(Kind(kind), int(above or 0) * 1000 or -1, tier or "", float(value)))
    known = any(rate.kind is Kind.INPUT for rate in rates)
    return Tariff(seller, tuple(rates)) if known else None


def of_operator(price: Price) -> Tariff:
    given = {
        Kind.INPUT: price.input_per_million,
        Kind.OUTPUT: price.output_per_million,
        Kind.CACHED: price.cached_per_million,
        Kind.WRITE: price.cache_write_per_million,
    }
    rates = [Rate(kind, -1, "", usd / MILLION) for kind, usd in given.items() if usd is not None]
    return Tariff("operator", tuple(rates))


def cost(usage: Usage, prices: Tariff) -> float | None:
    """In US dollars; None where a count or a price that is needed is not known."""
    if usage.input_tokens is None:
        return None
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    hourly = min(usage.cache_write_1h_tokens or 0, written)
    reasoning = min(usage.reasoning_tokens or 0, usage.output_tokens or 0)
    counts = (  # Of `PAID`.
        max(0, usage.input_tokens - cached - written),
        cached,
        written - hourly,
        hourly,
        None if usage.output_tokens is None else usage.output_tokens - reasoning,
        reasoning,
    )
    tier = TIERS.get(usage.service_tier, "")
    total = 0.0
    for count, usd in zip(counts, prices.each(usage.input_tokens, tier), strict=True):
        if count == 0:
            continue
        if count is None:  # Embeddings have no output, and none is sold.
            if usd:
                return None
        elif usd is None:
            return None
        else:
            total += count * usd
    return total


SELLERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "anthropic": (("", "anthropic/"), ("anthropic",)),
    "azure": (("azure/", "azure_ai/"), ("azure",)),
    "bedrock": (("", "bedrock/", "bedrock/converse/"), ("bedrock",)),
    "cerebras": (("cerebras/",), ("cerebras",)),
    "cohere": (("", "cohere/", "cohere_chat/"), ("cohere",)),
    "dashscope": (("dashscope/",), ("dashscope",)),
    "deepseek": (("deepseek/", ""), ("deepseek",)),
    "fireworks": (("fireworks_ai/",), ("fireworks_ai",)),
    "gemini": (("gemini/",), ("gemini",)),
    "glm": (("zai/",), ("zai",)),
    "groq": (("groq/",), ("groq",)),
    "mistral": (("mistral/",), ("mistral",)),
    "moonshot": (("moonshot/",), ("moonshot",)),
    "nvidia": (("nvidia_nim/",), ("nvidia_nim",)),
    "openai": (("", "openai/"), ("openai", "text-completion-openai")),
    "openrouter": (("openrouter/",), ("openrouter",)),
    "together": (("together_ai/",), ("together_ai",)),
    "vertex": (("vertex_ai/", ""), ("vertex_ai",)),
    "xai": (("xai/",), ("xai",)),
}
"""By vendor: what its models' names begin with in the table, and how its sellers' names begin.
A vendor that is missing here has no list prices: plans, and servers of one's own."""

DATE = re.compile(r"[-@](?:20[0-9]{2}-?[0-9]{2}-?[0-9]{2})$")
GEOGRAPHY = re.compile(r"^(?:us|eu|apac|jp|au|global|us-gov)\.")
"""Of a Bedrock inference profile."""


def sold(seller: str) -> bool:
    """Whether any vendor's price could be this seller's."""
    return any(seller.startswith(known) for _, known in SELLERS.values())


class _Found(NamedTuple):
    provider: Provider
    book: Mapping[str, Tariff]
    tariff: Tariff | None


@dataclass(slots=True)
class Prices:
    """The prices that are in force; the book arrives once it has been read."""

    book: Mapping[str, Tariff] = field(default_factory=dict)
    _found: dict[tuple[str, str, str], _Found] = field(default_factory=dict, repr=False)
    """By provider and the two names; holds for the provider and the book it was found with."""

    def cost(
        self, provider: Provider, model: str, served_model: str, usage: Usage | None
    ) -> float | None:
        """Of one attempt. Nothing is paid for a token of a plan or of a free provider, except
        where the operator says what it is worth."""
        if usage is None:
            return None
        own = _of_globs(provider.prices, (model, served_model)) if provider.prices else None
        if own is not None:
            return cost(usage, of_operator(own))
        if provider.billing is not Billing.METERED:
            return 0.0
        name = (provider.name, model, served_model)
        known = self._found.get(name)
        if known is None or known.provider is not provider or known.book is not self.book:
            if len(self._found) >= FOUND_MAX:
                self._found.clear()
            known = _Found(provider, self.book, self.find(provider, model, served_model))
            self._found[name] = known
        return None if known.tariff is None else cost(usage, known.tariff)

    def find(self, provider: Provider, model: str, served_model: str) -> Tariff | None:
        """By the model that answered, as it calls itself, else by the one that was asked."""
        if provider.dialect is Dialect.SIMULATED:
            return None
        vendor = vendor_of(provider, model)
        prefixes, sellers = SELLERS.get(vendor, ((), ()))
        for name in _names(model, served_model):
            for prefix in prefixes:
                found = self.book.get(prefix + name)
                if found is not None and found.seller.startswith(sellers):
                    return found
        return None


def _of_globs(prices: Mapping[str, Price], models: Iterable[str]) -> Price | None:
    for model in models:
        for glob, price in prices.items():
            if model and fnmatchcase(model, glob):
                return price
    return None


def _names(model: str, served_model: str) -> Iterator[str]:
    asked = [served_model, model, model.partition("/")[2]]
    asked = [each for each in asked if each]
    yield from asked
    for each in asked:
        plain = DATE.sub("", GEOGRAPHY.sub("", each))
        if plain != each:
            yield plain
