"""Requests to and from Responses, and its events to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.base import ClientError
from gateway.wire.translate.base import TranslatedRequest
from gateway.wire.translate.registry import translation
from tests.gateway.wire.translate.recorded import chat_stream, events, messages_stream, sse

ASKED = {"role": "user", "content": "Hi"}


def from_responses(
    request: Any, *, target: str = "openai", model: str = "m"
) -> tuple[Any, TranslatedRequest]:
    pair = translation("responses", target)
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model=model, stream=False)
    return json.loads(made.body), made


def to_responses(request: Any, *, model: str = "gpt-5") -> tuple[Any, TranslatedRequest]:
    pair = translation("openai", "responses")
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model=model, stream=False)
    return json.loads(made.body), made


def streamed(stream: list[Any], request: Any = None, *, target: str = "openai") -> list[Any]:
    pair = translation("responses", target, created=7)
    assert pair is not None
    pair.request(json.dumps(request or {"input": "Hi"}).encode(), model="m", stream=True)
    through = pair.stream()
    return events(through.feed(sse(*stream)) + through.end())


CODEX: Any = {
    "instructions": "You are.",
    "input": [
        {"type": "message", "role": "developer", "content": "Rules."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
        {
            "type": "custom_tool_call",
            "call_id": "c2",
            "name": "patch",
            "input": "*** Begin",
        },
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "2"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "shell",
            "parameters": {"type": "object"},
            "strict": False,
        },
        {
            "type": "custom",
            "name": "patch",
            "description": "d",
            "format": {"type": "grammar", "definition": "start: x"},
        },
        {"type": "web_search"},
    ],
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
    "client_metadata": {"thread_id": "t"},
    "reasoning": {"effort": "medium", "summary": "auto"},
    "text": {"verbosity": "low"},
}


def test_a_turn_of_codex_as_a_chat() -> None:
    body, made = from_responses(CODEX)
    assert [each["role"] for each in body["messages"]] == [
        *("system", "user", "assistant", "tool", "tool"),
    ]
    assert body["messages"][0]["content"] == "You are.\n\nRules."
    assert body["messages"][2]["content"] == "I look."
    given = [each["function"]["arguments"] for each in body["messages"][2]["tool_calls"]]
    assert given == ["{}", '{"input":"*** Begin"}']
    [shell, patch] = [each["function"] for each in body["tools"]]
    assert shell["strict"] is False
    assert patch["parameters"]["required"] == ["input"]
    assert "start: x" in patch["description"]
    assert body["reasoning_effort"] == "medium"
    assert made.lost == ("prompt_cache_key", "thinking", "tools.web_search")


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "background"])
def test_what_only_openai_has_kept_is_refused(field: str) -> None:
    with pytest.raises(ClientError, match=field) as told:
        from_responses({"input": "Hi", field: "x"})
    assert told.value.code == "untranslatable"


def test_what_is_no_input_is_the_clients_fault() -> None:
    for value in (None, 3, [{"role": "wizard", "content": ""}]):
        with pytest.raises(ClientError) as told:
            from_responses({"input": value})
        assert told.value.code == "invalid_request"


def test_a_chat_as_responses() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}
    body, made = to_responses(
        {
            "messages": [
                {"role": "system", "content": "Be."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, image]},
                {"role": "assistant", "content": "So", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "1"},
                {"role": "system", "content": "Late."},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_object"},
            "max_tokens": 5,
            "temperature": 0.2,
            "stop": "x",
            "seed": 3,
            "user": "u",
            "prompt_cache_key": "k",
            "verbosity": "low",
            "reasoning_effort": "low",
        }
    )
    assert made.path == "/responses"
    assert body["instructions"] == "Be."
    assert body["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
            ],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "So"}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "Late."}],
        },
    ]
    assert body["tools"][0]["strict"] is False
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body["max_output_tokens"] == 16
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["store"] is False
    assert (body["user"], body["prompt_cache_key"]) == ("u", "k")
    assert made.lost == ("seed", "stop", "temperature")


def test_a_model_that_does_not_reason_is_not_asked_for_its_thoughts() -> None:
    body, _ = to_responses({"messages": [ASKED], "temperature": 0.2}, model="gpt-4o")
    assert body["temperature"] == 0.2
    assert not {"include", "reasoning"} & body.keys()


def test_the_events_of_a_text_are_the_sequence_that_codex_and_the_sdks_take() -> None:
    made = streamed(chat_stream(calls=False, thought=False))
    assert [each["type"].removeprefix("response.") for each in made] == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done", "content_part.done"),
        *("output_item.done", "completed"),
    ]
    assert [each["sequence_number"] for each in made] == list(range(len(made)))
    whole = made[-1]["response"]
    assert whole["status"] == "completed"
    assert whole["output"] == [made[-2]["item"]]
    assert whole["usage"]["input_tokens_details"] == {"cached_tokens": 60, "cache_write_tokens": 0}
    assert whole["usage"]["output_tokens_details"] == {"reasoning_tokens": 10}
    assert {each["item_id"] for each in made[3:8]} == {made[2]["item"]["id"]}
    assert whole["created_at"] == 7


def test_items_are_told_one_after_the_other_with_their_places() -> None:
    made = streamed(messages_stream(), target="anthropic")
    added = [each for each in made if each["type"] == "response.output_item.added"]
    assert [each["output_index"] for each in added] == [0, 1, 2, 3]
    kinds = [each["item"]["type"] for each in added]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    done = [each["item"] for each in made if each["type"] == "response.output_item.done"]
    assert done == made[-1]["response"]["output"]
    given = [
        (each["output_index"], each["arguments"])
        for each in made
        if each["type"] == "response.function_call_arguments.done"
    ]
    assert given == [(2, '{"city": "Bern"}'), (3, '{"city": "Ulm"}')]


def test_a_custom_tool_gets_its_free_text_back() -> None:
    request = {"input": "Hi", "tools": [{"type": "custom", "name": "patch"}]}
    call = {"index": 0, "id": "c", "function": {"name": "patch", "arguments": '{"input": "*** Beg'}}
    rest = {"index": 0, "function": {"arguments": 'in\\n"}'}}
    choices = [{"index": 0, "delta": {"tool_calls": [each]}} for each in (call, rest)]
    end = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    stream = [{"id": "1", "model": "m", "choices": [each]} for each in (*choices, end)]
    made = streamed([*stream, "[DONE]"], request)
    [delta] = [each for each in made if each["type"].endswith("custom_tool_call_input.delta")]
    assert delta["delta"] == "*** Begin\n"
    [item] = made[-1]["response"]["output"]
    assert item["type"] == "custom_tool_call"
    assert item["input"] == "*** Begin\n"


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish: str, reason: str) -> None:
    stream = chat_stream(calls=False)
    stream[-3]["choices"][0]["finish_reason"] = finish
    last = streamed(stream)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}


def test_a_full_context_in_the_stream_has_the_code_that_codex_stops_at() -> None:
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
    }
    last = streamed([error], target="anthropic")[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {
        "code": "context_length_exceeded",
        "message": "prompt is too long: 9 > 8",
    }


def test_a_refusal_is_an_item_of_its_own_kind() -> None:
    delta = {"index": 0, "delta": {"refusal": "No."}}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    stream = [{"id": "1", "model": "m", "choices": [each]} for each in (delta, end)]
    last = streamed([*stream, "[DONE]"])[-1]
    assert last["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
