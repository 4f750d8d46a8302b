"""Spans as OTLP's protobuf, written directly: OpenTelemetry's own objects take ten times as long.

Fields and their numbers are those of opentelemetry-proto's `trace.proto` and `common.proto`; a
test has its classes read what is written here. What is empty is left out, as protobuf does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final

from gateway.telemetry.spans import Attributes, Ids, Role, Told, Value

NANOS: Final = 1000
"""In a microsecond."""
_SIXTY_FOUR: Final = (1 << 64) - 1
_ROLES: Final = {Role.INTERNAL: b"\x30\x01", Role.SERVER: b"\x30\x02", Role.CLIENT: b"\x30\x03"}
_ERROR: Final = b"\x18\x02"
"""Of a status: its code."""
_FLAGS: Final = {
    False: b"\x85\x01\x00\x01\x00\x00",
    True: b"\x85\x01\x00\x03\x00\x00",
}
"""Whether the parent is in another process; and that this is known."""
_OWN: Final = b"\x35\x00\x01\x00\x00"
"""The same of a link: it is not."""
_TIMES: Final = Struct("<BQBQ").pack
_TIME: Final = Struct("<BQ").pack
_DOUBLE: Final = Struct("<Bd").pack
_SHORT: Final = tuple(bytes((number,)) for number in range(128))


def span(told: Told) -> bytes:
    """A `Span`, as an element of `ScopeSpans.spans`."""
    started, ended = told.started * NANOS, max(told.started, told.ended) * NANOS
    parts = [
        b"\x0a\x10",
        bytes.fromhex(told.ids.trace),
        b"\x12\x08",
        bytes.fromhex(told.ids.span),
        b"\x22\x08" + bytes.fromhex(told.parent) if told.parent else b"",
        _field(b"\x2a", told.name.encode("utf-8", "replace")),
        _ROLES[told.role],
        _TIMES(0x39, started & _SIXTY_FOUR, 0x41, ended & _SIXTY_FOUR),
    ]
    _attributes(b"\x4a", told.attributes, parts)
    for name, attributes, ts in told.events:
        parts.append(_field(b"\x5a", _event(name, attributes, ts)))
    parts += [_field(b"\x6a", _link(ids)) for ids in told.links]
    status = _field(b"\x12", told.error.encode()) + _ERROR if told.error else b""
    parts += (_field(b"\x7a", status), _FLAGS[bool(told.parent) and told.remote_parent])
    return _field(b"\x12", b"".join(parts))


def message(
    spans: Iterable[bytes], *, resource: Mapping[str, str], name: str, version: str, schema: str
) -> bytes:
    """An `ExportTraceServiceRequest` of what `span` gave, of one resource and one scope."""
    about: list[bytes] = []
    _attributes(b"\x0a", resource, about)
    scope = _field(b"\x0a", name.encode()) + _field(b"\x12", version.encode())
    of_scope = _field(b"\x0a", scope) + b"".join(spans) + _field(b"\x1a", schema.encode())
    return _field(b"\x0a", _field(b"\x0a", b"".join(about)) + _field(b"\x12", of_scope))


def _event(name: str, attributes: Attributes, ts: int) -> bytes:
    parts = [_TIME(0x09, ts * NANOS & _SIXTY_FOUR), _field(b"\x12", name.encode())]
    _attributes(b"\x1a", attributes, parts)
    return b"".join(parts)


def _link(ids: Ids) -> bytes:
    return b"\x0a\x10%b\x12\x08%b%b" % (bytes.fromhex(ids.trace), bytes.fromhex(ids.span), _OWN)


def _attributes(tag: bytes, values: Mapping[str, Value], parts: list[bytes]) -> None:
    for name, value in values.items():
        key = _KEYS.get(name)
        if key is None:
            key = _field(b"\x0a", name.encode())
            if len(_KEYS) < _KEYS_MAX:
                _KEYS[name] = key
        found = _value(value)
        parts += (tag, _size(len(key) + len(found)), key, found)


_KEYS: Final[dict[str, bytes]] = {}
"""Names as they are written: a closed set, since attributes are called as the catalogue says."""
_KEYS_MAX: Final = 512


def _value(value: Value) -> bytes:
    """A `KeyValue`'s value: tag, size and an `AnyValue`."""
    if isinstance(value, str):
        text = value.encode()
        size = len(text)
        if size < 126:
            return b"\x12%b\x0a%b%b" % (_SHORT[size + 2], _SHORT[size], text)
        return _field(b"\x12", _field(b"\x0a", text, empty=True))
    if isinstance(value, bool):
        return b"\x12\x02\x10\x01" if value else b"\x12\x02\x10\x00"
    if isinstance(value, int):
        number = b"\x18" + _size(value & _SIXTY_FOUR)
        return b"\x12" + _SHORT[len(number)] + number
    return b"\x12\x09" + _DOUBLE(0x21, value)


def _field(tag: bytes, content: bytes, *, empty: bool = False) -> bytes:
    """With its size before it; nothing where there is nothing to say."""
    if content or empty:
        return b"%b%b%b" % (tag, _size(len(content)), content)
    return b""


def _size(number: int) -> bytes:
    """A varint."""
    if number < 128:
        return _SHORT[number]
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
