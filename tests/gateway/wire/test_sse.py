from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.sse import SSE_FRAME_BYTES_MAX, Frame, SseFrames


def frames(*chunks: bytes) -> list[Frame]:
    splitter = SseFrames()
    found = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    return found + splitter.close()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\n\n", b"data", b"data:", b"data: x", b"event: e", b"event:", b":",
     b" ", b"id: 1", b"\xef\xbb\xbf", b"{}", b"[DONE]", b"x"]
)  # fmt: skip
STREAMS = st.lists(PIECES, max_size=40).map(b"".join)


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_division_of_a_stream_gives_the_same_frames(stream: bytes, places: list[int]) -> None:
    assert frames(*cut(stream, places)) == frames(stream)


@settings(deadline=None)
@given(STREAMS)
def test_a_stream_fed_byte_by_byte_gives_the_same_frames(stream: bytes) -> None:
    assert frames(*(stream[i : i + 1] for i in range(len(stream)))) == frames(stream)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_random_bytes_never_raise(chunks: list[bytes]) -> None:
    frames(*chunks)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_three_line_ends_are_understood(end: bytes) -> None:
    stream = end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
    assert frames(stream) == [(b"a", b"1"), (b"", b"2")]


def test_a_frame_is_handed_out_as_soon_as_its_blank_line_is_there() -> None:
    splitter = SseFrames()
    assert splitter.feed(b"data: 1\r\n\r") == [(b"", b"1")]
    assert splitter.feed(b"\ndata: 2\n\n") == [(b"", b"2")]


def test_lines_of_data_are_joined_and_only_one_space_is_taken_off() -> None:
    assert frames(b"data: a\ndata:  b\ndata\ndata:c\n\n") == [(b"", b"a\n b\n\nc")]


def test_comments_and_unknown_fields_are_no_frames() -> None:
    stream = b": OPENROUTER PROCESSING\n\n\n\nid: 7\nretry: 10\n\n: x\ndata: 1\nid: 8\n\n"
    assert frames(stream) == [(b"", b"1")]


def test_a_byte_order_mark_before_the_first_frame_is_overlooked() -> None:
    assert frames(b"\xef", b"\xbb\xbfdata: 1\n\n") == [(b"", b"1")]


def test_an_event_without_data_is_handed_out_and_empty_data_is_not() -> None:
    assert frames(b"event: ping\n\ndata:\n\ndata: \n\n") == [(b"ping", b"")]


def test_a_last_frame_without_its_blank_line_counts() -> None:
    assert frames(b"data: 1\n\ndata: [DONE]") == [(b"", b"1"), (b"", b"[DONE]")]


def test_a_frame_over_the_limit_is_reported_once_and_not_kept() -> None:
    splitter = SseFrames()
    mebibyte = b"x" * 2**20
    found = [frame for _ in range(30) for frame in splitter.feed(mebibyte)]
    assert found == [(b"", None)]
    assert len(splitter.held) == 1
    assert splitter.feed(b"x\n") == []
    assert splitter.feed(b"\ndata: next\n\n") == [(b"", b"next")]


@pytest.mark.parametrize("over", [0, 1, 2])
def test_the_limit_is_the_same_for_whole_and_divided_frames(over: int) -> None:
    block = b"data: ".ljust(SSE_FRAME_BYTES_MAX + over, b"x")
    expected = [(b"", None)] if over else [(b"", block[6:])]
    for parts in ([block + b"\n\n"], [block, b"\n\n"], [block + b"\n", b"\n"], [block]):
        assert frames(*parts) == expected
