from __future__ import annotations

import re
from random import Random

from gateway.api import ids
from gateway.units import Timestamp

NOW = Timestamp(1_795_435_200_123_456)
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def time_of(ulid: str) -> int:
    """Its milliseconds, as the specification of ULIDs says."""
    number = 0
    for each in ulid[:10]:
        number = number * 32 + ALPHABET.index(each)
    return number


def test_request_ids_are_ulids_that_sort_by_time() -> None:
    rng = Random(1)
    found = [ids.request_id(Timestamp(NOW + 1000 * n), rng) for n in range(2000)]
    assert found == sorted(found)
    assert len(set(found)) == len(found)
    assert all(ULID.fullmatch(each) for each in found)
    assert [time_of(each) for each in found[:3]] == [NOW // 1000 + n for n in range(3)]


def test_within_a_millisecond_ids_differ_by_chance_alone() -> None:
    rng = Random(2)
    found = {ids.request_id(NOW, rng) for _ in range(2000)}
    assert len(found) == 2000
    assert len({each[:10] for each in found}) == 1


def test_trace_and_span_ids_are_valid_and_never_zero() -> None:
    rng = Random(3)
    assert all(re.fullmatch("[0-9a-f]{32}", ids.trace_id(rng)) for _ in range(100))
    assert all(re.fullmatch("[0-9a-f]{16}", ids.span_id(rng)) for _ in range(100))

    both = [ids.trace_and_span(rng) for _ in range(100)]
    assert all(re.fullmatch("[0-9a-f]{32} [0-9a-f]{16}", " ".join(each)) for each in both)
    assert len({each for pair in both for each in pair}) == 200

    class Zero(Random):
        def getrandbits(self, k: int, /) -> int:
            return 0

    assert set(ids.trace_id(Zero()) + ids.span_id(Zero())) == {"0", "1"}
    assert set("".join(ids.trace_and_span(Zero()))) == {"0", "1"}
    assert all("1" in each for each in ids.trace_and_span(Zero()))
