"""Every client dialect on every kind of target: each cell is served, or refused with a clear error.

One gateway has all of them; the cells that are refused are listed in `REFUSED`, and no other is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import (
    Got,
    Served,
    Settings,
    anthropic,
    gateway,
    gemini,
    openai,
    settings_of,
)
from tests.upstream import (
    Answer,
    Hit,
    ScriptedUpstream,
    anthropic_error,
    gemini_error,
    openai_error,
)

pytestmark = pytest.mark.filterwarnings("ignore")
"""litellm and what it loads warn of their own matters."""

CLIENTS = ("chat", "responses", "messages", "gemini")
TARGETS = ("openai", "anthropic", "gemini", "litellm")
CONTENTS = ("text", "tools", "image", "thinking", "error", "context_too_long")
AS_IS = {("chat", "openai"), ("chat", "litellm"), ("messages", "anthropic"), ("gemini", "gemini")}
REFUSED: dict[tuple[str, str, str], str] = {}
"""Client, target, content → the word that the refusal holds. All 96 kinds of cells are served."""

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TOO_LONG = {
    "openai": "This model's maximum context length is 8 tokens. However, your messages resulted in 9.",
    "anthropic": "prompt is too long: 9 tokens > 8 maximum",
    "gemini": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
}
TOO_LONG["litellm"] = TOO_LONG["openai"]
IMAGE_IN = {
    "openai": "image_url",
    "litellm": "image_url",
    "anthropic": '"image"',
    "gemini": "inline",
}
TOOL_OUT = {
    "chat": "tool_calls",
    "responses": "function_call",
    "messages": "tool_use",
    "gemini": "functionCall",
}


def settings(upstream: ScriptedUpstream) -> Settings:
    litellm = {**openai(upstream), "dialect": "litellm"}
    providers = {
        "openai": openai(upstream, responses="chat"),
        "anthropic": anthropic(upstream),
        "gemini": gemini(upstream),
        "litellm": litellm,
    }
    names = {name: ("openai/m" if name == "litellm" else "m") for name in TARGETS}
    return settings_of(providers, {name: [f"{name}/{names[name]}"] for name in TARGETS})


def question(client: str, model: str, content: str) -> dict[str, Any]:
    """A request of the client's dialect."""
    asks = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini}
    return asks[client](model, content)


def _chat(model: str, content: str) -> dict[str, Any]:
    said: Any = "Hi."
    if content == "image":
        url = {"url": f"data:image/png;base64,{PIXEL}"}
        said = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": url}]
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": said}]}
    if content == "tools":
        function = {"name": "read", "parameters": SCHEMA}
        asked["tools"] = [{"type": "function", "function": function}]
    if content == "thinking":
        asked["reasoning_effort"] = "low"
    return asked


def _responses(model: str, content: str) -> dict[str, Any]:
    said: Any = "Hi."
    if content == "image":
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
        said = [{"type": "input_text", "text": "What?"}, image]
    message = {"type": "message", "role": "user", "content": said}
    asked: dict[str, Any] = {"model": model, "input": [message]}
    if content == "tools":
        asked["tools"] = [{"type": "function", "name": "read", "parameters": SCHEMA}]
    if content == "thinking":
        asked["reasoning"] = {"effort": "low", "summary": "auto"}
    return asked


def _messages(model: str, content: str) -> dict[str, Any]:
    said: Any = "Hi."
    if content == "image":
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        said = [{"type": "text", "text": "What?"}, {"type": "image", "source": source}]
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": said}],
    }
    if content == "tools":
        asked["tools"] = [{"name": "read", "input_schema": SCHEMA}]
    if content == "thinking":
        asked["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    return asked


def _gemini(model: str, content: str) -> dict[str, Any]:
    parts: list[Any] = [{"text": "Hi."}]
    if content == "image":
        parts.append({"inlineData": {"mimeType": "image/png", "data": PIXEL}})
    asked: dict[str, Any] = {"model": model, "contents": [{"role": "user", "parts": parts}]}
    if content == "tools":
        declared = {"name": "read", "parameters": SCHEMA}
        asked["tools"] = [{"functionDeclarations": [declared]}]
    if content == "thinking":
        asked["generationConfig"] = {"thinkingConfig": {"thinkingBudget": 1024}}
    return asked


async def ask(g: Served, client: str, target: str, content: str, *, stream: bool) -> Got:
    body = question(client, target, content)
    if client == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        del body["model"]
        return await g.client.post(f"/v1beta/models/{target}:{method}", body)
    paths = {"chat": "chat/completions", "responses": "responses", "messages": "messages"}
    return await g.client.post(f"/v1/{paths[client]}", {**body, "stream": stream})


def answer(target: str, content: str) -> Answer:
    refuse = {"anthropic": anthropic_error, "gemini": gemini_error}.get(target, openai_error)
    if content == "tools":
        return Answer(tool=("read", '{"path": "a"}'))
    if content == "context_too_long":
        kinds = {"anthropic": "invalid_request_error", "gemini": "INVALID_ARGUMENT"}
        return refuse(400, kinds.get(target, "context_length_exceeded"), TOO_LONG[target])
    if content == "error":
        kinds = {"anthropic": "invalid_request_error", "gemini": "INVALID_ARGUMENT"}
        return refuse(400, kinds.get(target, "invalid_request_error"), "Such a thing is not done.")
    return Answer()


@pytest.mark.parametrize("content", CONTENTS)
async def test_every_cell_is_served_or_refused_and_listed(tmp_path: Path, content: str) -> None:
    async with ScriptedUpstream() as upstream, gateway(tmp_path, settings(upstream)) as g:
        for target in TARGETS:
            upstream.default = answer(target, content)
            for client in CLIENTS:
                for stream in (False, True):
                    where = (client, target, content, stream)
                    upstream.hits.clear()
                    got = await ask(g, client, target, content, stream=stream)
                    if (client, target, content) in REFUSED:
                        assert got.status == 400, where
                        assert REFUSED[client, target, content] in got.body.decode(), where
                        continue
                    assert len(upstream.hits) == 1, (where, got.body)
                    _check(got, upstream.hits[0], client, target, content, stream=stream)


def _check(got: Got, hit: Hit, client: str, target: str, content: str, *, stream: bool) -> None:
    where = (client, target, content, stream, got.body[:2000])
    told = got.body.decode()
    if content in ("error", "context_too_long"):
        assert got.status == 400, where
        said = TOO_LONG[target] if content == "context_too_long" else "Such a thing is not done."
        assert said in json.dumps(got.json, ensure_ascii=False), where
        assert "error" in got.json, where
        return
    assert got.status == 200, where
    as_is = (client, target) in AS_IS
    assert ("x-evenkeel-translated" not in got.headers) is as_is, where
    if content == "tools":
        assert "read" in hit.body.decode(), where
        assert TOOL_OUT[client] in told, where
        assert "path" in told, where
    else:
        assert "upstream." in told, where
    if content == "image":
        assert PIXEL in hit.body.decode(), where
        assert IMAGE_IN[target] in hit.body.decode(), where
    if content == "thinking":
        assert any(word in hit.body.decode() for word in ("think", "reason")), where
    if stream:
        assert _ends_well(client, told), where


def _ends_well(client: str, told: str) -> bool:
    mark = {
        "chat": "data: [DONE]",
        "responses": "event: response.completed",
        "messages": "event: message_stop",
        "gemini": "finishReason",
    }
    return mark[client] in told
