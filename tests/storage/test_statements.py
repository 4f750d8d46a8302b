from __future__ import annotations

import pytest

from gateway.events import CooldownEnded, CooldownExtended, CooldownStarted, Event, Switched
from storage.rows import FOLDED, KINDS
from storage.statements import INSERTS, UPSERTS
from tests.storage.samples import ALL_KINDS


def test_every_kind_of_event_has_its_statement() -> None:
    assert set(INSERTS) == set(ALL_KINDS) == set(KINDS.values())
    assert set(UPSERTS) == set(FOLDED)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: str(kind.kind))
def test_an_event_that_is_there_is_left_alone_and_each_column_has_its_mark(
    kind: type[Event],
) -> None:
    statement = INSERTS[kind]
    count = len(statement.layout.columns)
    assert statement.sqlite().count("?") == count
    for text in (statement.postgres(), statement.postgres_many()):
        assert f"${count}" in text
        assert f"${count + 1}" not in text
    for text in (statement.sqlite(), statement.postgres(), statement.postgres_many()):
        assert text.endswith("ON CONFLICT (boot_id, seq) DO NOTHING")


def test_columns_are_quoted_and_their_arrays_have_types() -> None:
    text = INSERTS[Switched].postgres_many()
    assert '"from", "to"' in text
    for kind in ("bigint[]", "text[]", "double precision[]", "boolean[]"):
        assert kind in text


def test_only_the_end_of_a_cooldown_leaves_its_plan_alone() -> None:
    for kind in (CooldownStarted, CooldownExtended):
        assert "excluded.until > cooldowns.until" in UPSERTS[kind].conflict
    assert "until" not in UPSERTS[CooldownEnded].conflict
