"""Whole SSE frames, however a stream is divided: nothing is lost, nothing half is let through."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.whole_frames import HELD_BYTES_MAX, WholeFrames

BLANK_LINE = re.compile(rb"(?:\n\n|\r\n\r\n|\r\r)\Z")
TEXTS = st.lists(
    st.sampled_from([b"data: a", b"event: x", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b": c"])
    | st.binary(max_size=20),
    max_size=30,
).map(b"".join)


@st.composite
def divided(draw: st.DrawFn) -> list[bytes]:
    """A stream in chunks that end anywhere; empty ones are among them."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    borders = [0, *cuts, len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


@given(divided())
def test_every_byte_comes_through_in_order(chunks: list[bytes]) -> None:
    frames = WholeFrames()
    passed = [frames.feed(chunk) for chunk in chunks]
    assert b"".join(passed) + frames.rest() == b"".join(chunks)
    assert frames.rest() == b""


@given(divided())
def test_what_is_let_through_ends_at_a_blank_line(chunks: list[bytes]) -> None:
    frames = WholeFrames()
    for chunk in chunks:
        passed = frames.feed(chunk)
        assert not passed or BLANK_LINE.search(passed)
    assert not BLANK_LINE.search(frames.rest())


@given(divided())
def test_no_whole_frame_is_held_back(chunks: list[bytes]) -> None:
    frames = WholeFrames()
    text, passed = b"", b""
    for chunk in chunks:
        text += chunk
        passed += frames.feed(chunk)
        for mark in (b"\n\n", b"\r\n\r\n", b"\r\r"):
            assert mark not in text[len(passed) :]


@pytest.mark.parametrize(
    ("chunks", "passed"),
    [
        ([b"data: a\n\n"], [b"data: a\n\n"]),
        ([b"data: a", b"\n", b"\n"], [b"", b"", b"data: a\n\n"]),
        ([b"a\n\nb", b"c\n\nd"], [b"a\n\n", b"bc\n\n"]),
        ([b"a\r\n\r", b"\nb\n\n"], [b"", b"a\r\n\r\nb\n\n"]),
        ([b"a\r\n\r\nb\n\nc"], [b"a\r\n\r\nb\n\n"]),
    ],
)
def test_frames_are_put_together(chunks: list[bytes], passed: list[bytes]) -> None:
    frames = WholeFrames()
    assert [frames.feed(chunk) for chunk in chunks] == passed


def test_a_frame_too_large_to_hold_passes_as_it_comes() -> None:
    frames = WholeFrames()
    assert frames.feed(b"x" * HELD_BYTES_MAX) == b""
    assert frames.feed(b"y") == b"x" * HELD_BYTES_MAX + b"y"
    assert frames.feed(b"z" * 10) == b""
    assert frames.feed(b"\n\nnext") == b"z" * 10 + b"\n\n"
    assert frames.rest() == b"next"


def test_it_says_while_a_frame_that_is_too_large_to_be_held_is_on_its_way() -> None:
    gate = WholeFrames()
    seen = []
    for chunk in (b"data: a\n\n", b"data: b", b"\n\n", b"x" * (HELD_BYTES_MAX + 1), b"x", b"\n\n"):
        gate.feed(chunk)
        seen.append(gate.within)
    assert seen == [False, False, False, True, True, False]
