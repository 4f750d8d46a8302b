"""Events and requests for the command line: from the gateway, or from its file if it is down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import click

from gateway.cli_asked import Asked, database, note
from gateway.cli_client import Gateway, Item, Params, Refused, Unreachable, ask, request, tail
from gateway.cli_database import Unreadable, stored_answer, stored_request, stored_rows
from gateway.cli_output import clock_time, styled
from gateway.cli_sentences import sentence
from gateway.units import Clock

KIND_WIDTH: Final = 18
"""The longest kinds: `candidate_skipped`, `cooldown_extended`, `pool_wide_failure`."""
HTTP_NOT_FOUND: Final = 404
HAPPENED_MAX: Final = 1000
"""Events of one request: more than any has, and what one page can hold."""


async def newest(asked: Asked, filters: Params, *, limit: int) -> list[Item]:
    """The newest events, oldest first. Raises what `cli_client` and `cli_database` raise."""
    return (await latest(asked, "events", filters, limit=limit))[::-1]


async def latest(
    asked: Asked, table: str, filters: Params, *, limit: int, quiet: bool = False
) -> list[Item]:
    """The newest rows of a table, newest first. `quiet`: it has been said where they are from.
    Raises what `newest` raises."""
    try:
        return await _page(asked.gateway, table, filters, limit=limit)
    except Unreachable as error:
        with _instead(asked, error, quiet=quiet):
            return await stored_rows(
                database(asked), folder=asked.folder, table=table, filters=filters, limit=limit
            )


async def answer(asked: Asked, question: str, params: Params, *, quiet: bool = False) -> Item:
    """What a question comes to. Raises what `newest` raises."""
    try:
        found: Item = await ask(asked.gateway, f"/api/v1/questions/{question}", params)
    except Unreachable as error:
        with _instead(asked, error, quiet=quiet):
            return await stored_answer(
                database(asked), folder=asked.folder, question=question, filters=params
            )
    return found


async def follow(
    asked: Asked, filters: Params, *, limit: int, clock: Clock, show: Callable[[Item], None]
) -> None:
    """Shows the newest events and then what happens, until it is cancelled."""
    items = await _page(asked.gateway, "events", filters, limit=limit)
    for item in reversed(items):
        show(item)
    last_id = items[0]["id"] if items else None
    async with aclosing(tail(asked.gateway, filters, last_id=last_id, clock=clock)) as following:
        async for found in following:
            if isinstance(found, Unreachable):
                note(f"{found}; trying again")
            else:
                show(found)


async def story(asked: Asked, request_id: str) -> Item | None:
    """A request and its candidates; None if there is none of that id."""
    try:
        return await request(asked.gateway, request_id)
    except Refused as error:
        if error.status != HTTP_NOT_FOUND:
            raise
        return None
    except Unreachable as error:
        with _instead(asked, error):
            return await stored_request(database(asked), folder=asked.folder, request_id=request_id)


async def happened(asked: Asked, request_id: str) -> list[Item]:
    """What a request caused, oldest first: its switches, cooldowns, moves of sessions. Raises what
    `newest` raises."""
    filters: Params = {"request_id": request_id}
    return (await latest(asked, "events", filters, limit=HAPPENED_MAX, quiet=True))[::-1]


def print_event(item: Item) -> None:
    when, kind = clock_time(item.get("ts")), str(item.get("kind", "")).ljust(KIND_WIDTH)
    request_id = item.get("request_id") or ""
    line = f"{styled(when, dim=True)}  {kind} {sentence(item)}"
    click.echo(f"{line}  {styled(request_id, dim=True)}" if request_id else line)


@contextmanager
def _instead(asked: Asked, error: Unreachable, *, quiet: bool = False) -> Iterator[None]:
    """Reading the file because no gateway answers, which is said; or that neither can be read."""
    if asked.url_given:
        raise error
    try:
        yield
    except Unreadable as unreadable:
        message = f"{error}, and {unreadable}"
        raise Unreachable(message) from error
    if not quiet:
        file = "" if database(asked).url.startswith("postgresql") else " file"
        note(f"{error}; this is from the database{file}")


async def _page(gateway: Gateway, table: str, filters: Params, *, limit: int) -> list[Item]:
    page = await ask(gateway, f"/api/v1/{table}", {**filters, "order": "desc", "limit": limit})
    items: list[Item] = page["items"]
    return items
