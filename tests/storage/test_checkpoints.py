from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.config import Storage
from gateway.events import AttemptFinished
from storage.checkpoints import OFF, PAGES, Checkpoints
from storage.database import Database, open_database
from storage.writer import Writer
from tests.storage.samples import batch, example


def test_one_at_a_time_has_the_right_to_make_them(tmp_path: Path) -> None:
    path = tmp_path / "evenkeel.db"
    one, two = Checkpoints(path), Checkpoints(path)
    assert one.take()
    assert one.take()
    assert not two.take()
    assert (one.pragma(), two.pragma()) == (f"wal_autocheckpoint = {PAGES}", OFF)
    one.give_back()
    assert two.take()
    assert not one.held
    two.give_back()
    two.give_back()


def test_without_a_folder_nobody_has_it(tmp_path: Path) -> None:
    assert not Checkpoints(tmp_path / "nowhere" / "evenkeel.db").take()


async def test_only_the_first_writer_of_a_file_makes_checkpoints(tmp_path: Path) -> None:
    async def every(database: Database) -> object:
        assert database.writer is not None
        async with database.writer.connect() as connection:
            return (await connection.exec_driver_sql("PRAGMA wal_autocheckpoint")).scalar()

    first = await open_database(Storage(), folder=tmp_path)
    second = await open_database(Storage(), folder=tmp_path)
    assert (await every(first), await every(second)) == (PAGES, 0)
    await first.close()
    third = await open_database(Storage(), folder=tmp_path)
    assert await every(third) == PAGES
    await second.close()
    await third.close()


async def test_a_writer_without_the_right_leaves_the_log_alone_at_its_end(tmp_path: Path) -> None:
    first = await open_database(Storage(), folder=tmp_path)
    second = await open_database(Storage(), folder=tmp_path)
    assert first.writer is not None
    assert second.writer is not None
    await Writer(first.writer).take(batch(example(AttemptFinished)))
    await Writer(second.writer).take(batch(example(AttemptFinished), boot_id="two"))
    await Writer(second.writer).close()
    log = tmp_path / "evenkeel.db-wal"
    assert log.stat().st_size > 0
    await Writer(first.writer).close()
    assert not log.exists() or log.stat().st_size == 0
    with closing(sqlite3.connect(first.path)) as connection:
        assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (2,)
    await first.close()
    await second.close()
