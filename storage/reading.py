"""Asking a database: the rows, the time limit, and what a complaint about a question means."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

Row = Mapping[str, Any]

INTERRUPT_AGAIN_SECONDS: Final = 0.05
QUERY_CANCELED: Final = "57014"
"""What PostgreSQL calls a statement that took too long."""


@contextmanager
def alarm(interrupt: Callable[[], None], seconds: float) -> Iterator[None]:
    """Stops the connection's statements once the time is over.

    It rings again and again: between two statements there is nothing to stop.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def ring() -> None:
        nonlocal timer
        with suppress(sqlite3.ProgrammingError):  # Closed meanwhile.
            interrupt()
        timer = loop.call_later(INTERRUPT_AGAIN_SECONDS, ring)

    timer = loop.call_later(seconds, ring)
    try:
        yield
    finally:
        timer.cancel()


def unstorable(error: BaseException | None) -> bool:
    """PostgreSQL's driver wraps what SQLite's lets through."""
    while error is not None and not isinstance(error, OverflowError | UnicodeError):
        error = error.__cause__
    return error is not None


def interrupted(cause: BaseException | None) -> bool:
    return (
        getattr(cause, "sqlite_errorname", "") == "SQLITE_INTERRUPT"
        or getattr(cause, "sqlstate", "") == QUERY_CANCELED
    )


async def rows_of(connection: AsyncConnection, statement: Select[Any]) -> Sequence[Row]:
    rows: Sequence[Row] = (await connection.execute(statement)).mappings().all()
    return rows
