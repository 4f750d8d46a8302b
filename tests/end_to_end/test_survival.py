"""A conversation survives a switch to a provider of another dialect, and the way back.

The providers check what they are sent as real ones do: calls and results in pairs under legal ids,
and no thought that somebody else has signed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.end_to_end.gateways import Served, anthropic, gateway, gemini, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
MARK = "ZXZrMQ"
"""How the gateway's own seals begin: no provider may ever see one."""
TOOL = {"type": "object", "properties": {"path": {"type": "string"}}}
LONG_ID = "call_" + "x" * 50 + "|fc_1"

ANTHROPIC_SAYS = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Let me read it.", "signature": "sig-of-anthropic"},
        {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 5},
}
GEMINI_SAYS = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"name": "read", "args": {"path": "b"}},
                        "thoughtSignature": "sig-of-google",
                    }
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 5, "totalTokenCount": 10},
    "modelVersion": "m",
}
RESPONSES_SAYS = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc-of-openai"},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "read",
            "arguments": '{"path": "a"}',
            "status": "completed",
        },
    ],
    "usage": {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10},
}


async def pin(g: Served, target: str) -> None:
    got = await g.client.post("/api/v1/routes/coder/pin", {"target": target, "note": "test"})
    assert got.status == 200, got.body


async def test_chat_with_tools_goes_to_anthropic_and_back(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        providers = {"a": openai(a), "b": anthropic(b)}
        async with gateway(tmp_path, settings_of(providers, {"coder": ["a/m", "b/m"]})) as g:
            talk: list[Any] = [{"role": "user", "content": "Read a."}]
            function = {"name": "read", "parameters": TOOL}
            tools = [{"type": "function", "function": function}]

            async def turn() -> dict[str, Any]:
                body = {"model": "coder", "messages": talk, "tools": tools}
                got = await g.client.post("/v1/chat/completions", body)
                assert got.status == 200, got.body
                message: dict[str, Any] = got.json["choices"][0]["message"]
                talk.append(message)
                for call in message.get("tool_calls") or ():
                    result = {"role": "tool", "tool_call_id": call["id"], "content": "text"}
                    talk.append(result)
                return message

            a.plan(Answer(json=_chat_calls(LONG_ID)))
            await turn()
            await pin(g, "b/m")
            b.plan(Answer(json=ANTHROPIC_SAYS))
            said = await turn()
            assert said["reasoning_content"] == "Let me read it."
            _pairs_of_messages(b.hits[-1].json["messages"])
            await pin(g, "a/m")
            await turn()
            sent = a.hits[-1].json["messages"]
            assert MARK not in a.hits[-1].body.decode()
            assert sent[1]["tool_calls"][0]["id"] == LONG_ID == sent[2]["tool_call_id"]
            assert sent[3]["tool_calls"][0]["id"] == sent[4]["tool_call_id"]
            talk.append({"role": "user", "content": "Go on."})
            await pin(g, "b/m")
            await turn()
            _pairs_of_messages(b.hits[-1].json["messages"])
            assert "sig-of-anthropic" in b.hits[-1].body.decode()
            assert MARK not in b.hits[-1].body.decode()


async def test_thinking_messages_go_to_gemini_and_back(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        providers = {"a": anthropic(a), "b": gemini(b)}
        async with gateway(tmp_path, settings_of(providers, {"coder": ["a/m", "b/m"]})) as g:
            talk: list[Any] = [{"role": "user", "content": "Read a."}]
            tools = [{"name": "read", "input_schema": TOOL}]

            async def turn() -> Any:
                body = {"model": "coder", "max_tokens": 4000, "messages": talk, "tools": tools}
                body["thinking"] = {"type": "enabled", "budget_tokens": 2000}
                got = await g.client.post("/v1/messages", body)
                assert got.status == 200, got.body
                content = got.json["content"]
                talk.append({"role": "assistant", "content": content})
                results = [
                    {"type": "tool_result", "tool_use_id": each["id"], "content": "text"}
                    for each in content
                    if each["type"] == "tool_use"
                ]
                talk.append({"role": "user", "content": results or "Go on."})
                return got

            a.plan(Answer(json=ANTHROPIC_SAYS))
            await turn()
            await pin(g, "b/m")
            b.plan(Answer(json=GEMINI_SAYS))
            await turn()
            sent = b.hits[-1].body.decode()
            assert "sig-of-anthropic" not in sent
            assert MARK not in sent
            _pairs_of_gemini(b.hits[-1].json["contents"])
            await pin(g, "a/m")
            got = await turn()
            sent = a.hits[-1].body.decode()
            assert "sig-of-anthropic" in sent
            assert "sig-of-google" not in sent
            assert MARK not in sent
            assert got.headers["x-evenkeel-dropped"] == "foreign_thinking"
            _pairs_of_messages(a.hits[-1].json["messages"])
            await pin(g, "b/m")
            await turn()
            assert "sig-of-google" in b.hits[-1].body.decode()
            _pairs_of_gemini(b.hits[-1].json["contents"])


async def test_responses_with_reasoning_go_to_anthropic_and_back(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        providers = {"a": openai(a, responses="native"), "b": anthropic(b)}
        async with gateway(tmp_path, settings_of(providers, {"coder": ["a/m", "b/m"]})) as g:
            talk: list[Any] = [{"type": "message", "role": "user", "content": "Read a."}]
            tools = [{"type": "function", "name": "read", "parameters": TOOL}]

            async def turn() -> None:
                body = {"model": "coder", "input": talk, "tools": tools, "store": False}
                body["include"] = ["reasoning.encrypted_content"]
                got = await g.client.post("/v1/responses", body)
                assert got.status == 200, got.body
                talk.extend(got.json["output"])
                for each in got.json["output"]:
                    if each["type"] == "function_call":
                        result = {"call_id": each["call_id"], "output": "text"}
                        talk.append({"type": "function_call_output", **result})

            a.plan(Answer(json=RESPONSES_SAYS))
            await turn()
            await pin(g, "b/m")
            b.plan(Answer(json=ANTHROPIC_SAYS))
            await turn()
            assert "enc-of-openai" not in b.hits[-1].body.decode()
            _pairs_of_messages(b.hits[-1].json["messages"])
            await pin(g, "a/m")
            await turn()
            sent = a.hits[-1].body.decode()
            assert "enc-of-openai" in sent
            assert "sig-of-anthropic" not in sent
            assert MARK not in sent
            calls = [each["call_id"] for each in a.hits[-1].json["input"] if "call_id" in each]
            assert calls[0::2] == calls[1::2]
            talk.append({"type": "message", "role": "user", "content": "Go on."})
            await pin(g, "b/m")
            await turn()
            assert "sig-of-anthropic" in b.hits[-1].body.decode()


async def test_a_refused_history_is_repaired_once_and_nobody_rests(tmp_path: Path) -> None:
    said = "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item"
    refusal = {"error": {"message": said, "type": "invalid_request_error", "code": None}}
    async with ScriptedUpstream() as a:
        settings = settings_of({"a": openai(a, responses="native")}, {"coder": ["a/m"]})
        async with gateway(tmp_path, settings) as g:
            a.plan(Answer(status=400, json=refusal))
            history = [
                {"type": "message", "role": "user", "content": "Read a."},
                *RESPONSES_SAYS["output"],  # type: ignore[misc]
                {"type": "function_call_output", "call_id": "call_1", "output": "x"},
            ]
            got = await g.client.post("/v1/responses", {"model": "coder", "input": history})
            assert (got.status, got.headers["x-evenkeel-adapted"]) == (200, "thinking")
            first, second = (hit.json["input"] for hit in a.hits)
            assert len(first) == 4
            assert [each["type"] for each in second] == [
                "message",
                "function_call",
                "function_call_output",
            ]
            assert "id" not in second[1]
            await g.settled()
            assert await g.client.all("cooldowns") == []


def _chat_calls(call_id: str) -> dict[str, Any]:
    function = {"name": "read", "arguments": '{"path": "a"}'}
    call = {"id": call_id, "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    }


def _pairs_of_messages(messages: list[dict[str, Any]]) -> None:
    """As Anthropic checks it: each call has its result in the next message, under a legal id."""
    for n, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        calls = [each["id"] for each in blocks if each["type"] == "tool_use"]
        assert all(LEGAL.fullmatch(each) for each in calls)
        if calls:
            after = messages[n + 1]["content"]
            results = [each["tool_use_id"] for each in after if each["type"] == "tool_result"]
            assert results == calls, json.dumps(messages)


def _pairs_of_gemini(contents: list[dict[str, Any]]) -> None:
    """As Google checks it: as many results as calls, and a signature on each step's first call."""
    for n, content in enumerate(contents):
        calls = [each for each in content["parts"] if "functionCall" in each]
        if calls:
            assert calls[0].get("thoughtSignature"), json.dumps(contents)
            after = [each for each in contents[n + 1]["parts"] if "functionResponse" in each]
            assert len(after) == len(calls)
