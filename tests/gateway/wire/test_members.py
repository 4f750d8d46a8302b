from __future__ import annotations

import json

import pytest

from gateway.wire.members import members


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("{}", []),
        (' { "a" : 1 }', [("a", "1")]),
        ('{"a":{"b":"}"},"c":[1,"]"],"d":"\\"," }', [("a", '{"b":"}"}'), ("c", '[1,"]"]'), ("d", '"\\","')]),
        ('{"a":[1],"a":[2]}', [("a", "[1]"), ("a", "[2]")]),
        ('{"\\u0061":null}', [("a", "null")]),
        ("[1]", []),
        ("", []),
    ],
)  # fmt: skip
def test_each_field_is_found_in_its_place(body: str, fields: list[tuple[str, str]]) -> None:
    raw = body.encode()
    found = list(members(raw))
    assert [(each.key, raw[each.value : each.end].decode()) for each in found] == fields
    for each in found:
        assert json.loads(b"{" + raw[each.start : each.end] + b"}").keys() == {each.key}
