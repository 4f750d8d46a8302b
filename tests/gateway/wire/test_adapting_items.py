"""Histories of Responses and Gemini, adapted through `adapt`, which knows them by their fields."""

from __future__ import annotations

import json
from typing import Any

from gateway.wire.adapting import Foreign, adapt
from gateway.wire.adapting_items import ANY_THOUGHT

ASKED = {"type": "message", "role": "user", "content": "Hi.", "id": "mine"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c|1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c|1", "output": "ok"}


def responses(foreign: Foreign, *items: Any) -> tuple[Any, tuple[str, ...]]:
    body, done = adapt(json.dumps({"model": "m", "input": items}).encode(), foreign)
    return json.loads(body)["input"], done


def gemini(foreign: Foreign, *contents: Any) -> tuple[Any, tuple[str, ...]]:
    body, done = adapt(json.dumps({"contents": contents}).encode(), foreign)
    return json.loads(body)["contents"], done


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def test_reasoning_goes_with_the_ids_that_refer_to_it() -> None:
    call, result = ({**each, "call_id": "c1"} for each in (CALL, RESULT))
    found, done = responses(Foreign.THINKING, ASKED, THOUGHT, call, result)
    assert done == ("thinking",)
    assert [each["type"] for each in found] == ["message", "function_call", "function_call_output"]
    assert found[0] == ASKED
    assert "id" not in found[1]
    assert found[1]["call_id"] == found[2]["call_id"] == "c1"


def test_ids_of_calls_are_renamed_in_pairs_and_alike_each_time() -> None:
    found, done = responses(Foreign.TOOL_IDS, ASKED, CALL, RESULT)
    again, _ = responses(Foreign.TOOL_IDS, ASKED, CALL, RESULT)
    assert "tool_ids" in done
    assert found == again
    assert found[1]["call_id"] == found[2]["call_id"] != "c|1"


def test_a_text_alone_has_no_history() -> None:
    body = b'{"model":"m","input":"Hi."}'
    assert adapt(body, Foreign.THINKING) == (body, ())


def test_thoughts_and_signatures_of_gemini_go() -> None:
    thought = {"text": "Hm.", "thought": True, "thoughtSignature": "x"}
    call = {"functionCall": {"name": "f"}, "thoughtSignature": "y"}
    asked = {"role": "user", "parts": [{"text": "Hi."}]}
    found, done = gemini(Foreign.THINKING, asked, model(thought, call), model(thought))
    assert done == ("thinking",)
    assert found == [asked, model({"functionCall": {"name": "f"}})]


def test_the_first_call_of_a_step_gets_the_stand_in() -> None:
    one, two = ({"functionCall": {"name": name}} for name in "ab")
    signed = {**two, "thoughtSignature": "y"}
    found, done = gemini(Foreign.THOUGHT_SIGNATURE, model({"text": "t"}, one, signed))
    assert done == ("thought_signature",)
    assert found == [model({"text": "t"}, {**one, "thoughtSignature": ANY_THOUGHT}, two)]
    assert gemini(Foreign.THOUGHT_SIGNATURE, *found)[1] == ()
