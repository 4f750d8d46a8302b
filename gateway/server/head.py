"""The head of a request, read where there is no doubt about it; every other one is odd.

Only what all HTTP parsers read alike is taken: one method, one version, plain targets, a body with a
length or none. What is unusual or wrong is aiohttp's to read, or to refuse, so that nothing here
has to word an error and no two readings of one request can differ.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from aiohttp import hdrs
from multidict import istr

HEAD_BYTES_MAX: Final = 16 * 1024
"""A longer one is aiohttp's."""
FIELD_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 128
"""Both as aiohttp has them."""
LINES_MAX: Final = 1024
LINE_CHARS_MAX: Final = 200

_BEGINS: Final = b"POST /"
_LENGTH: Final = 1
_CONNECTION: Final = 2
_HOST: Final = 4
_ODD: Final = 1 << 30
_CLOSE: Final = 1 << 28
_FRESH: Final = 1 << 29
"""Not worth remembering, as it is another one each time; or not to be, as it is a secret."""
_SINGLE: Final = ("content-location", "content-range", "content-type", "etag", "max-forwards")
"""With `host`, `server` and `user-agent`: twice is a fault to aiohttp (RFC 9110 section 5.3)."""
_MARKS: Final = {
    "content-length": _LENGTH | _FRESH,
    "connection": _CONNECTION,
    "host": _HOST,
    # Each of them changes how the rest of the connection, or the body, is to be read.
    "transfer-encoding": _ODD,
    "content-encoding": _ODD,
    "expect": _ODD,
    "upgrade": _ODD,
    "http2-settings": _ODD,
    "sec-websocket-key1": _ODD,
    **{name: 8 << n for n, name in enumerate((*_SINGLE, "server", "user-agent"))},
    **dict.fromkeys(("traceparent", "tracestate", "x-client-request-id", "x-request-id"), _FRESH),
    **dict.fromkeys(("authorization", "x-api-key", "x-goog-api-key", "api-key"), _FRESH),
    **dict.fromkeys(("ocp-apim-subscription-key", "proxy-authorization", "cookie"), _FRESH),
}
_KNOWN: Final = {name.lower(): str(name) for name in vars(hdrs).values() if isinstance(name, istr)}
"""Names that aiohttp writes as RFCs do, however the client wrote them."""
_REQUEST: Final = re.compile(r"POST (/[A-Za-z0-9/_.:@=&?~,-]{0,8189}) HTTP/1\.1")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS: Final = re.compile(r"[0-9]{1,15}")


class Odd(Enum):
    """A head that is not for us to read."""

    ODD = "odd"


class Head:
    """`size`: how many bytes it had; `length`: how many its body has."""

    __slots__ = ("close", "headers", "length", "size", "target")

    def __init__(
        self, target: str, headers: list[tuple[str, str]], *, size: int, length: int, close: bool
    ) -> None:
        self.target = target
        self.headers = headers
        self.size = size
        self.length = length
        self.close = close


class Heads:
    """Reads heads, and remembers lines: nearly all of a client's come again with each request."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[int, tuple[str, str]]] = {}
        self._marks: dict[str, tuple[int, str]] = {}
        """And the names as they are handed on, by names as they were written."""

    def read(self, data: bytes) -> Head | Odd | None:
        """The head that `data` begins with. None: the rest of it has not come yet."""
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if not data.startswith(_BEGINS):
            return None if end < 0 and _BEGINS.startswith(data) else Odd.ODD
        if end < 0:
            return None if len(data) < HEAD_BYTES_MAX and self._may_be_plain(data) else Odd.ODD
        first, *lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
        asked = _REQUEST.fullmatch(first)
        if asked is None:
            return Odd.ODD
        read = self._headers(lines)
        if read is None or not read[1] & _HOST:
            return Odd.ODD
        headers, seen, length = read
        close = bool(seen & _CLOSE)
        return Head(asked[1], headers, size=end + 4, length=length, close=close)

    def _may_be_plain(self, begun: bytes) -> bool:
        """Whether there is sense in waiting for the rest."""
        lines = begun.decode("utf-8", "surrogateescape").split("\r\n")
        last = lines.pop()
        if not lines:
            return "\n" not in last
        if not _REQUEST.fullmatch(lines[0]) or self._headers(lines[1:]) is None:
            return False
        last = last.removesuffix("\r")
        return not last or self._line(last if ":" in last else f"{last}:")[0] != _ODD

    def _headers(self, lines: list[str]) -> tuple[list[tuple[str, str]], int, int] | None:
        """They, what they tell as bits, and the body's length. None where one is odd."""
        headers: list[tuple[str, str]] = []
        seen = length = 0
        known = self._lines
        for line in lines:
            mark, header = known.get(line) or self._line(line)
            headers.append(header)
            if not mark:
                continue
            if seen & mark or mark == _ODD:
                return None
            seen |= mark
            if mark == _LENGTH:
                if not _DIGITS.fullmatch(header[1]):
                    return None
                length = int(header[1])
            elif mark == _CONNECTION:
                said = header[1].lower()
                if said == "close":
                    seen |= _CLOSE
                elif said != "keep-alive":
                    return None
        return None if len(lines) > HEADERS_MAX else (headers, seen, length)

    def _line(self, line: str) -> tuple[int, tuple[str, str]]:
        """One header: what it means for reading the rest; name and value."""
        written, colon, value = line.partition(":")
        mark, name = self._marks.get(written) or self._mark(written)
        value = value.strip(" \t")
        long = len(line) > LINE_CHARS_MAX
        if (
            not colon
            or (long and _too_long(line))
            or (not value.isprintable() and _CONTROLS.search(value))
        ):
            return _ODD, (name, value)
        read = mark & ~_FRESH, (name, value)
        if not mark & _FRESH and not long:
            if len(self._lines) >= LINES_MAX:
                self._lines.clear()
            self._lines[line] = read
        return read

    def _mark(self, written: str) -> tuple[int, str]:
        if not _NAME.fullmatch(written):
            return _ODD, written
        lower = written.lower()
        found = _MARKS.get(lower, 0), _KNOWN.get(lower, written)
        if len(self._marks) >= LINES_MAX:
            self._marks.clear()
        self._marks[written] = found
        return found


def _too_long(line: str) -> bool:
    """In bytes, of which a character has four at most."""
    return len(line) * (1 if line.isascii() else 4) > FIELD_BYTES_MAX
