"""Bodies that come compressed although nobody asked for it: decoded piece by piece."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, Protocol

Decode = Callable[[bytes], bytes]


class Undecodable(ValueError):
    """The body is not what its `content-encoding` says, or ends in its midst."""


class Decoder(Protocol):
    def decode(self, data: bytes) -> bytes:
        """Raises `Undecodable`."""
        ...

    def finish(self) -> bytes:
        """Raises `Undecodable` where the end is missing."""
        ...


def decoder(encoding: str) -> Decoder | None:
    """None for a body as it is. Raises `Undecodable` for an encoding that nobody here knows."""
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if not names:
        return None
    if len(names) > 1:
        message = f"stacked encodings: {encoding!r}"
        raise Undecodable(message)
    match names[0]:
        case "gzip" | "x-gzip":
            return _Zlib(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Zlib(zlib.MAX_WBITS)
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
        case other:
            message = f"unknown encoding {other!r}"
            raise Undecodable(message)


class _Zlib:
    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)
        self._wrapped = window != zlib.MAX_WBITS
        """Whether it is known what the data is wrapped in."""
        self._first = b""

    def decode(self, data: bytes) -> bytes:
        if not self._wrapped:
            data = self._first = self._first + data
            if len(data) < 2:
                return b""
            self._wrapped = True
            if data[0] & 0x0F != 8 or int.from_bytes(data[:2]) % 31:
                # Several servers send `deflate` without the wrapper it should have (RFC 1950).
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._inner.decompress(data)
        except zlib.error as error:
            raise Undecodable(str(error)) from error

    def finish(self) -> bytes:
        if not self._inner.eof:
            message = "the end is missing"
            raise Undecodable(message)
        return self._inner.flush()


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]  # Next to no provider sends it unasked.

        self._inner: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def decode(self, data: bytes) -> bytes:
        try:
            made: bytes = self._inner.process(data)
        except self._error as error:
            raise Undecodable(str(error)) from error
        return made

    def finish(self) -> bytes:
        if not self._inner.is_finished():
            message = "the end is missing"
            raise Undecodable(message)
        return b""


class _Zstd:
    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        self._inner: Any = zstd.ZstdDecompressor()
        self._error: type[Exception] = zstd.ZstdError

    def decode(self, data: bytes) -> bytes:
        try:
            made: bytes = self._inner.decompress(data)
        except (self._error, EOFError) as error:
            raise Undecodable(str(error)) from error
        return made

    def finish(self) -> bytes:
        if not self._inner.eof:
            message = "the end is missing"
            raise Undecodable(message)
        return b""
