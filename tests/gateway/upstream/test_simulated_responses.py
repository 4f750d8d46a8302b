from __future__ import annotations

import json

import pytest

from gateway.upstream.simulated_answers import Said, ToolCall
from gateway.upstream.simulated_responses import (
    responses_body,
    responses_error_event,
    responses_frames,
)
from gateway.wire.responses import ResponsesWire

WIRE = ResponsesWire()
TOOL = ToolCall(call_id="1", name="look", arguments='{"city": "Kiel", "days": [1, 2]}')


def said(pieces: tuple[str, ...] = ("Hi ", "you."), **more: object) -> Said:
    values: dict[str, object] = {"input_tokens": 9, "output_tokens": 2, "cached_tokens": 4}
    return Said(answer_id="x", model="m", created=1, pieces=pieces, **{**values, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [said(), said((), tool=TOOL), said(tool=TOOL), said(cut=True)])
def test_streams_are_whole_and_end_with_what_the_single_answer_says(what: Said) -> None:
    frames = responses_frames(what)
    judge = WIRE.judge(stream=True)
    seen = []
    parts = (frames.head, frames.content[:1], frames.content[1:], frames.tail)
    for part in parts:
        judge.feed(b"".join(part))
        seen.append((judge.content, judge.done))
    assert seen == [(False, False), (True, False), (True, False), (True, True)]
    values = [json.loads(frame.partition(b"data: ")[2]) for frame in frames.all()]
    assert [value["sequence_number"] for value in values] == list(range(len(values)))
    assert values[-1]["response"] == json.loads(responses_body(what))
    single = WIRE.judge(stream=False)
    single.feed(responses_body(what))
    single.end()
    assert single.done
    assert single.usage == judge.usage


def test_an_error_in_a_stream_is_a_failed_response() -> None:
    judge = WIRE.judge(stream=True)
    judge.feed(responses_error_event({"code": "rate_limit_exceeded", "message": "Slow down."}))
    assert judge.fault is not None
    assert judge.fault.error == {"code": "rate_limit_exceeded", "message": "Slow down."}
