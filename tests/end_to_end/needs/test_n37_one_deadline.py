"""N37: one deadline for the whole request. All times are a quarter of the scenario's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, Client, Got, gateway
from tests.upstream import Answer, ScriptedUpstream

PER_TRY_SECONDS = 1.0
TOTAL_SECONDS = 1.5
LATE_SECONDS = 0.9
"""Room for a busy machine, and less than to the next clock that could have ended the request."""


async def timed(client: Client, path: str, **headers: str) -> tuple[Got, float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    got = await client.ask(path, "coder", stream=True, **headers)
    return got, loop.time() - began


def config(upstreams: list[ScriptedUpstream], *, dialect: str = "openai", total: float) -> str:
    providers = "".join(
        f"""
      {name}:
        dialect: {dialect}
        base_url: {upstream.openai_url if dialect == "openai" else upstream.url}
        credentials: [{{name: one, key: k-{name}}}]
        timeouts: {{first_content_seconds: {PER_TRY_SECONDS}}}"""
        for name, upstream in zip("abc", upstreams, strict=False)
    )
    return f"""
    providers:{providers}
    routes:
      - {{name: coder, targets: [{", ".join(f"{name}/m" for name in "abc"[: len(upstreams)])}]}}
    stability: {{deadline_seconds: {total}, breaker_failures: 1}}
    """


@pytest.mark.parametrize("hangs", [Answer(hang=True), Answer(hang_after=0)])
async def test_a_dead_chain_is_answered_at_the_deadline_which_is_named(
    tmp_path: Path, hangs: Answer
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        a.default = b.default = c.default = hangs
        async with gateway(tmp_path, config([a, b, c], total=TOTAL_SECONDS)) as g:
            got, seconds = await timed(g.client, OPENAI_PATH)
            assert TOTAL_SECONDS <= seconds <= TOTAL_SECONDS + LATE_SECONDS
            assert (got.status, got.json["error"]["code"]) == (504, "deadline")
            assert f"the deadline of {TOTAL_SECONDS:g} s passed" in got.json["error"]["message"]
            assert (len(a.hits), len(b.hits), len(c.hits)) == (1, 1, 0)
            rows = await g.client.all("attempts")
            failures = [(row["provider"], row["failure"]) for row in rows]
            assert failures == [("a", "first_content_timeout"), ("b", "deadline")]
            resting = {row["provider"] for row in await g.client.all("cooldowns")}
            assert resting == {"a"}


async def test_a_chain_that_ends_before_the_deadline_is_told_as_the_chain(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = b.default = Answer(status=500, json={})
        async with gateway(tmp_path, config([a, b], total=30)) as g:
            got, seconds = await timed(g.client, OPENAI_PATH)
            assert (got.status, got.json["error"]["code"]) == (503, "exhausted")
            assert "no target could answer" in got.json["error"]["message"]
            assert seconds < TOTAL_SECONDS


@pytest.mark.parametrize(
    ("path", "dialect"), [(OPENAI_PATH, "openai"), (ANTHROPIC_PATH, "anthropic")]
)
async def test_the_client_s_own_deadline_ends_its_request_and_blames_nobody(
    tmp_path: Path, path: str, dialect: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(hang=True)
        async with gateway(tmp_path, config([a, b], dialect=dialect, total=30)) as g:
            got, seconds = await timed(g.client, path, x_evenkeel_deadline_seconds="0.5")
            assert 0.5 <= seconds <= 0.5 + LATE_SECONDS
            assert got.status == 504
            assert "the client's own deadline of 0.5 s passed" in got.json["error"]["message"]
            assert await g.client.all("cooldowns") == []
            [hit] = a.hits
            assert hit.disconnected
            assert hit.header("x-evenkeel-deadline-seconds") is None


async def test_a_deadline_beyond_the_gateway_s_own_extends_nothing(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = b.default = Answer(hang=True)
        async with gateway(tmp_path, config([a, b], total=TOTAL_SECONDS)) as g:
            got, seconds = await timed(g.client, OPENAI_PATH, x_evenkeel_deadline_seconds="60")
            assert seconds <= TOTAL_SECONDS + LATE_SECONDS
            assert f"the deadline of {TOTAL_SECONDS:g} s passed" in got.json["error"]["message"]


async def test_an_answer_that_has_begun_is_never_cut_by_the_deadline(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        a.default = Answer(text=("a", "b", "c"), between_chunks=0.4)
        async with gateway(tmp_path, config([a], total=30)) as g:
            got, seconds = await timed(g.client, OPENAI_PATH, x_evenkeel_deadline_seconds="0.3")
            assert (got.status, got.provider) == (200, "a")
            assert seconds > 0.6
            assert b"[DONE]" in got.body


@pytest.mark.parametrize("value", ["soon", "0", "-3"])
async def test_a_deadline_that_is_none_is_the_client_s_fault(tmp_path: Path, value: str) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, config([a], total=30)) as g:
        got, _ = await timed(g.client, OPENAI_PATH, x_evenkeel_deadline_seconds=value)
        assert (got.status, got.json["error"]["code"]) == (400, "invalid_request")
        assert "x-evenkeel-deadline-seconds" in got.json["error"]["message"]
        assert a.hits == []
