"""N04: accepted, then no first token. Pings are no content, and a slow model is no hang.

The scenario's seconds are a quarter here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, asked, gateway
from tests.upstream import Answer, ScriptedUpstream

PINGING = Answer(before_content=60.0, ping_seconds=0.2)
IN_TIME_SECONDS = 1.0


def config(a: ScriptedUpstream, b: ScriptedUpstream, path: str) -> str:
    dialect = "openai" if path == OPENAI_PATH else "anthropic"
    at_a, at_b = (each.openai_url if path == OPENAI_PATH else each.url for each in (a, b))
    return f"""
    providers:
      a:
        dialect: {dialect}
        base_url: {at_a}
        credentials: [{{name: one, key: k-a}}]
        timeouts: {{first_content_seconds: 0.5}}
      b: {{dialect: {dialect}, base_url: {at_b}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/quick, b/m]}}
      - {{name: thinker, targets: [{{target: a/slow, first_content_seconds: 2.5}}, b/m]}}
    """


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_a_target_that_only_pings_is_left_for_one_that_speaks(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(PINGING)
        async with gateway(tmp_path, config(a, b, path)) as g:
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with g.client.http.post(
                g.url + path, json=asked(path, "coder", stream=True)
            ) as response:
                assert response.headers["x-evenkeel-provider"] == "b"
                first = await response.content.readany()
                assert loop.time() - began < IN_TIME_SECONDS
                body = first + await response.content.read()
            assert body.count(b"Hello") == 1
            await a.hits[0].until_disconnected()
            [row] = await g.client.all("attempts", provider="a")
            assert (row["failure"], row["outcome"]) == ("first_content_timeout", "failed")
            assert row["status"] == 200


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_a_slow_model_of_the_same_provider_has_a_clock_of_its_own(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(before_content=1.25, ping_seconds=0.2))
        async with gateway(tmp_path, config(a, b, path)) as g:
            got = await g.client.ask(path, "thinker", stream=True)
            assert (got.status, got.provider) == (200, "a")
            assert got.headers["x-evenkeel-attempts"] == "1"
            assert not await g.client.all("cooldowns")
            assert not b.hits
