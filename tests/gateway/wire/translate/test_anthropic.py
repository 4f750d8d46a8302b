"""Requests to and from Messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.base import ClientError
from gateway.wire.translate.base import TranslatedRequest
from gateway.wire.translate.registry import translation

TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}
ASKED = {"role": "user", "content": "Hi"}


def to_anthropic(
    request: Any, *, client: str = "openai", model: str = "claude-sonnet-4-5", version: str = ""
) -> tuple[Any, TranslatedRequest]:
    pair = translation(client, "anthropic", version=version)
    assert pair is not None
    made = pair.request(json.dumps(request).encode(), model=model, stream=False)
    return json.loads(made.body), made


def from_anthropic(request: Any, *, target: str = "openai", model: str = "gpt-5") -> Any:
    pair = translation("anthropic", target)
    assert pair is not None
    body = json.dumps({"max_tokens": 100, **request}).encode()
    made = pair.request(body, model=model, stream=False)
    return json.loads(made.body), made


def test_a_request_is_sent_where_it_belongs_with_its_version() -> None:
    body, made = to_anthropic({"messages": [ASKED]})
    assert (made.path, made.query) == ("/v1/messages", "")
    assert made.headers == (("anthropic-version", "2023-06-01"),)
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


@pytest.mark.parametrize(
    ("model", "most"),
    [("claude-3-haiku-20240307", 4096), ("claude-3-5-sonnet-latest", 8192), ("glm-5", 32_000)],
)
def test_the_length_that_anthropic_insists_on_is_one_that_the_model_takes(
    model: str, most: int
) -> None:
    assert to_anthropic({"messages": [ASKED]}, model=model)[0]["max_tokens"] == most


def test_results_come_first_in_the_turn_behind_their_calls_and_roles_alternate() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}

    body, _ = to_anthropic(
        {
            "messages": [
                {"role": "system", "content": "Be."},
                ASKED,
                {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
                {"role": "user", "content": "Hurry"},
                {"role": "tool", "tool_call_id": "b", "content": "2"},
                {"role": "tool", "tool_call_id": "a", "content": "1"},
                {"role": "user", "content": [{"type": "text", "text": "Please"}]},
            ],
            "tools": [TOOL],
        }
    )
    assert body["system"] == "Be."
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    told = body["messages"][2]["content"]
    assert [each.get("tool_use_id") for each in told] == ["a", "b", None, None]
    assert [each.get("text") for each in told[2:]] == ["Hurry", "Please"]
    assert body["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "properties": {}},
        }
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        ("auto", None, {"type": "auto"}),
        ("required", None, {"type": "any"}),
        ("none", False, {"type": "none"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choices(choice: Any, parallel: Any, expected: Any) -> None:
    request = {"messages": [ASKED], "tools": [TOOL]}
    request |= {"tool_choice": choice, "parallel_tool_calls": parallel}
    body, _ = to_anthropic(request)
    assert body["tool_choice"] == expected


def test_a_choice_of_a_tool_that_the_target_cannot_get_is_refused() -> None:
    request = {"messages": [ASKED], "tool_choice": {"type": "function", "function": {"name": "g"}}}
    with pytest.raises(ClientError, match="'g'") as told:
        to_anthropic(request)
    assert (told.value.status, told.value.code) == (400, "untranslatable")


def test_pictures_and_files() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BB"},
        },
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,SGk="}},
    ]
    body, _ = to_anthropic({"messages": [{"role": "user", "content": content}]})
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BB"},
            "title": "a.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Hi"},
            "title": "a.txt",
        },
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [ASKED], "n": 2},
        {"messages": [ASKED], "modalities": ["text", "audio"]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
    ],
)
def test_what_cannot_be_said_is_refused(request_: Any) -> None:
    with pytest.raises(ClientError) as told:
        to_anthropic(request_)
    assert (told.value.status, told.value.code) == (400, "untranslatable")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":{}}', b'{"messages":[{}]}'])
@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_what_is_no_request_is_the_clients_fault(client: str, body: bytes) -> None:
    pair = translation(client, "gemini")
    assert pair is not None
    with pytest.raises(ClientError) as told:
        pair.request(body, model="m", stream=False)
    assert told.value.status == 400
    assert told.value.code.startswith("invalid_")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 2048}),
        ("claude-3-7-sonnet-20250219", {"type": "enabled", "budget_tokens": 2048}),
        ("glm-5", {"type": "enabled", "budget_tokens": 2048}),
        ("claude-opus-4-6", {"type": "adaptive", "display": "summarized"}),
        ("claude-sonnet-5", {"type": "adaptive", "display": "summarized"}),
        ("claude-3-5-haiku-latest", None),
    ],
)
def test_thinking_is_asked_for_in_the_models_manner(model: str, expected: Any) -> None:
    request = {"messages": [ASKED], "reasoning_effort": "low", "temperature": 0.5}
    body, made = to_anthropic(request, model=model)
    assert body.get("thinking") == expected
    if expected is None:
        assert made.lost == ("reasoning",)
    else:
        assert made.lost == ("temperature",)  # It must be 1 while a model thinks.
        assert body.get("output_config") == ({"effort": "low"} if "display" in expected else None)


def test_a_budget_stays_below_the_length_of_the_answer() -> None:
    request = {"messages": [ASKED], "reasoning_effort": "high", "max_tokens": 4000}
    assert to_anthropic(request)[0]["thinking"]["budget_tokens"] == 3999
    request["max_tokens"] = 500
    body, made = to_anthropic(request)
    assert "thinking" not in body
    assert made.lost == ("reasoning",)


def test_no_thinking_on_a_budget_between_a_call_and_its_result_whose_thought_is_gone() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        ASKED,
        {"role": "assistant", "tool_calls": [call], "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    body, made = to_anthropic({"messages": messages, "reasoning_effort": "low", "tools": [TOOL]})
    assert "thinking" not in body
    assert made.lost == ("reasoning", "thinking")


def test_the_new_version_gets_no_sampling_parameters() -> None:
    request = {"messages": [ASKED], "temperature": 0.5, "seed": 1}
    body, made = to_anthropic(request)
    assert (body["temperature"], made.lost) == (0.5, ("seed",))
    body, made = to_anthropic(request, version="2026-10-21")
    assert "temperature" not in body
    assert made.lost == ("seed", "temperature")
    assert made.headers == (("anthropic-version", "2026-10-21"),)


def test_of_two_sampling_parameters_one_is_kept_and_the_range_is_anthropics() -> None:
    body, made = to_anthropic({"messages": [ASKED], "temperature": 1.7, "top_p": 0.5})
    assert body["temperature"] == 1
    assert "top_p" not in body
    assert made.lost == ("temperature", "top_p")


def test_a_schema_for_the_answer() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    body, _ = to_anthropic({"messages": [ASKED], "response_format": form})
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    body, made = to_anthropic({"messages": [ASKED], "response_format": {"type": "json_object"}})
    assert "output_config" not in body
    assert made.lost == ("response_format",)


def test_only_the_last_four_cache_marks_are_kept() -> None:
    mark = {"type": "ephemeral"}
    content = [{"type": "text", "text": str(n), "cache_control": mark} for n in range(6)]
    body, _ = to_anthropic({"messages": [{"role": "user", "content": content}]})
    blocks = body["messages"][0]["content"]
    assert ["cache_control" in each for each in blocks] == [False] * 2 + [True] * 4


def test_a_late_word_of_the_system_is_told_by_the_user() -> None:
    late = {"role": "developer", "content": "Now be brief."}
    body, made = to_anthropic({"messages": [ASKED, late]})
    assert [each["text"] for each in body["messages"][0]["content"]] == ["Hi", "Now be brief."]
    assert made.lost == ("messages.role=system",)


def test_blank_texts_and_a_blank_end_are_left_out_since_they_are_refused() -> None:
    begun = {"role": "assistant", "content": "It is "}
    body, _ = to_anthropic({"messages": [{"role": "user", "content": "Hi\n"}, begun]})
    assert body["messages"][1]["content"][0]["text"] == "It is"
    body, _ = to_anthropic({"messages": [{"role": "assistant", "content": "So"}, ASKED]})
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    body, _ = to_anthropic({"messages": [{"role": "system", "content": " "}, ASKED]})
    assert "system" not in body


def test_arguments_that_are_no_json_reach_the_model_all_the_same() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{oops"}}
    body, _ = to_anthropic({"messages": [ASKED, {"role": "assistant", "tool_calls": [call]}]})
    assert body["messages"][1]["content"][0]["input"] == {"input": "{oops"}


# -- from Messages -------------------------------------------------------------------------------


CLAUDE_CODE: Any = {
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
        {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "no"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": "AA",
                            },
                        },
                    ],
                },
                {"type": "text", "text": "Go on"},
            ],
        },
    ],
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 31_999},
    "metadata": {"user_id": "u" * 100},
    "stop_sequences": ["a", "b", "c", "d", "e"],
    "top_k": 5,
    "context_management": {"edits": []},
}


def test_a_turn_of_claude_code_as_a_chat() -> None:
    body, made = from_anthropic(CLAUDE_CODE)
    assert made.path == "/chat/completions"
    assert body["messages"] == [
        {"role": "system", "content": "You are."},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a":1}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the tool returned with the call toolu_1:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                {"type": "text", "text": "Go on"},
            ],
        },
    ]
    assert [each["function"]["name"] for each in body["tools"]] == ["f"]
    assert body["tool_choice"] == "required"
    assert body["parallel_tool_calls"] is False
    assert body["reasoning_effort"] == "high"
    assert body["max_completion_tokens"] == 100
    assert body["stop"] == ["a", "b", "c", "d"]
    assert made.lost == (
        "cache_control",
        "context_management",
        "stop",
        "thinking",
        "tool_result.is_error",
        "tools.web_search_20250305",
        "top_k",
        "user",
    )


def test_a_field_that_demands_an_answer_of_its_own_is_refused() -> None:
    with pytest.raises(ClientError, match="safeguards"):
        from_anthropic({"messages": [ASKED], "safeguards": {"x": 1}})


def test_structured_output_is_strict_only_where_openai_can_be() -> None:
    closed = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    for schema, strict in (({**closed, "required": ["a"]}, True), (closed, False)):
        config = {"format": {"type": "json_schema", "schema": schema}}
        body, _ = from_anthropic({"messages": [ASKED], "output_config": config})
        assert body["response_format"]["json_schema"]["strict"] is strict


@pytest.mark.parametrize(
    ("thinking", "effort", "model", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, "", "gpt-5", "low"),
        ({"type": "enabled", "budget_tokens": 8000}, "", "gpt-5", "medium"),
        ({"type": "adaptive"}, "max", "gpt-5", "xhigh"),
        ({"type": "adaptive"}, "", "gpt-5", None),
        ({"type": "disabled"}, "", "gpt-5", "none"),
        ({"type": "disabled"}, "", "qwen3", None),
        ({"type": "enabled", "budget_tokens": 8000}, "", "gpt-4o", None),
    ],
)
def test_thinking_as_an_effort(thinking: Any, effort: str, model: str, expected: Any) -> None:
    request: Any = {"messages": [ASKED], "thinking": thinking}
    if effort:
        request["output_config"] = {"effort": effort}
    assert from_anthropic(request, model=model)[0].get("reasoning_effort") == expected
