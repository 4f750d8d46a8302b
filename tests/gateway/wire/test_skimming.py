"""What is skimmed is judged as it is where every frame is looked into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.answer import StreamJudge
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesStreamJudge, ResponsesWire
from gateway.wire.skimming import LEARNED_MAX, Named, Shape
from tests.fuzzing import fuzz
from tests.gateway.wire.judging import PLACES, cut

FUZZ = fuzz(300)
WIRES: tuple[Wire, ...] = (OpenAIWire(), ResponsesWire(), AnthropicWire())
IDS = [wire.name for wire in WIRES]
EVENTS = {"responses": "response.output_text.delta", "anthropic": "content_block_delta"}
SEPARATORS: Any = st.sampled_from([(",", ":"), (", ", ": ")])
TEXTS = st.text(max_size=6) | st.sampled_from(
    ['"', "\\", "\n", '","finish_reason":"stop', "data: [DONE]", '"content":"', "⛵", "\x00"]
)


def plain(wire: Wire, text: str, **more: object) -> dict[str, Any]:
    if wire.name == "openai":
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return {"id": "c", "model": "m", "choices": [choice], **more}
    if wire.name == "responses":
        return {"type": EVENTS[wire.name], "sequence_number": len(text), "delta": text, **more}
    return {"type": EVENTS[wire.name], "index": 0, "delta": {"text": text}, **more}


def frame(wire: Wire, value: object, separators: tuple[str, str] = (",", ":")) -> bytes:
    data = b"data: " + json.dumps(value, separators=separators, ensure_ascii=False).encode()
    event = EVENTS.get(wire.name)
    return (f"event: {event}\n".encode() if event else b"") + data + b"\n\n"


ODD: Any = st.sampled_from(
    [
        {"usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"usage": None},
        {"error": {"message": "no"}},
        {"obfuscation": "x1"},
        {"obfuscation": "y"},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"code": 1},
        {"service_tier": "flex"},
    ]
)
RAW = st.sampled_from(
    [
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b"event: ping\ndata: {}\n\n",
        b"event: error\ndata: {}\n\n",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b"\n",
        b"\r\n",
        b'data: {"choices":[{"delta":{"content":"a\x01"}}]}\n\n',
        b'data: {"content":"\xff"}\r\n\r\n',
    ]
)


@st.composite
def streams(draw: st.DrawFn, wire: Wire) -> bytes:
    """A stream mostly of plain frames; here and there a byte of it is another one."""
    separators = draw(SEPARATORS)
    parts = [frame(wire, plain(wire, "x"), separators)]
    for text in draw(st.lists(st.none() | TEXTS | ODD | RAW, max_size=12)):
        if isinstance(text, bytes):
            parts.append(text)
        elif isinstance(text, dict):
            parts.append(frame(wire, plain(wire, "y", **text), separators))
        else:
            parts.append(frame(wire, plain(wire, text or "abc"), separators))
    whole = bytearray(b"".join(parts))
    for place, byte in draw(
        st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=2)
    ):
        if draw(st.integers(0, 3)) == 0:
            whole[place % len(whole)] = byte
    return bytes(whole)


def seen(judge: StreamJudge) -> tuple[object, ...]:
    last = judge.next_number() if isinstance(judge, ResponsesStreamJudge) else 0
    told = (judge.content, judge.done, judge.fault, judge.finished, judge.pieces)
    over = judge.done or judge.fault is not None  # What else comes is looked into by nobody.
    held = b"" if over else bytes(judge._frames.held)
    return (*told, judge.usage, judge.served_model, held, last)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@FUZZ
@given(data=st.data(), places=PLACES)
def test_skimmed_or_looked_into_a_stream_is_the_same(
    wire: Wire, data: st.DataObject, places: list[int]
) -> None:
    whole = data.draw(streams(wire))
    skimming, looking = wire.judge(stream=True), wire.judge(stream=True)
    assert isinstance(skimming, StreamJudge)
    assert isinstance(looking, StreamJudge)
    looking._skim = None
    for part in cut(whole, places):
        skimming.feed(part)
        looking.feed(part)
        assert seen(skimming) == seen(looking)
    skimming.end()
    looking.end()
    assert seen(skimming) == seen(looking)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@pytest.mark.parametrize("more", [{}, {"obfuscation": "abc"}])
def test_plain_frames_are_skimmed_one_by_one_and_many_at_once(
    wire: Wire, more: dict[str, str]
) -> None:
    skim = Shape() if wire.name == "openai" else Named()
    known = frame(wire, plain(wire, "Hello", **more))
    assert skim.frames(known, 0) == (0, 0)
    event = EVENTS.get(wire.name, "").encode()
    skim.learn(event, json.dumps(plain(wire, "Hello", **more), separators=(",", ":")).encode())
    other = frame(wire, plain(wire, "", **dict.fromkeys(more, "z")))
    assert skim.frames(known, 0) == (1, len(known))
    assert skim.frames(other, 0) == (1, len(other))
    assert skim.frames(known + other * 3, 0) == (4, len(known) + 3 * len(other))
    assert skim.frames(known + known[:-3], 0) == (1, len(known))
    assert skim.frames(other + b": ping\n\n" + known, 0) == (1, len(other))
    assert skim.frames(b": ping\n\n" + known, 8) == (1, 8 + len(known))


def test_what_has_no_shape_is_learned_only_so_often() -> None:
    shape = Shape()
    for number in range(LEARNED_MAX + 1):
        shape.learn(b"", b'{"n":%d,"content":"x"}' % number)
    assert shape.frames(b'data: {"n":%d,"content":"y"}\n\n' % (LEARNED_MAX - 1), 0)[0] == 1
