"""What every client sends of an attempt's request: the client's headers and the credential's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from gateway.upstream.base import Outgoing
from gateway.wire.headers import credential_header, default_version

VERSION = "anthropic-version"


class Lines(NamedTuple):
    """Headers as they are written, each with its line's end."""

    text: str
    lines: int


def request_headers(outgoing: Outgoing) -> list[tuple[str, str]]:
    headers = [*outgoing.headers, *_added(*_of(outgoing))]
    # aiohttp would let `x-a` replace an earlier `X-A`; of one spelling it keeps both.
    spelled: dict[str, str] = {}
    return [(spelled.setdefault(name.lower(), name), value) for name, value in headers]


def request_lines(outgoing: Outgoing) -> Lines:
    """The same, for a client that writes them itself."""
    added = _added_lines(*_of(outgoing))
    headers = outgoing.headers
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return Lines(text + added.text, len(headers) + added.lines)


def _of(outgoing: Outgoing) -> tuple[str, str, str]:
    """All that says what is added."""
    dialect = outgoing.dialect
    version = _version(outgoing.headers) if dialect == "anthropic" else ""
    return dialect, version, outgoing.credential.key.reveal()


def _version(headers: Sequence[tuple[str, str]]) -> str:
    length = len(VERSION)
    for name, value in headers:
        if len(name) == length and name.lower() == VERSION:
            return value
    return ""


@lru_cache(maxsize=256)
def _added(dialect: str, version: str, key: str) -> tuple[tuple[str, str], ...]:
    headers = [(VERSION, version)]
    added = (
        credential_header(dialect, headers, key),
        default_version(dialect, headers),
        # The client gets the bytes that come; compressed ones would have to be decoded on the way.
        ("Accept-Encoding", "identity"),
    )
    return tuple(header for header in added if header is not None)


@lru_cache(maxsize=256)
def _added_lines(dialect: str, version: str, key: str) -> Lines:
    added = _added(dialect, version, key)
    return Lines("".join(f"{name}: {value}\r\n" for name, value in added), len(added))
