"""What every row of the tables has to keep to."""

from __future__ import annotations

import pytest

from gateway.events import Failure
from gateway.routing import vendors
from gateway.routing.classes import COMMON, EVERYBODY, STATUSES, VAGUE, VENDORS, tables
from gateway.routing.classes_hosts import GLM, GROQ
from gateway.routing.classes_labs import ANTHROPIC
from gateway.routing.rows import Row, Table

ALL: dict[int, Table] = {id(t): t for t in (*VENDORS.values(), *tables("", ""), VAGUE)}
ROWS = [row for table in ALL.values() for row in table]
HARMLESS = {Failure.BAD_REQUEST, Failure.CONTEXT_TOO_LONG, Failure.CONTENT_POLICY}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.failure.value)
def test_a_row_has_a_condition_and_lower_case_codes(row: Row) -> None:
    assert row.by_code or row.status
    assert all(code == code.lower() for code in (*row.codes, *row.prefixes))


def alternatives(pattern: str) -> list[str]:
    """The parts between the bars that stand in no bracket."""
    depth, parts = 0, [""]
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.by_code and 400 in r.status], ids=lambda row: row.failure.value
)
def test_words_of_a_400_that_blame_somebody_are_anchored(row: Row) -> None:
    assert row.says is not None
    if row.failure not in HARMLESS:
        assert all(part.startswith("^") for part in alternatives(row.says.pattern))


@pytest.mark.parametrize("table", ALL.values(), ids=lambda t: t[0].failure.value)
def test_no_code_is_hidden_behind_an_earlier_row(table: Table) -> None:
    for n, later in enumerate(table):
        for earlier in table[:n]:
            if earlier.says is None and not earlier.status:
                assert not any(earlier.names(code) for code in later.codes)


def test_a_vendors_own_table_is_asked_first_then_its_dialects_then_everybodys() -> None:
    assert tables("groq", "openai") == (GROQ, *EVERYBODY)
    assert tables("glm", "anthropic")[:2] == (GLM, ANTHROPIC)
    assert tables("", "openai") == EVERYBODY
    assert tables("", "openai")[-1] is COMMON


def test_a_table_belongs_to_a_vendor_that_can_be_found() -> None:
    assert set(VENDORS) <= vendors.VENDORS


def test_only_statuses_that_speak_for_themselves_have_a_meaning() -> None:
    assert all(not row.by_code and row.says is None for row in STATUSES.values())
    assert not set(STATUSES) & {200, 302, 407, 418, 498, 500, 502}
