"""N13: when everything rests, wait if it is worth it, else answer honestly and at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, Client, gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

AT_ONCE_SECONDS = 0.1
REST_SECONDS = 2.0
LIMITED = openai_error(429, "rate_limit_exceeded", headers={"retry-after": "2"})
DOWN = Answer(status=503, headers={"retry-after": "60"}, json={"error": {"message": "Down."}})


def config(a: ScriptedUpstream, b: ScriptedUpstream, *, wait: float, dialect: str) -> str:
    at_a, at_b = (each.openai_url if dialect == "openai" else each.url for each in (a, b))
    return f"""
    providers:
      a: {{dialect: {dialect}, base_url: {at_a}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: {dialect}, base_url: {at_b}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability: {{wait_base_seconds: {wait}, wait_max_seconds: {wait}}}
    """


async def both_rest(client: Client, a: ScriptedUpstream, b: ScriptedUpstream, path: str) -> None:
    """Each is asked directly, for its first answer, whatever it is; A last, so that its two seconds
    have only just begun."""
    b.plan(DOWN)
    assert (await client.ask(path, "b/m", x_evenkeel_no_fallback="1")).status == 503
    a.plan(LIMITED)
    assert (await client.ask(path, "a/m", x_evenkeel_no_fallback="1")).status == 429
    assert len((await client.api("status"))["cooldowns"]) == 2


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_waits_for_what_is_ready_soon(
    tmp_path: Path, path: str, *, stream: bool
) -> None:
    dialect = "openai" if path == OPENAI_PATH else "anthropic"
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b, wait=3, dialect=dialect)) as g,
    ):
        await both_rest(g.client, a, b, path)
        loop = asyncio.get_running_loop()
        began = loop.time()
        got = await g.client.ask(path, "coder", stream=stream)
        took = loop.time() - began
        assert (got.status, got.provider) == (200, "a")
        assert REST_SECONDS - 0.2 <= took <= REST_SECONDS * 1.1 + 0.5
        assert (len(a.hits), len(b.hits)) == (2, 1)


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_without_patience_the_answer_is_honest_and_at_once(tmp_path: Path, path: str) -> None:
    dialect = "openai" if path == OPENAI_PATH else "anthropic"
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b, wait=0, dialect=dialect)) as g,
    ):
        await both_rest(g.client, a, b, path)
        loop = asyncio.get_running_loop()
        began = loop.time()
        got = await g.client.ask(path, "coder")
        assert loop.time() - began < AT_ONCE_SECONDS
        assert got.status == 429
        assert 1 <= int(got.headers["retry-after"]) <= 3
        error = got.json["error"]
        assert "'coder'" in error["message"]
        shown = {each["target"]: each for each in error["targets"]}
        assert shown["a/m"]["reason"] == "rate_limited"
        assert shown["b/m"]["reason"] == "overloaded"
        assert 0 < shown["a/m"]["ready_in_seconds"] <= 2.2 < shown["b/m"]["ready_in_seconds"]
        assert (len(a.hits), len(b.hits)) == (1, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_request_that_ran_into_a_short_limit_is_served_when_it_is_over(
    tmp_path: Path, *, stream: bool
) -> None:
    """The default wait, and one key: it is asked again after the stated second, and not before."""
    async with ScriptedUpstream() as a:
        a.plan(openai_error(429, "rate_limit_exceeded", headers={"retry-after": "1"}))
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
        routes:
          - {{name: coder, targets: [a/m]}}
        """
        async with gateway(tmp_path, text) as g:
            got = await g.client.chat(stream=stream)
            assert (got.status, got.headers["x-evenkeel-attempts"]) == (200, "2")
            first, second = a.hits
            assert 1.0 <= second.at - first.at < 2.0
            rows = (await g.client.story(got))["candidates"]
            assert [(row["outcome"], row["probe"]) for row in rows] == [
                ("failed", False),
                ("ok", True),
            ]
            # A limit that is not over when it was said to be: asked twice, and then refused.
            a.default = openai_error(429, "rate_limit_exceeded", headers={"retry-after": "1"})
            assert (await g.client.chat()).status == 429
            assert len(a.hits) == 4


async def test_an_outage_is_told_as_one_and_a_dead_key_apart(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = openai_error(401, "invalid_api_key")
        b.default = DOWN
        async with gateway(tmp_path, config(a, b, wait=0, dialect="openai")) as g:
            assert (await g.client.chat()).status == 503
            hits = (len(a.hits), len(b.hits))
            got = await g.client.chat()
            assert got.status == 503
            # Far away: a client's SDK would sleep for any Retry-After, so it is told not to retry.
            assert "retry-after" not in got.headers
            assert got.headers["x-should-retry"] == "false"
            assert {each["target"]: each["reason"] for each in got.json["error"]["targets"]} == {
                "a/m": "auth",
                "b/m": "overloaded",
            }
            assert (len(a.hits), len(b.hits)) == hits
