"""N24: a request only falls back to a target that can take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, Got, Served, gateway
from tests.upstream import Answer, ScriptedUpstream, anthropic_error

WORD = "word "
TOKENS = 20_000
PROMPT = WORD * (TOKENS * 4 // len(WORD))
"""The gateway takes four bytes for a token."""
THINKING = {"type": "enabled", "budget_tokens": 1024}


def config(a: ScriptedUpstream, b: ScriptedUpstream, c: ScriptedUpstream, *, drop: str) -> str:
    return f"""
    providers:
      a: {{dialect: anthropic, base_url: {a.url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: anthropic, base_url: {b.url}, credentials: [{{name: one, key: k-b}}]}}
      c: {{dialect: anthropic, base_url: {c.url}, credentials: [{{name: one, key: k-c}}]}}
    routes:
      - name: coder
        targets:
          - a/large
          - {{target: b/small, context_tokens: 4000}}
          - {{target: c/plain, context_tokens: 128000{drop}}}
    """


async def ask(g: Served, prompt: str, **fields: Any) -> Got:
    body = {
        "model": "coder",
        "max_tokens": 50,
        "thinking": THINKING,
        "temperature": 1,
        "messages": [{"role": "user", "content": prompt}],
        **fields,
    }
    return await g.client.post(ANTHROPIC_PATH, body)


async def test_a_long_prompt_passes_the_small_target_over_and_goes_without_the_refused_field(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        a.default = anthropic_error(429, "rate_limit_error", headers={"retry-after": "60"})
        async with gateway(tmp_path, config(a, b, c, drop=", drop: [thinking, top_k]")) as g:
            got = await ask(g, PROMPT)
            assert (got.status, got.provider) == (200, "c")
            assert (len(a.hits), len(b.hits), len(c.hits)) == (1, 0, 1)
            assert got.headers["x-evenkeel-dropped"] == "thinking"
            sent = a.hits[0].json
            assert sent["thinking"] == THINKING
            del sent["thinking"]
            assert c.hits[0].json == {**sent, "model": "plain"}

            story = await g.client.story(got)
            listed = [(each["provider"], each["reason"]) for each in story["candidates"]]
            assert ("b", "context_size") in listed
            resting = (await g.client.api("status"))["cooldowns"]
            assert {rest["provider"] for rest in resting} == {"a"}

            short = await ask(g, "Hello")
            assert short.provider == "b"
            assert "x-evenkeel-dropped" not in short.headers
            assert b.hits[0].json["thinking"] == THINKING


async def test_every_byte_but_the_dropped_fields_reaches_the_target_as_the_client_wrote_it(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a:
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
        routes:
          - {{name: coder, targets: [{{target: a/m, drop: [temperature, logit_bias]}}]}}
        """
        raw = (
            b'{ "temperature":0.70,\n "messages" : [{"role":"user","content":"h\\u00e9 \xc3\xa9"}],'
            b'\t"logit_bias":{"1":-1e2}, "model":"coder","seed":1e99 }'
        )
        async with gateway(tmp_path, text) as g:
            got = await g.client.post(OPENAI_PATH, raw)
            assert got.status == 200
            assert got.headers["x-evenkeel-dropped"] == "temperature, logit_bias"
            assert a.hits[0].body == (
                b'{ "messages" : [{"role":"user","content":"h\\u00e9 \xc3\xa9"}],'
                b' "model":"m","seed":1e99 }'
            )
            kept = await g.client.chat(stream=True)
            assert "x-evenkeel-dropped" not in kept.headers
            assert json.loads(a.hits[1].body)["stream"] is True


async def test_a_capability_that_only_the_target_knew_of_rests_nothing(tmp_path: Path) -> None:
    """Without the rule the target's 400 is the client's: it is handed on, and blames nobody."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        a.default = anthropic_error(429, "rate_limit_error", headers={"retry-after": "60"})
        c.default = anthropic_error(
            400, "invalid_request_error", "thinking: Extra inputs are not permitted"
        )
        async with gateway(tmp_path, config(a, b, c, drop="")) as g:
            got = await ask(g, PROMPT)
            assert got.status == 400
            assert b"Extra inputs" in got.body
            resting = (await g.client.api("status"))["cooldowns"]
            assert {rest["provider"] for rest in resting} == {"a"}
            c.default = Answer()
            assert (await ask(g, PROMPT)).provider == "c"
