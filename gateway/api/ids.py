"""Identifiers of requests and traces: unique without asking anyone, and sorted by time."""

from __future__ import annotations

from random import Random

from gateway.units import RequestId, Timestamp

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
"""Ten bits at a time: half the steps."""


def request_id(now: Timestamp, rng: Random) -> RequestId:
    """A ULID: 48 bits of milliseconds and 80 random bits, in 26 characters."""
    number = ((now // 1000) << 80) | rng.getrandbits(80)
    return RequestId("".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)]))


def trace_id(rng: Random) -> str:
    return f"{rng.getrandbits(128) | 1:032x}"


def span_id(rng: Random) -> str:
    return f"{rng.getrandbits(64) | 1:016x}"
