"""Whatever is said is a whole answer in every dialect, and an error is a fault in each."""

from __future__ import annotations

import pytest

from gateway.upstream import simulated_speech as speech
from gateway.upstream.simulated_answers import Said, ToolCall
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.gemini import GeminiWire
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesWire
from tests.gateway.wire.judging import judged

WIRES: tuple[Wire, ...] = (OpenAIWire(), ResponsesWire(), AnthropicWire(), GeminiWire("m"))
CALL = ToolCall(call_id="t1", name="look", arguments='{"where": "behind the wall"}')


def said(pieces: tuple[str, ...] = ("Hello", " there"), tool: ToolCall | None = None) -> Said:
    return Said(
        answer_id="a1",
        model="model-a",
        created=1,
        pieces=pieces,
        tool=tool,
        input_tokens=11,
        output_tokens=7,
    )


def test_every_dialect_is_spoken() -> None:
    assert tuple(wire.name for wire in WIRES) == speech.DIALECTS


@pytest.mark.parametrize("wire", WIRES, ids=speech.DIALECTS)
@pytest.mark.parametrize("what", [said(), said(tool=CALL), said((), CALL)])
def test_answers_are_whole_and_content_begins_where_they_say(wire: Wire, what: Said) -> None:
    frames = speech.frames(wire.name, what)
    for answer, stream in (
        (frames.all(), True),
        ((speech.body(wire.name, what),), False),
    ):
        judge = judged(wire, *answer, stream=stream)
        assert (judge.done, judge.fault) == (True, None)
        assert judge.usage is not None
        assert (judge.usage.input_tokens, judge.usage.output_tokens) == (11, 7)
        assert judge.served_model == "model-a"
    begun = judged(wire, *frames.head, speech.ping(wire.name))
    assert not begun.content
    assert judged(wire, *frames.head, frames.content[0]).content


@pytest.mark.parametrize("wire", WIRES, ids=speech.DIALECTS)
def test_an_error_event_is_a_fault(wire: Wire) -> None:
    error = {"code": "overloaded", "message": "Full"}
    judge = judged(wire, speech.error_event(wire.name, error))
    assert judge.fault is not None
    assert judge.fault.error["message"] == "Full"
