"""N06: a conversation survives a change of provider, and the way back.

B takes no thinking that it did not sign, and no tool id outside `[A-Za-z0-9_-]{1,64}`.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, gateway
from tests.upstream import Answer, Hit, ScriptedUpstream, anthropic_error, openai_error

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
BY_A = {"type": "thinking", "thinking": "I must write it.", "signature": "signed-by-a"}
USE = {"type": "tool_use", "id": "functions.write:0", "name": "write", "input": {"path": "keel.py"}}
RESULT = {"type": "tool_result", "tool_use_id": "functions.write:0", "content": "written"}
TURNS = [
    {"role": "user", "content": "Write it."},
    {"role": "assistant", "content": [BY_A, USE]},
    {"role": "user", "content": [RESULT]},
    {"role": "assistant", "content": [BY_A, {"type": "text", "text": "Done."}]},
    {"role": "user", "content": "And the tests?"},
]
FURTHER = [
    {"role": "assistant", "content": [{"type": "text", "text": "Hello from B."}]},
    {"role": "user", "content": "Go on."},
]


def blocks(body: Any) -> list[dict[str, Any]]:
    contents = (each["content"] for each in body["messages"])
    return [block for content in contents if isinstance(content, list) for block in content]


def strict(hit: Hit) -> Answer | None:
    """What B says to a body; None = its good answer."""
    for block in blocks(hit.json):
        if block["type"] == "thinking" and block["signature"] != "signed-by-b":
            message = "messages.1.content.0: Invalid `signature` in `thinking` block"
            return anthropic_error(400, "invalid_request_error", message)
        name = block.get("id") or block.get("tool_use_id") or "none"
        if not LEGAL.fullmatch(name):
            message = "messages.1.content.1.tool_use.id: String should match pattern"
            return anthropic_error(400, "invalid_request_error", message)
    return None


def body(*more: Any) -> dict[str, Any]:
    return {"model": "coder", "max_tokens": 50, "messages": [*TURNS, *more]}


def config(a: ScriptedUpstream, b: ScriptedUpstream) -> str:
    return f"""
    providers:
      a: {{dialect: anthropic, base_url: {a.url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: anthropic, base_url: {b.url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability: {{wait_max_seconds: 0, session_idle_seconds: 1}}
    """


@pytest.mark.parametrize("stream", [False, True])
async def test_the_fallback_gets_a_history_it_takes_and_the_primary_its_own_back(
    tmp_path: Path, *, stream: bool
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(anthropic_error(429, "rate_limit_error", headers={"retry-after": "1"}))
        b.decide = strict
        async with gateway(tmp_path, config(a, b)) as g:
            asked = {**body(), "stream": stream}
            got = await g.client.post(ANTHROPIC_PATH, asked, x_session_id="s")
            assert (got.status, got.provider) == (200, "b")
            assert got.headers["x-evenkeel-adapted"] == "thinking,tool_ids"
            first, second = b.hits
            assert first.json == {**asked, "model": "m"}
            use, result = (each for each in blocks(second.json) if each["type"] != "text")
            assert use["id"] == result["tool_use_id"]
            assert LEGAL.fullmatch(use["id"])
            assert {**use, "id": USE["id"]} == USE

            [adapted] = await g.client.all("events", kind="history_adapted")
            assert (adapted["target"], adapted["adapted"]) == ("b/m", ["thinking", "tool_ids"])
            story = await g.client.story(got)
            assert [(each["target"], each["failure"]) for each in story["candidates"]] == [
                ("a/m", "rate_limited"),
                ("b/m", "bad_request"),
                ("b/m", None),
            ]
            assert story["candidates"][2]["attempt_id"] == adapted["attempt_id"]
            assert {row["provider"] for row in await g.client.all("cooldowns")} == {"a"}

            fourth = await g.client.post(ANTHROPIC_PATH, body(*FURTHER), x_session_id="s")
            assert fourth.provider == "b"
            again = next(each for each in blocks(b.hits[-1].json) if each["type"] == "tool_use")
            assert again["id"] == use["id"]  # The same in every turn: B's cache stays warm.
            await asyncio.sleep(1.2)  # A is back, and the session's cache is cold.
            fifth = body(*FURTHER, *FURTHER)
            got = await g.client.post(ANTHROPIC_PATH, fifth, x_session_id="s")
            assert got.provider == "a"
            assert "x-evenkeel-adapted" not in got.headers
            assert a.hits[-1].json == {**fifth, "model": "m"}


async def test_a_provider_that_names_its_complaints_one_by_one_is_met_in_each(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:

        def ids_first(hit: Hit) -> Answer | None:
            names = [each.get("id") or each.get("tool_use_id") for each in blocks(hit.json)]
            if all(LEGAL.fullmatch(name) for name in names if name):
                return strict(hit)
            return anthropic_error(400, "invalid_request_error", "Invalid tool id.")

        a.default = anthropic_error(429, "rate_limit_error", headers={"retry-after": "9"})
        b.decide = ids_first
        async with gateway(tmp_path, config(a, b)) as g:
            got = await g.client.post(ANTHROPIC_PATH, body())
            assert (got.status, got.provider, len(b.hits)) == (200, "b", 3)
            assert set(got.headers["x-evenkeel-adapted"].split(",")) == {"thinking", "tool_ids"}
            assert {row["provider"] for row in await g.client.all("cooldowns")} == {"a"}


async def test_what_cannot_be_adapted_is_the_client_s_own_and_costs_one_attempt(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        words = "messages.1.content.0: Invalid `signature` in `thinking` block"
        a.default = anthropic_error(400, "invalid_request_error", words)
        async with gateway(tmp_path, config(a, b)) as g:
            plain = {**body(), "messages": TURNS[:1]}
            got = await g.client.post(ANTHROPIC_PATH, plain)
            assert (got.status, len(a.hits), len(b.hits)) == (400, 1, 0)
            assert words.encode() in got.body
            got = await g.client.post(ANTHROPIC_PATH, body())
            assert (got.status, len(a.hits), len(b.hits)) == (400, 3, 0)
            assert not await g.client.all("cooldowns")


async def test_tool_ids_are_renamed_in_the_other_dialect_too(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        """
        a.default = openai_error(500, "internal_error")
        words = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
        nine = re.compile(r"[A-Za-z0-9]{9}")

        def mistral(hit: Hit) -> Answer | None:
            [call] = hit.json["messages"][1]["tool_calls"]
            return None if nine.fullmatch(call["id"]) else openai_error(400, "3280", words)

        b.decide = mistral
        function = {"name": "write", "arguments": "{}"}
        call = {"id": "call_1", "type": "function", "function": function}
        messages = [
            {"role": "user", "content": "Write it."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "written"},
        ]
        async with gateway(tmp_path, text) as g:
            got = await g.client.post(OPENAI_PATH, {"model": "coder", "messages": messages})
            assert (got.status, got.headers["x-evenkeel-adapted"]) == (200, "tool_ids")
            sent = b.hits[-1].json["messages"]
            assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
