"""Where a provider is, and the head of a request to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

PORTS = {"http": 80, "https": 443}


class Unsendable(ValueError):
    """A head that would not be one request: a line break in a key or in a client's header."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a connection can be used for again."""

    host: str
    """As it is looked up and as a certificate names it."""
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Address:
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


def head(authority: str, path: str, headers: Iterable[tuple[str, str]], body_bytes: int) -> bytes:
    """Of a POST whose body is whole. Raises `Unsendable`."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {body_bytes}", "", ""]
    made = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    breaks = len(lines) - 1
    if made.count(b"\n") != breaks or made.count(b"\r") != breaks or b"\0" in made:
        message = "a line break within a header"
        raise Unsendable(message)
    if " " in path or not path.isascii():
        message = "a path that is not one word"
        raise Unsendable(message)
    return made
