"""Whatever comes in whatever pieces: the four dialects' judges and the scanners of bodies end, keep
their bounds, and agree with themselves. Larger runs than the properties beside the modules."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream import simulated_speech as speech
from gateway.upstream.simulated_answers import Said, ToolCall
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import ClientError, Wire
from gateway.wire.body import drop_fields, read_fields, read_unnamed, replace_model
from gateway.wire.conversation import conversation
from gateway.wire.gemini import METHODS, GeminiWire
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesWire
from tests.fuzzing import fuzz
from tests.gateway.wire.judging import PLACES, cut, judged, verdict

FUZZ = fuzz(80)
WIRES: tuple[Wire, ...] = (OpenAIWire(), ResponsesWire(), AnthropicWire(), GeminiWire("m"))
IDS = [wire.name for wire in WIRES]
TOOL = ToolCall(call_id="t", name="look", arguments='{"where": "Kiel ⛵", "deep": [[{}]]}')
ERROR = {"type": "overloaded_error", "code": 503, "message": "Full ⛵", "status": "UNAVAILABLE"}
JUDGE_BYTES_MAX = 2 * 1024 * 1024
"""Of what a judge may hold of a stream of 64 MB without a frame that counts."""

TEXTS = st.text(max_size=12) | st.sampled_from(["Grüße", "\r\n\r\n", "data: [DONE]", "⛵" * 9])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        *("type", "error", "choices", "delta", "content", "finish_reason", "usage", "model"),
        *("response", "item", "output", "status", "id", "sequence_number", "message"),
        *("candidates", "parts", "finishReason", "promptFeedback", "usageMetadata", "embedding"),
        *("stop_reason", "content_block", "text", "code", "object", "data", "input_tokens"),
    ]
)
KINDS = st.sampled_from(
    [
        *("response.created", "response.completed", "response.failed", "response.x.delta"),
        *("message_start", "message_delta", "message_stop", "content_block_delta", "ping"),
        *("error", "", "response.output_item.done"),
    ]
)
ODD = st.dictionaries(
    NAMES, KINDS | VALUES | st.lists(st.dictionaries(NAMES, VALUES, max_size=4)), max_size=6
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame of nearly any dialect, well-formed or not."""
    kind = draw(KINDS)
    value = draw(ODD)
    if kind:
        value = {"type": kind, **value}
    data = json.dumps(value).encode() if draw(st.booleans()) else draw(st.binary(max_size=40))
    head = f"event: {kind}\n".encode() if kind and draw(st.booleans()) else b""
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b""]))
    return head + b"data: " + data + end


def good(wire: Wire, pieces: tuple[str, ...], *, tool: bool, cut_short: bool) -> list[bytes]:
    said = Said(
        answer_id="a",
        model="m",
        created=1,
        pieces=pieces,
        tool=TOOL if tool or not pieces else None,
        input_tokens=3,
        output_tokens=2,
        cut=cut_short,
    )
    return list(speech.frames(wire.name, said).all())


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@FUZZ
@given(
    pieces=st.lists(TEXTS.filter(bool), max_size=5),
    tool=st.booleans(),
    cut_short=st.booleans(),
    ends=st.sampled_from(["whole", "cut", "error"]),
    at=st.integers(0, 100_000),
    places=PLACES,
)
def test_a_stream_is_judged_alike_wherever_it_is_divided(
    wire: Wire,
    pieces: list[str],
    tool: bool,
    cut_short: bool,
    ends: str,
    at: int,
    places: list[int],
) -> None:
    sent = good(wire, tuple(pieces), tool=tool, cut_short=cut_short)
    kept = sent if ends == "whole" else sent[: at % len(sent)]
    if ends == "error":
        kept = [*kept, speech.error_event(wire.name, ERROR)]
    whole = b"".join(kept)
    found = verdict(wire, *cut(whole, places))
    assert found == verdict(wire, whole)
    if ends == "whole":
        assert found[1]
    elif wire.name != "openai":  # There a `finish_reason` is enough: not all servers write more.
        assert not found[1]
    if ends == "error":
        assert found[2] is not None
        assert found[2].reason == "error_event"


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@FUZZ
@given(parts=st.lists(frames() | st.binary(max_size=30), max_size=12), places=PLACES)
def test_no_stream_makes_a_judge_fail(wire: Wire, parts: list[bytes], places: list[int]) -> None:
    whole = b"".join(parts)
    assert verdict(wire, *cut(whole, places)) == verdict(wire, whole)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@FUZZ
@given(value=ODD | VALUES, places=PLACES)
def test_no_single_answer_makes_a_judge_fail(wire: Wire, value: Any, places: list[int]) -> None:
    body = json.dumps(value).encode()
    parts = cut(body, places)
    assert verdict(wire, *parts, stream=False) == verdict(wire, body, stream=False)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@pytest.mark.parametrize(
    "piece", [b"data: {}\n\n", b": ping\n\n", b"x" * 1000, b'data: {"a": "' + b"x" * 1000]
)
def test_a_judge_holds_little_of_a_stream_without_end(wire: Wire, piece: bytes) -> None:
    judge = wire.judge(stream=True)
    chunk = piece * (64 * 1024 // len(piece) + 1)
    judge.feed(chunk)
    tracemalloc.start()
    try:
        for _ in range(4 if piece.endswith(b"\n\n") else 200):
            judge.feed(chunk)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    limit = JUDGE_BYTES_MAX if piece.endswith(b"\n\n") else 8 * JUDGE_BYTES_MAX
    assert held < limit
    assert not judged(wire, chunk).done


BODIES = st.binary(max_size=80) | (
    ODD | VALUES | st.dictionaries(st.sampled_from(["model", "stream", "input", "x"]), VALUES)
).map(lambda value: json.dumps(value).encode())


@FUZZ
@given(body=BODIES, place=st.integers(0, 1000), byte=st.integers(0, 255))
def test_no_body_makes_a_scanner_fail(body: bytes, place: int, byte: int) -> None:
    broken = bytearray(body)
    if broken:
        broken[place % len(broken)] = byte
    for each in (body, bytes(broken)):
        conversation(each)
        for read in (read_fields, lambda raw: read_unnamed(raw, model="m", stream=True)):
            try:
                asked = read(each)
            except ClientError as error:
                assert error.status == 400  # noqa: PT017 - most bodies are none
            else:
                assert asked.session.isprintable()
                scanned(each)


def scanned(accepted: bytes) -> None:
    replace_model(accepted, "b")
    drop_fields(accepted, {"x"})
    for method in METHODS:
        GeminiWire("m", method).with_model(accepted, "b")
