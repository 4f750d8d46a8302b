from __future__ import annotations

import pytest

from gateway.server.answer_head import CHUNKED, ForbiddenHeader, common, empty, written
from gateway.units import Timestamp

END = common(Timestamp(1_000_000_000_000_000))
JSON = ("content-type", "application/json")


def test_the_common_lines_are_the_second_and_the_server() -> None:
    date, server, last = END.split("\r\n")
    assert date == "Date: Sun, 09 Sep 2001 01:46:40 GMT"
    assert server.startswith("Server: Python/")
    assert last == ""


def test_a_head_says_how_long_its_body_is() -> None:
    head = written(200, [JSON, ("x", "é"), ("X", "")], 7, END, close=False)
    text = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx: é\r\nX: \r\nContent-Length: 7\r\n{END}\r\n"
    assert head == text.encode()
    chunked = written(599, [JSON], CHUNKED, END, close=True).decode()
    assert chunked.startswith("HTTP/1.1 599 \r\n")
    assert "Transfer-Encoding: chunked\r\nDate" in chunked
    assert chunked.endswith("Connection: close\r\n\r\n")


def test_a_body_without_a_type_gets_one() -> None:
    assert b"Content-Type: application/octet-stream" in written(200, [], 1, END, close=False)
    assert b"Content-Type" not in written(200, [], 0, END, close=False)
    assert b"octet" not in written(200, [("CONTENT-type", "a/b")], 1, END, close=False)


@pytest.mark.parametrize("status", [101, 204, 304])
def test_an_answer_that_has_no_body_says_nothing_of_one(status: int) -> None:
    assert empty(status)
    head = written(status, [], 5, END, close=False).lower()
    assert b"content-length" not in head
    assert b"transfer-encoding" not in written(status, [], CHUNKED, END, close=False).lower()


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0", "a\x7f", "\x1b"])
def test_nobody_smuggles_a_header_in(value: str) -> None:
    for header in (("x", value), (value, "x")):
        with pytest.raises(ForbiddenHeader):
            written(200, [header], 0, END, close=False)


def test_half_a_character_is_left_out() -> None:
    assert b"\r\nx: ab\r\n" in written(200, [("x", "a\udcffb")], 0, END, close=False)
