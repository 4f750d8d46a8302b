from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http1.decoding import Undecodable, decoder


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "DEFLATE ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", PACKED)
@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_a_body_is_the_same_wherever_it_was_cut(
    encoding: str, data: bytes, cuts: list[int]
) -> None:
    packed = PACKED[encoding](data)
    borders = sorted({0, len(packed), *(cut % (len(packed) + 1) for cut in cuts)})
    decoding = decoder(encoding)
    assert decoding is not None
    made = b"".join(decoding.decode(packed[a:b]) for a, b in pairwise(borders))
    assert made + decoding.finish() == data


@pytest.mark.parametrize("encoding", PACKED)
def test_an_end_that_is_missing_is_told(encoding: str) -> None:
    decoding = decoder(encoding)
    assert decoding is not None
    decoding.decode(PACKED[encoding](b"some text that is long enough" * 20)[:-6])
    with pytest.raises(Undecodable):
        decoding.finish()


@pytest.mark.parametrize("encoding", PACKED)
def test_what_was_never_packed_is_told(encoding: str) -> None:
    decoding = decoder(encoding)
    assert decoding is not None
    with pytest.raises(Undecodable):  # noqa: PT012  # Some see it only at the end.
        decoding.decode(b'{"plain": "json"}')
        decoding.finish()


def test_a_body_as_it_is_needs_nothing_and_the_unknown_is_refused() -> None:
    assert decoder("") is None
    assert decoder("identity") is None
    for encoding in ("gzip, br", "lzma"):
        with pytest.raises(Undecodable):
            decoder(encoding)
