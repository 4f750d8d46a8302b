"""A good answer is judged at a glance as it is where each of its fields is decoded for itself."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.answer import SingleJudge
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from gateway.wire.responses import ResponsesJudge, ResponsesWire
from tests.fuzzing import fuzz

FUZZ = fuzz(400)
WIRES: tuple[Wire, ...] = (OpenAIWire(), ResponsesWire(), AnthropicWire())
IDS = [wire.name for wire in WIRES]
GOOD: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "Hi ⛵"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        "service_tier": "default",
    },
    "responses": {
        "id": "r",
        "object": "response",
        "status": "completed",
        "store": True,
        "error": None,
        "model": "m",
        "output": [{"type": "message", "content": [{"text": "Hi"}]}],
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 2},
        },
    },
    "anthropic": {
        "id": "msg",
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 9,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
            "cache_creation": {"ephemeral_1h_input_tokens": 1, "ephemeral_5m_input_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 2},
            "service_tier": "standard",
        },
    },
}
NAMES = sorted(
    {
        *(name for answer in GOOD.values() for name in (*answer, *answer["usage"])),
        *("error", "finish_reason", "cached_tokens", "thinking_tokens", "data", "message"),
        *("ephemeral_1h_input_tokens", "prompt_cache_hit_tokens", "cache_write_tokens"),
    }
)
VALUES: Any = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 5.0, 0.5, 10**12, 10**13, 10**25, "", "x", "error", "⛵"),
        *([], {}, [{}], [None], ["x"], {"x": 1}, {"message": "no"}, {"cached_tokens": 2}),
        *("failed", "incomplete", "completed", "a\x00b", [{"finish_reason": "length"}]),
        *([{"message": {"content": "x"}}], [{"finish_reason": "error"}], {"input_tokens": 4}),
    ]
)


@st.composite
def answers(draw: st.DrawFn, name: str) -> bytes:
    """A good answer with a few fields and bytes that are others."""
    answer = json.loads(json.dumps(GOOD[name]))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([answer, answer.get("usage")]))
        if not isinstance(place, dict):
            continue
        field = draw(st.sampled_from(NAMES))
        if draw(st.booleans()):
            place.pop(field, None)
        else:
            place[field] = deepcopy(draw(VALUES))
    body = bytearray(json.dumps(answer, ensure_ascii=draw(st.booleans())).encode())
    if draw(st.integers(0, 2)) == 0:
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 9)) == 0:
        del body[draw(st.integers(0, len(body) - 1)) :]
    return bytes(body)


def judged(wire: Wire, body: bytes, *, glances: bool) -> tuple[object, ...]:
    judge = wire.judge(stream=False)
    assert isinstance(judge, SingleJudge)
    if not glances:
        judge._glance = None
    judge.feed(body)
    judge.end()
    answer_id = judge.answer_id if isinstance(judge, ResponsesJudge) else ""
    told = (judge.content, judge.done, judge.fault, judge.usage, judge.served_model)
    return (*told, judge.kept_id, answer_id)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
def test_a_good_answer_is_seen_to_be_one_at_a_glance(wire: Wire) -> None:
    judge = wire.judge(stream=False)
    assert isinstance(judge, SingleJudge)
    assert judge._glance is not None
    body = json.dumps(GOOD[wire.name]).encode()
    assert judge._glance(judge, body)
    assert judged(wire, body, glances=True) == judged(wire, body, glances=False)


@pytest.mark.parametrize("wire", WIRES, ids=IDS)
@FUZZ
@given(data=st.data())
def test_a_glance_and_a_long_look_find_the_same(wire: Wire, data: st.DataObject) -> None:
    body = data.draw(answers(wire.name))
    assert judged(wire, body, glances=True) == judged(wire, body, glances=False)
