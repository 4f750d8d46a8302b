from __future__ import annotations

import json

import msgspec
import pytest

from gateway.wire.answer import TOKENS_MAX, decoded, encoded, error_of, fields_of, member, tokens


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b'"cut \\ud83d"', "cut ?"),
        (b'{"\\ud83d": ["\\udc00"]}', {"?": ["?"]}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"", None),
        (b"{", None),
        (b'"\xff"', None),
        (b"[" * 100_000 + b"]" * 100_000, None),
    ],
)
def test_json_is_decoded_into_what_can_be_encoded_again(data: bytes, value: object) -> None:
    assert decoded(data) == value
    json.dumps(decoded(data), ensure_ascii=False).encode()


def test_members_stay_undecoded_until_they_are_asked_for() -> None:
    for body in (b'{"a": {"b": 1}, "c": 2}', b'{"a": {"b": 1}, "c": "\\ud83d", "d": 1e999}'):
        fields = fields_of(body)
        assert fields is not None
        assert isinstance(fields["a"], msgspec.Raw)
        assert member(fields, "a") == {"b": 1}
        assert member(fields, "none") is None


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"a"', b"<html>"])
def test_what_is_no_object_has_no_members(body: bytes) -> None:
    assert fields_of(body) is None


@pytest.mark.parametrize("value", [None, "7", 7.0, True, -1, TOKENS_MAX + 1, [7]])
def test_only_a_sane_whole_number_is_a_count_of_tokens(value: object) -> None:
    assert tokens(value) is None
    assert tokens(7) == 7


def test_errors_of_all_shapes_are_found() -> None:
    assert error_of({"error": {"code": 1}}) == {"code": 1}
    assert error_of({"error": "text"}) == {"message": "text"}
    assert error_of({"error": "text", "code": 3}) == {"message": "text", "code": 3}
    assert error_of({"error": True, "message": "m"}) == {"error": True, "message": "m"}
    assert error_of({"object": "error", "message": "m"}) == {"object": "error", "message": "m"}
    assert error_of({"error": None, "choices": []}) is None


def test_any_text_can_be_written_as_json_of_one_line() -> None:
    for text in ("plain", "a\nb", "é", "\ud800"):
        line = encoded({"message": text})
        assert b"\n" not in line
        assert json.loads(line) == {"message": text}
