"""Ids of tool calls made legal."""

from __future__ import annotations

from itertools import islice

from gateway.wire.tool_ids import LEGAL_ID, SAFE_ID, new_names, safe_names


def test_only_what_is_not_legal_is_renamed_and_always_the_same_way() -> None:
    renamed = new_names(["toolu_1", "functions.write:0", "x" * 41], only_safe=False)
    assert set(renamed) == {"functions.write:0", "x" * 41}
    assert all(SAFE_ID.fullmatch(name) for name in renamed.values())
    assert new_names(["functions.write:0"], only_safe=False).items() <= renamed.items()


def test_where_legal_ids_were_refused_only_safe_ones_are_kept() -> None:
    assert set(new_names(["toolu_1", "abcdefgh1"], only_safe=True)) == {"toolu_1"}


def test_a_name_that_is_taken_is_passed_over() -> None:
    first, second = islice(safe_names("a:1"), 2)
    assert LEGAL_ID.fullmatch(first)
    assert new_names([first, "a:1"], only_safe=False) == {"a:1": second}


def test_an_id_that_no_encoding_takes_is_named_all_the_same() -> None:
    assert new_names(["\ud83d"], only_safe=False)
