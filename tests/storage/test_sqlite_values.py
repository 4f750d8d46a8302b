from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.events import AttemptFinished, CandidateSkipped, Event, RequestFinished
from storage.rows import layout
from storage.sqlite_values import VALUES
from tests.storage.samples import ALL_KINDS, any_event, batch, example

QUICK = (RequestFinished, AttemptFinished, CandidateSkipped)
"""Kinds that come thousands a second."""


def understood(row: Sequence[Any]) -> list[Any]:
    """As SQLite takes them: not a number is nothing."""
    return [None if isinstance(value, float) and math.isnan(value) else value for value in row]


def same(event: Event) -> None:
    (stamped,) = batch(event)
    row = VALUES[type(event)]([(7, stamped)])
    assert understood(row) == list(layout(type(event)).values(7, stamped))
    assert {type(value) for value in row} <= {str, int, float}


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: str(kind.kind))
def test_a_row_has_the_values_of_its_layout_in_types_that_need_no_adapter(
    kind: type[Event],
) -> None:
    same(example(kind))


@settings(deadline=None)
@given(any_event())
def test_whatever_the_values(event: Event) -> None:
    same(event)


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: str(kind.kind))
def test_a_plain_text_where_an_enum_should_be_is_stored_as_it_is(kind: type[Event]) -> None:
    name = "reason" if kind is CandidateSkipped else "outcome"
    (stamped,) = batch(example(kind, **{name: "odd"}))
    assert "odd" in VALUES[kind]([(1, stamped)])


def test_rows_stand_one_behind_the_other() -> None:
    events = batch(example(AttemptFinished, n=1), example(AttemptFinished, n=2))
    values = layout(AttemptFinished).values
    rows = [*values(5, events[0]), *values(6, events[1])]
    assert understood(VALUES[AttemptFinished](list(enumerate(events, start=5)))) == rows
