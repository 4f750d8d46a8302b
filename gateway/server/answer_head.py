"""The head of an answer, byte for byte as aiohttp writes it."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp.http import SERVER_SOFTWARE

from gateway.relay.answering import Headers
from gateway.units import MICROS, Timestamp

CHUNKED: Final = -1
"""For a length that nobody knows yet."""
_FORBIDDEN: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
"""In any header: what could end it early (RFC 9110 section 5.5). Line breaks are counted."""
_DEFAULT_TYPE: Final = "Content-Type: application/octet-stream\r\n"


class ForbiddenHeader(ValueError):
    """A header with a control character in it: somebody tries to smuggle in another one."""


def empty(status: int) -> bool:
    """Whether an answer of that status has no body, whatever it was given."""
    return status in (204, 304) or 100 <= status < 200


def common(now: Timestamp) -> str:
    """The lines that all answers of one second have."""
    return f"Date: {formatdate(now // MICROS, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n"


def written(status: int, headers: Headers, length: int, end: str, *, close: bool) -> bytes:
    """`length`: of the body, or `CHUNKED`; `end`: the `common` lines. Raises `ForbiddenHeader`."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if empty(status):
        size = kind = ""
    else:
        size = "Transfer-Encoding: chunked\r\n" if length < 0 else f"Content-Length: {length}\r\n"
        kind = "" if not length or _has_type(headers) else _DEFAULT_TYPE
    last = "Connection: close\r\n\r\n" if close else "\r\n"
    # Aiohttp leaves out what cannot be written, such as the half of a character.
    head = f"{_line(status)}{text}{size}{kind}{end}{last}".encode("utf-8", "ignore")
    if len(head.translate(None, _FORBIDDEN)) != len(head) or not _breaks(text, len(headers)):
        raise ForbiddenHeader
    return head


def _breaks(text: str, lines: int) -> bool:
    """Whether it has as many line breaks as lines, and no half of one."""
    return text.count("\n") == text.count("\r") == lines


def _has_type(headers: Headers) -> bool:
    for name, _ in headers:  # noqa: SIM110  # A generator costs more than the search.
        if len(name) == 12 and name.lower() == "content-type":
            return True
    return False


def _line(status: int) -> str:
    return _LINES.get(status) or f"HTTP/1.1 {status} \r\n"


_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}
