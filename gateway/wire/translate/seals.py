"""Marks what only its maker can read, so that it comes back to that one intact and to nobody else.

A seal is base64 as vendors' signatures are, since some clients decode and encode them on the way.
"""

from __future__ import annotations

import base64
import binascii

from gateway.wire.translate.neutral import Seal

_MARK = b"evk1"
_URL_SAFE = str.maketrans("-_", "+/", "=")


def wrapped(seal: Seal) -> str:
    parts = (seal.origin.encode(), seal.kind.encode(), seal.payload.encode(errors="replace"))
    return base64.b64encode(b"\0".join((_MARK, *parts))).decode()


def opened(text: object) -> Seal | None:
    """None for everything that `wrapped` did not make: a foreign signature."""
    if not isinstance(text, str) or not text.startswith("ZXZrMQ"):  # The mark in base64.
        return None
    plain = text.translate(_URL_SAFE)
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        mark, origin, kind, payload = raw.split(b"\0", 3)
        seal = Seal(origin.decode(), kind.decode(), payload.decode())
    except (ValueError, binascii.Error):
        return None
    return seal if mark == _MARK else None
