from __future__ import annotations

import pytest

from gateway.server.head import HEAD_BYTES_MAX, HEADERS_MAX, LINES_MAX, Head, Heads, Odd

LINE = b"POST /v1/messages?beta=true HTTP/1.1"


def head(*lines: bytes, first: bytes = LINE) -> bytes:
    return b"\r\n".join([first, b"Host: x", *lines, b"", b""])


def read(data: bytes) -> Head | Odd | None:
    """Twice by one reader: the second time from what it remembers."""
    heads = Heads()
    first, second = heads.read(data), heads.read(data)
    if isinstance(first, Head):
        assert isinstance(second, Head)
        assert (first.target, first.headers) == (second.target, second.headers)
    else:
        assert first is second
    return second


def test_a_plain_head_is_read() -> None:
    data = head(b"Content-Length: 12", b"X-A:  b c \t", b"x-a:", b"Connection: Close")
    found = read(data + b"{...")
    assert isinstance(found, Head)
    assert found.target == "/v1/messages?beta=true"
    assert found.headers == [
        ("Host", "x"),
        ("Content-Length", "12"),
        ("X-A", "b c"),
        ("x-a", ""),
        ("Connection", "Close"),
    ]
    assert (found.size, found.length, found.close) == (len(data), 12, True)


def test_known_names_are_written_as_usual() -> None:
    found = read(head(b"USER-agent: a", b"X-EVENKEEL-session: b"))
    assert isinstance(found, Head)
    assert found.headers[1:] == [("User-Agent", "a"), ("X-EVENKEEL-session", "b")]


def test_bytes_that_are_no_text_are_kept() -> None:
    found = read(head(b"X-A: caf\xc3\xa9 \xff"))
    assert isinstance(found, Head)
    assert found.headers[1] == ("X-A", "café \udcff")


def test_what_may_still_become_a_head_is_waited_for() -> None:
    data = head(b"Content-Length: 0")
    for end in range(len(data)):
        assert read(data[:end]) is None
    assert isinstance(read(data), Head)


ODD = [
    head(first=b"GET /v1/messages HTTP/1.1"),
    head(first=b"POST /v1/messages HTTP/1.0"),
    head(first=b"POST  /v1/messages HTTP/1.1"),
    head(first=b"POST http://x/v1/messages HTTP/1.1"),
    head(first=b"POST /v1/m%65ssages HTTP/1.1"),
    head(first=b"POST /v1/messages#x HTTP/1.1"),
    head(first=b"POST /" + b"x" * 9000 + b" HTTP/1.1"),
    b"\r\n" + head(),
    head().replace(b"Host: x\r\n", b""),
    head(b"Host: y"),
    head(b"Content-Length: 1", b"content-length: 1"),
    head(b"Content-Length: +1"),
    head(b"Content-Length: 1,1"),
    head(b"Content-Length: 0x1"),
    head(b"Content-Length: " + "١".encode()),
    head(b"Content-Length: " + b"1" * 16),
    head(b"Content-Length:"),
    head(b"Transfer-Encoding: chunked"),
    head(b"Content-Encoding: gzip"),
    head(b"Expect: 100-continue"),
    head(b"Upgrade: h2c"),
    head(b"Connection: keep-alive, upgrade"),
    head(b"Connection: close", b"Connection: keep-alive"),
    head(b"X-A : b"),
    head(b" X-A: b"),
    head(b"X-A: b", b" folded"),
    head(b"no colon"),
    head(b": no name"),
    head(b"X-\xc3\xa9: b"),
    head(b"X-A: b\x00"),
    head(b"X-A: b\nY: c"),
    head(b"X-A: b\rY: c"),
    head(b"X-A: " + b"x" * 8190),
    head(b"X-A: " + b"\xff" * 3000),
    head(*[b"X-A: b"] * HEADERS_MAX),
    head(*[b"X-A: " + b"x" * 8000] * 3),
]


@pytest.mark.parametrize("data", ODD, ids=lambda data: repr(data[:70]))
def test_what_is_not_plain_is_for_somebody_else_to_read(data: bytes) -> None:
    assert read(data) is Odd.ODD


@pytest.mark.parametrize("begun", [b"POST /a HTTP/1.0\r\n", b"POST /a HTTP/1.1\n", b"POST /a\n"])
def test_a_head_that_begins_badly_is_not_waited_for(begun: bytes) -> None:
    assert read(begun) is Odd.ODD


def test_a_head_without_end_is_not_waited_for_for_ever() -> None:
    assert read(LINE + b"x" * (HEAD_BYTES_MAX - len(LINE) - 1)) is None
    assert read(LINE + b"x" * (HEAD_BYTES_MAX - len(LINE))) is Odd.ODD


def test_what_is_remembered_has_a_bound() -> None:
    heads = Heads()
    for number in range(2 * LINES_MAX + 10):
        assert isinstance(heads.read(head(f"X-{number}: {number}".encode())), Head)
    assert len(heads._lines) <= LINES_MAX
    assert len(heads._marks) <= LINES_MAX


def test_keys_are_not_remembered() -> None:
    heads = Heads()
    heads.read(head(b"Authorization: Bearer s3cret", b"X-API-Key: s3cret", b"Cookie: s3cret"))
    assert "s3cret" not in repr(heads._lines)
