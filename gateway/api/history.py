"""The history over HTTP: pages, exports, live tails, one request's story.

A client that was just answered may ask for its own request: every read first waits, shortly, for
the store to have taken what was emitted before it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT, Context, HistoryQuestionError, Item
from gateway.api.errors import error_response, json_response
from gateway.wire.base import ClientError

SETTLE_SECONDS = 1.0
LIMIT_DEFAULT = 200
EXPORT_PAGE = 1000
TAILS_MAX = 32
"""Event streams followed at once; each asks the store twice a second."""
TAIL_POLL_SECONDS = 0.5
TAIL_PAGE = 200
KEEP_ALIVE_SECONDS = 15.0

_PAGING = frozenset({"limit", "order", "cursor", "bucket_seconds", "by"})


async def table(request: web.Request) -> web.StreamResponse:
    """A page of the table named in the path; an export, or for `events` a tail, by `Accept`."""
    context = request.app[CONTEXT]
    name = request.path.rpartition("/")[2]
    accept = request.headers.get("Accept", "")
    if name == "events" and "text/event-stream" in accept:
        return await _tail(request, context)
    await _settle(context)
    filters = _filters(request)
    order = request.query.get("order", "desc")
    if "application/x-ndjson" in accept:
        return await _export(request, context, name, filters, order)
    page = await context.history.page(
        name,
        filters=filters,
        limit=_number(request, "limit", LIMIT_DEFAULT),
        order=order,
        cursor=request.query.get("cursor"),
    )
    return json_response(page)


async def story(request: web.Request) -> web.Response:
    """Every candidate of one request, in the order in which they were looked at."""
    context = request.app[CONTEXT]
    await _settle(context)
    request_id = request.match_info["request_id"]
    found = await context.history.request(request_id)
    if found is None:
        return error_response(404, "unknown_request", f"No request is called {request_id!r}.")
    return json_response(found)


async def aggregate(request: web.Request) -> web.Response:
    """Switches by pair and time bucket."""
    context = request.app[CONTEXT]
    by = request.query.get("by", "pair")
    if by != "pair":
        message = f"switches can be counted by pair, not by {by!r}"
        raise HistoryQuestionError(message)
    await _settle(context)
    filters = _filters(request)
    seconds = _number(request, "bucket_seconds", 300)
    found = await context.history.switch_pairs(filters=filters, bucket_seconds=seconds)
    return json_response({"items": found, "next_cursor": None})


async def question(request: web.Request) -> web.Response:
    """What an operator on call asks of a window: `storage/questions.py` has the list."""
    context = request.app[CONTEXT]
    await _settle(context)
    asked = request.match_info["question"]
    return json_response(await context.history.answer(asked, filters=dict(request.query)))


def _filters(request: web.Request) -> dict[str, str]:
    return {key: value for key, value in request.query.items() if key not in _PAGING}


async def _settle(context: Context) -> None:
    await context.spine.settled("storage", SETTLE_SECONDS)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    try:
        return default if text is None else int(text)
    except ValueError:
        message = f"{name} must be a whole number, not {text!r}"
        raise HistoryQuestionError(message) from None


async def _export(
    request: web.Request, context: Context, name: str, filters: Mapping[str, str], order: str
) -> web.StreamResponse:
    """All rows, one JSON object a line. The first page is read before the answer begins, so that
    a wrong question is still an error."""
    pages = _pages(context, name, filters, order)
    first = await anext(pages)
    response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
    await response.prepare(request)
    await response.write(_lines(first))
    async for items in pages:
        await response.write(_lines(items))
    await response.write_eof()
    return response


async def _pages(
    context: Context, name: str, filters: Mapping[str, str], order: str
) -> AsyncIterator[list[Item]]:
    cursor: str | None = None
    while True:
        page = await context.history.page(
            name, filters=filters, limit=EXPORT_PAGE, order=order, cursor=cursor
        )
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _lines(items: list[Item]) -> bytes:
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)


async def _tail(request: web.Request, context: Context) -> web.StreamResponse:
    """What is committed from now on, or after `Last-Event-ID`, until the client goes away. The
    first step is taken before the answer begins, so that a wrong question is still an error."""
    last = await _tail_start(request, context)
    filters = _filters(request)
    if context.tails >= TAILS_MAX:
        raise ClientError(503, "too_many_tails", f"{TAILS_MAX} event streams are followed already.")
    context.tails += 1
    try:
        step = await context.history.tail(last, filters=filters, limit=TAIL_PAGE)
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream",
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            }
        )
        await response.prepare(request)
        await response.write(b": following\n\n")
        await _follow(response.write, context, step, filters)
    finally:
        context.tails -= 1
    return response


async def _follow(
    write: Callable[[bytes], Awaitable[None]],
    context: Context,
    step: Mapping[str, Any],
    filters: Mapping[str, str],
) -> None:
    """A stream says something at least every `KEEP_ALIVE_SECONDS`, also while it looks through
    many rows of which none is wanted."""
    spoke = context.clock.now().instant
    while context.ready:
        now = context.clock.now().instant
        if step["items"]:
            spoke = now
            await write(b"".join(_message(item) for item in step["items"]))
        elif now - spoke >= KEEP_ALIVE_SECONDS:
            spoke = now
            await write(b": still here\n\n")
        if not step["behind"]:
            await context.clock.sleep(TAIL_POLL_SECONDS)
        step = await context.history.tail(step["last_id"], filters=filters, limit=TAIL_PAGE)


async def _tail_start(request: web.Request, context: Context) -> int:
    text = request.headers.get("Last-Event-ID")
    if text is None:
        await _settle(context)
        return await context.history.last_id()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        message = f"Last-Event-ID must be the id of an event, not {text!r}"
        raise HistoryQuestionError(message)
    return int(text)


def _message(item: Item) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (item["id"], msgspec.json.encode(item))
