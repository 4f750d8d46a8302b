from __future__ import annotations

import pytest

from gateway.upstream.http1.origin import Address, Origin, Unsendable, address, head
from gateway.upstream.outgoing import Lines


@pytest.mark.parametrize(
    ("url", "origin", "authority", "prefix"),
    [
        (
            "https://api.example.com/v1/",
            Origin("api.example.com", 443, True),
            "api.example.com",
            "/v1",
        ),
        ("http://localhost:8080", Origin("localhost", 8080, False), "localhost:8080", ""),
        ("http://h:80/a", Origin("h", 80, False), "h", "/a"),
        ("https://[::1]:8443/v1", Origin("::1", 8443, True), "[::1]:8443", "/v1"),
    ],
)
def test_an_address_is_taken_apart(url: str, origin: Origin, authority: str, prefix: str) -> None:
    found = address(url)
    assert found is not None
    assert (found.origin, found.authority, found.prefix) == (origin, authority, prefix)


@pytest.mark.parametrize(
    "url", ["ftp://h/", "http://user:secret@h/v1", "http://h/v1?a=b", "http://h/v1#f", "nothing"]
)
def test_what_is_no_plain_address_goes_the_other_way(url: str) -> None:
    assert address(url) is None


def at(authority: str, prefix: str = "") -> Address:
    return Address(Origin("h", 1, False), authority, prefix)


def test_a_head_is_one_request() -> None:
    made = head(at("h:1", "/v1"), "/x?q=1", Lines("A: b\r\nC: d\udce9\r\n", 2), 12)
    assert made == (
        b"POST /v1/x?q=1 HTTP/1.1\r\nHost: h:1\r\nA: b\r\nC: d\xe9\r\nContent-Length: 12\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/x", [("A", "b\r\nX: y")]),
        ("/x", [("A", "b\n")]),
        ("/x", [("A", "b\r")]),
        ("/x", [("A\n", "b")]),
        ("/x", [("A", "b\0")]),
        ("/x HTTP/1.1", []),
        ("/é", []),
    ],
)
def test_a_head_that_would_be_more_is_not_made(path: str, headers: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    with pytest.raises(Unsendable):
        head(at("h"), path, Lines(lines, len(headers)), 0)
