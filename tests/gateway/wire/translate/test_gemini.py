"""Requests to and from Gemini."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.adapting_items import ANY_THOUGHT
from gateway.wire.base import ClientError
from gateway.wire.translate.base import TranslatedRequest
from gateway.wire.translate.gemini_read import json_schema
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import chat_stream, events, sse
from tests.gateway.wire.translate.telling import told_by

ASKED = {"role": "user", "parts": [{"text": "Hi"}]}


def from_gemini(request: Any, *, target: str = "openai") -> tuple[Any, TranslatedRequest]:
    pair = translation("gemini", target)
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model="m", stream=False)
    return json.loads(made.body), made


def to_gemini(
    request: Any, *, model: str = "gemini-3-pro", stream: bool = False
) -> tuple[Any, TranslatedRequest]:
    pair = translation("openai", "gemini")
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model=model, stream=stream)
    return json.loads(made.body), made


def call(own_id: str, **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": '{"a": 1}'}
    return {"id": own_id, "type": "function", "function": function, **more}


def test_the_model_stands_in_the_path() -> None:
    request = {"messages": [{"role": "user", "content": "Hi"}]}
    body, made = to_gemini(request)
    assert (made.path, made.query) == ("/models/gemini-3-pro:generateContent", "")
    assert body == {"contents": [ASKED]}
    _, made = to_gemini(request, stream=True)
    assert (made.path, made.query) == ("/models/gemini-3-pro:streamGenerateContent", "alt=sse")


def test_a_chat_as_contents() -> None:
    schema = {"$schema": "x", "type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    body, made = to_gemini(
        {
            "messages": [
                {"role": "system", "content": "Be."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "tool_calls": [call("x"), call("y")]},
                {"role": "tool", "tool_call_id": "y", "content": "2"},
                {"role": "tool", "tool_call_id": "x", "content": "1"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "max_tokens": 9,
            "temperature": 0.5,
            "seed": 4,
            "stop": ["a"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": schema},
            },
            "reasoning_effort": "high",
            "user": "u",
        }
    )
    given = {"functionCall": {"name": "f", "args": {"a": 1}}}
    assert body["contents"][1]["parts"] == [{**given, "thoughtSignature": ANY_THOUGHT}, given]
    assert body["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "f", "response": {"output": "1"}}},
            {"functionResponse": {"name": "f", "response": {"output": "2"}}},
        ],
    }
    assert body["systemInstruction"] == {"parts": [{"text": "Be."}]}
    [declared] = body["tools"][0]["functionDeclarations"]
    assert "$schema" not in declared["parametersJsonSchema"]
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
    }
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "seed": 4,
        "maxOutputTokens": 9,
        "stopSequences": ["a"],
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"},
    }
    assert made.lost == ("user",)


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-pro", "low", {"includeThoughts": True, "thinkingBudget": 2048}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-3-flash", "none", {"thinkingLevel": "minimal"}),
        ("gemini-2.0-flash", "low", None),
    ],
)
def test_thinking_is_asked_for_in_the_models_manner(model: str, effort: str, expected: Any) -> None:
    request = {"messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": effort}
    body, _ = to_gemini(request, model=model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == expected


def test_an_older_model_needs_no_signature() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [call("x")]}]
    body, _ = to_gemini({"messages": messages}, model="gemini-2.5-pro")
    assert "thoughtSignature" not in body["contents"][1]["parts"][0]


def test_sound_and_film_go_to_gemini() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}
    body, _ = to_gemini({"messages": [{"role": "user", "content": [sound]}]})
    assert body["contents"][0]["parts"] == [{"inlineData": {"mimeType": "audio/mp3", "data": "AA"}}]


def test_calls_without_ids_get_one_that_stays_and_that_their_results_share() -> None:
    one = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}] * 2}
    back = {"functionResponse": {"name": "f", "response": {"output": "ok"}}}
    first = [ASKED, one, {"role": "user", "parts": [back, back]}]
    body, _ = from_gemini({"contents": first})
    ids = [each["id"] for each in body["messages"][1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [each["tool_call_id"] for each in body["messages"][2:4]] == ids
    assert body["messages"][2]["content"] == "ok"
    later, _ = from_gemini({"contents": [*first, one, {"role": "user", "parts": [back, back]}]})
    assert later["messages"][:4] == body["messages"][:4]
    assert len({each["id"] for each in later["messages"][4]["tool_calls"]} | set(ids)) == 4


GEMINI_CLI: Any = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Hi"},
                {"inline_data": {"mime_type": "image/png", "data": "AA"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True},
                {"text": "So"},
                {
                    "functionCall": {"id": "c", "name": "f", "args": {"a": 1}},
                    "thoughtSignature": "Zm9v",
                },
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}}],
        },
    ],
    "system_instruction": {"parts": [{"text": "Be."}]},
    "tools": [
        {
            "function_declarations": [
                {
                    "name": "f",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "INTEGER", "nullable": True}},
                    },
                }
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 1,
        "topK": 3,
        "maxOutputTokens": 5,
        "thinkingConfig": {"thinkingLevel": "LOW"},
        "mediaResolution": "x",
    },
    "safetySettings": [{"category": "x"}],
}


def test_a_turn_of_gemini_cli_as_a_chat() -> None:
    body, made = from_gemini(GEMINI_CLI)
    assert body["messages"] == [
        {"role": "system", "content": "Be."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            ],
        },
        {
            "role": "assistant",
            "content": "So",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "no"},
    ]
    schema = {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}
    assert body["tools"][0]["function"]["parameters"] == schema
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (body["max_tokens"], body["reasoning_effort"]) == (5, "low")
    assert made.lost == (
        *("mediaResolution", "safetySettings", "thinking", "tool_result.is_error"),
        *("tools.googleSearch", "top_k"),
    )


@pytest.mark.parametrize(
    "more",
    [
        {"cachedContent": "cachedContents/x"},
        {"generationConfig": {"candidateCount": 2}},
        {"generationConfig": {"responseModalities": ["IMAGE"]}},
        {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "gs://x/y"}}]}]},
        {
            "contents": [
                {"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": "A"}}]}
            ]
        },
    ],
)
def test_what_cannot_be_said_is_refused(more: Any) -> None:
    with pytest.raises(ClientError) as told:
        from_gemini({"contents": [ASKED], **more})
    assert told.value.code == "untranslatable"


def test_googles_schemas_as_json_schema() -> None:
    schema = {
        "type": "ARRAY",
        "minItems": "2",
        "items": {"anyOf": [{"type": "STRING", "enum": ["A"]}, {"type": "NULL"}]},
        "propertyOrdering": ["x"],
    }
    assert json_schema(schema) == {
        "type": "array",
        "minItems": 2,
        "items": {"anyOf": [{"type": "string", "enum": ["A"]}, {"type": "null"}]},
    }


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"}
    pair = translation("openai", "gemini")
    assert pair is not None
    told = json.loads(pair.answer(json.dumps(blocked).encode()))
    assert told["choices"][0]["finish_reason"] == "content_filter"
    through = pair.stream()
    out = through.feed(sse(blocked)) + through.end()
    assert events(out)[-2]["choices"][0]["finish_reason"] == "content_filter"


def test_a_call_that_the_model_spoilt_is_a_failure() -> None:
    spoilt = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "content": {}}]}
    pair = translation("anthropic", "gemini")
    assert pair is not None
    with pytest.raises(ValueError, match="MALFORMED_FUNCTION_CALL"):
        pair.answer(json.dumps(spoilt).encode())
    out = pair.stream().feed(sse(spoilt))
    assert told_by("anthropic", out).failure is not None


def test_calls_that_arrive_in_pieces_are_told_whole() -> None:
    pair = translation("gemini", "openai")
    assert pair is not None
    made = events(pair.stream().feed(sse(*chat_stream())))
    parts = [part for each in made for part in each["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [
        {"city": "Bern"},
        {"city": "Ulm"},
    ]
