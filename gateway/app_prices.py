"""The price table for the gateway: read in a thread, once a provider needs it."""

from __future__ import annotations

import asyncio

from gateway.api.context import Context
from gateway.config import Billing, Config, Dialect
from gateway.routing.prices import SELLERS, Prices
from gateway.routing.vendors import vendor_of
from gateway.upstream import price_table

LOOK_SECONDS = 5.0
"""How soon after a reload a provider's prices may be missing."""


async def read_prices(context: Context, prices: Prices) -> None:
    """Ends when the table is there: most processes need it at once, or never."""
    while not needed(context.config):
        await context.clock.sleep(LOOK_SECONDS)
    prices.book = await asyncio.to_thread(price_table.load)


def needed(config: Config) -> bool:
    """Whether any provider has models with list prices that somebody pays."""
    return any(
        provider.billing is Billing.METERED
        and (provider.dialect is Dialect.LITELLM or vendor_of(provider, "") in SELLERS)
        for provider in config.providers.values()
    )
