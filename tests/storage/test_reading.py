from __future__ import annotations

import asyncio
import sqlite3

import pytest

from storage.reading import alarm, interrupted, unstorable


async def test_an_alarm_rings_again_until_the_work_is_over() -> None:
    rung, enough = 0, asyncio.Event()

    def interrupt() -> None:
        nonlocal rung
        rung += 1
        if rung == 3:
            enough.set()
        if rung == 2:
            raise sqlite3.ProgrammingError("closed")

    with alarm(interrupt, 0.0):
        await enough.wait()
    heard = rung
    await asyncio.sleep(0.12)
    assert rung == heard


def caused_by(error: Exception) -> Exception:
    outer = RuntimeError("wrapped")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (caused_by(OverflowError()), True),
        (caused_by(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate")), True),
        (caused_by(OSError()), False),
    ],
)
def test_a_value_that_no_column_holds_is_known_however_it_is_wrapped(
    error: Exception, fault: bool
) -> None:
    assert unstorable(error) is fault


def test_a_stopped_statement_is_known_by_its_code() -> None:
    class Stopped(Exception):
        sqlstate = "57014"

    assert interrupted(Stopped())
    assert not interrupted(RuntimeError())
    assert not interrupted(None)
