"""The command line's way to the history where no gateway runs: the database, read only.

SQLAlchemy is imported by the function that needs it: `evenkeel --help` must not wait for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.config import Storage

if TYPE_CHECKING:
    from storage.queries import Queries

Item = dict[str, Any]

PAGE_ROWS: Final = 1000


class Unreadable(Exception):
    """There is no such file, or it cannot be read; `str()` says why."""


class BadFilter(ValueError):
    """A filter means nothing to the store."""


async def stored_rows(
    storage: Storage, *, folder: Path, table: str, filters: Mapping[str, str | int], limit: int
) -> list[Item]:
    """The newest rows of a table, newest first. Raises `Unreadable` and `BadFilter`."""
    async with _opened(storage, folder) as queries:
        page = await queries.page(table, filters=filters, limit=limit, order="desc")
    return page["items"]


async def stored_request(storage: Storage, *, folder: Path, request_id: str) -> Item | None:
    """A request and its candidates; None if unknown. Raises `Unreadable`."""
    async with _opened(storage, folder) as queries:
        story = await queries.request(request_id)
    return None if story is None else dict(story)


async def stored_answer(
    storage: Storage, *, folder: Path, question: str, filters: Mapping[str, str | int]
) -> Item:
    """What a question comes to. Raises `Unreadable` and `BadFilter`."""
    from gateway.clock import SystemClock

    async with _opened(storage, folder) as queries:
        now = SystemClock().now().timestamp
        return dict(await queries.answer(question, filters=filters, now=now))


async def stored_pages(
    storage: Storage, folder: Path, table: str, filters: Mapping[str, str | int]
) -> AsyncGenerator[list[Item]]:
    """Every row of a table, oldest first, page by page. Raises `Unreadable` and `BadFilter`."""
    cursor: str | None = None
    async with _opened(storage, folder) as queries:
        while True:
            page = await queries.page(
                table, filters=filters, limit=PAGE_ROWS, order="asc", cursor=cursor
            )
            yield page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


@asynccontextmanager
async def _opened(storage: Storage, folder: Path) -> AsyncIterator[Queries]:
    from storage.database import open_database
    from storage.filters import QueryError
    from storage.models import StorageError
    from storage.queries import Queries

    try:
        database = await open_database(storage, folder=folder, read_only=True)
        try:
            yield Queries(database.reader)
        finally:
            await database.close()
    except StorageError as error:
        raise Unreadable(str(error)) from error
    except QueryError as error:
        raise BadFilter(str(error)) from error
