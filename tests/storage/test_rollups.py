from __future__ import annotations

from storage.models import STREAM, TABLES
from storage.rollups import MARKS, ROLLUPS


def test_what_outlives_the_history_is_no_part_of_it() -> None:
    assert set(TABLES) == {*STREAM, "cooldowns"}
    assert MARKS.name not in TABLES
    assert ROLLUPS.name not in TABLES


def test_a_day_is_counted_by_route_and_target() -> None:
    assert [column.name for column in ROLLUPS.primary_key] == ["day", "route", "provider", "model"]
