from __future__ import annotations

from gateway.events import ProcessStarted, Switched
from storage.database import Database
from storage.rollups import ROLLUPS
from storage.rollups_counting import COUNTS, count_rows, counted
from storage.writer import Writer
from tests.storage.samples import batch, example
from tests.storage.servers import execute


def test_every_column_is_counted_or_summed() -> None:
    assert {"requests", "attempts", "switches"} <= set(COUNTS) < set(ROLLUPS.columns.keys())


async def test_spans_follow_each_other_without_a_gap(database: Database, writer: Writer) -> None:
    assert database.writer is not None
    await writer.take(batch(*(example(Switched) for _ in range(5)), example(ProcessStarted)))
    # As rows of a gateway before the writer itself counted.
    await execute(database, "DELETE FROM rollups", "DELETE FROM marks WHERE name = 'rollup'")
    spans = []
    for _ in range(4):
        async with database.writer.begin() as connection:
            spans.append((await count_rows(connection, 4), await counted(connection)))
    assert spans == [(4, 4), (2, 6), (0, 6), (0, 6)]
    async with database.writer.begin() as connection:
        found = (await connection.execute(ROLLUPS.select())).mappings().all()
    assert [(row["route"], row["provider"], row["switches"]) for row in found] == [
        ("some route", "", 5)
    ]
