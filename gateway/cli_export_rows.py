"""Rows of the history for the command line, oldest first and page by page, however many there are.

From the gateway's own export, or from the database where no gateway answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from gateway.cli_asked import Asked, database, note
from gateway.cli_client import Item, Params, Unreachable, lines
from gateway.cli_database import Unreadable, stored_pages

TABLES: Final = ("events", "requests", "attempts", "switches", "cooldowns")
PAGE_ROWS: Final = 1000


async def pages(
    asked: Asked, table: str, filters: Params, *, quiet: bool = False
) -> AsyncGenerator[list[Item]]:
    """`quiet`: it has been said already where they are from. Raises what `cli_client` and `cli_database` raise."""
    begun, problem = False, None
    try:
        async with aclosing(_over_http(asked, table, filters)) as found:
            async for page in found:
                begun = True
                yield page
    except Unreachable as error:
        if begun or asked.url_given:
            raise
        problem = error
    if problem is None:
        return
    try:
        async with aclosing(stored_pages(database(asked), asked.folder, table, filters)) as stored:
            async for page in stored:
                if not begun and not quiet:
                    note(f"{problem}; this is from the database")
                begun = True
                yield page
    except Unreadable as unreadable:
        message = f"{problem}, and {unreadable}"
        raise Unreachable(message) from unreadable


async def rows(asked: Asked, table: str, filters: Params, *, quiet: bool = False) -> list[Item]:
    """All of them at once."""
    found: list[Item] = []
    async with aclosing(pages(asked, table, filters, quiet=quiet)) as each:
        async for page in each:
            found += page
    return found


async def _over_http(asked: Asked, table: str, filters: Params) -> AsyncGenerator[list[Item]]:
    page: list[Item] = []
    path = f"/api/v1/{table}"
    async with aclosing(lines(asked.gateway, path, {**filters, "order": "asc"})) as found:
        async for line in found:
            page.append(json.loads(line))
            if len(page) == PAGE_ROWS:
                yield page
                page = []
    yield page


def share(row: Mapping[str, Any], first: int, last: int) -> float:
    """How far a walk from `first` to `last`, both Unix microseconds, has come with this row."""
    come: int = row["ts"] - first
    return min(1.0, max(0.0, come / max(1, last - first)))
