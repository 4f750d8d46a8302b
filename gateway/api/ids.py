"""Identifiers of requests and traces: unique without asking anyone, and sorted by time."""

from __future__ import annotations

from random import Random

from gateway.units import RequestId, Timestamp

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
"""Ten bits at a time: half the steps."""
_FORTY_BITS = (1 << 40) - 1


class RequestIds:
    """ULIDs: 48 bits of milliseconds and 80 random bits, in 26 characters."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._millisecond = -1
        self._time = ""

    def __call__(self, now: Timestamp) -> RequestId:
        millisecond = now // 1000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            # Of 130 bits in 26 characters the first two are none of the number's.
            self._time = _written(millisecond, 50)
        random = self._rng.getrandbits(80)
        high, low = random >> 40, random & _FORTY_BITS
        pairs = _PAIRS
        return RequestId(
            f"{self._time}{pairs[high >> 30]}{pairs[(high >> 20) & 1023]}{pairs[(high >> 10) & 1023]}"
            f"{pairs[high & 1023]}{pairs[low >> 30]}{pairs[(low >> 20) & 1023]}"
            f"{pairs[(low >> 10) & 1023]}{pairs[low & 1023]}"
        )


def request_id(now: Timestamp, rng: Random) -> RequestId:
    """One alone."""
    return RequestIds(rng)(now)


def _written(number: int, bits: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(bits - 10, -1, -10)])


def trace_id(rng: Random) -> str:
    return f"{rng.getrandbits(128) | 1:032x}"


def trace_and_span(rng: Random) -> tuple[str, str]:
    """Both at once, for less."""
    both = f"{rng.getrandbits(192) | 1 << 64 | 1:048x}"
    return both[:32], both[32:]


def span_id(rng: Random) -> str:
    return f"{rng.getrandbits(64) | 1:016x}"
