"""Where a provider is, and the head of a request to it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from yarl import URL

from gateway.upstream.outgoing import Lines

PORTS = {"http": 80, "https": 443}
BREAKS = 4
"""Of a head without any header of the request's own."""


class Unsendable(ValueError):
    """A head that would not be one request: a line break in a key or in a client's header."""


class Origin(NamedTuple):
    """What a connection can be used for again."""

    host: str
    """As it is looked up and as a certificate names it."""
    port: int
    tls: bool


class Address(NamedTuple):
    origin: Origin
    authority: str
    """Of the `Host` header."""
    prefix: str
    """Of every path, without a slash at its end."""


@lru_cache(maxsize=256)
def address(base_url: str) -> Address | None:
    """None for what is not a plain address of a server: another scheme, a user in it."""
    url = URL(base_url.rstrip("/"), encoded=True)
    host, port = url.raw_host, url.port
    if url.scheme not in PORTS or host is None or port is None or url.user is not None:
        return None
    if url.raw_query_string or url.raw_fragment:
        return None
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == PORTS[url.scheme] else f"{shown}:{port}"
    return Address(Origin(host, port, url.scheme == "https"), authority, url.raw_path.rstrip("/"))


@lru_cache(maxsize=1024)
def opening(to: Address, path: str) -> str:
    """The first lines of a POST to `path`, which is below the prefix. Raises `Unsendable`."""
    path = to.prefix + path
    if " " in path or not path.isascii():
        message = "a path that is not one word"
        raise Unsendable(message)
    return f"POST {path} HTTP/1.1\r\nHost: {to.authority}\r\n"


def head(to: Address, path: str, lines: Lines, body_bytes: int) -> bytes:
    """Of a POST whose body is whole. Raises `Unsendable`."""
    written = f"{opening(to, path)}{lines.text}Content-Length: {body_bytes}\r\n\r\n"
    made = written.encode("utf-8", "surrogateescape")
    breaks = lines.lines + BREAKS
    if made.count(b"\n") != breaks or made.count(b"\r") != breaks or b"\0" in made:
        message = "a line break within a header"
        raise Unsendable(message)
    return made
