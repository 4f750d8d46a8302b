from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.delivery_parts import Notes
from gateway.events import Switched
from storage.ahead import BYTES_MAX, Ahead, ahead_path
from storage.journal import Journal
from tests.storage.samples import batch, example

_NOTES: type[Notes] = Ahead


async def left(path: Path, journal: Path) -> list[int]:
    """What the next process finds to store."""
    found = Journal(journal)
    Ahead(path).hand_over(found)
    assert path.name not in os.listdir(path.parent)  # noqa: PTH208
    return [stamped.seq for stamped in await found.oldest(100)] if found.bytes_waiting else []


async def test_notes_of_a_killed_process_are_stored_by_the_next(tmp_path: Path) -> None:
    path, journal = ahead_path(tmp_path / "evenkeel.db"), tmp_path / "journal"
    assert path.name == "evenkeel.db.ahead.jsonl"
    ahead = Ahead(path)
    ahead.note(batch(example(Switched), example(Switched)))
    assert await left(path, journal) == [1, 2]
    assert await left(path, journal) == [1, 2]


async def test_what_is_struck_out_is_gone_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path, journal = tmp_path / "ahead", tmp_path / "journal"
    ahead = Ahead(path)
    one, two, three = batch(example(Switched), example(Switched), example(Switched))
    ahead.note([one])
    ahead.strike_out()
    ahead.note([two])
    with path.open("ab") as file:
        file.write(b"[3, torn")
    ahead.note([three])
    assert await left(path, journal) == [2, 3]


async def test_an_orderly_end_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "ahead"
    ahead = Ahead(path)
    ahead.strike_out()
    ahead.note(batch(example(Switched)))
    ahead.close()
    ahead.close()
    assert await left(path, tmp_path / "journal") == []


async def test_what_cannot_be_noted_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (stamped,) = batch(example(Switched))
    ahead = Ahead(tmp_path / "nowhere" / "ahead")
    for _ in range(3):
        ahead.note([stamped])
    ahead.strike_out()
    folder = tmp_path / "folder"
    folder.mkdir()
    Ahead(folder).hand_over(Journal(tmp_path / "journal"))
    assert "notes of the last process cannot be read" in caplog.text
    full = Ahead(tmp_path / "full")
    for _ in range(BYTES_MAX // 20_000):
        full.note([stamped] * 100)
    assert (tmp_path / "full").stat().st_size <= BYTES_MAX
    full.close()
