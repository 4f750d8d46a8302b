"""The regression of the origin. There, after the first fallback, every request for the primary
failed for 450 s without reaching any provider. Here the fallback serves all of them, and the
primary is left alone until its fallback cooldown is over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    anthropic,
    gateway,
    openai,
    settings_of,
)
from tests.upstream import Answer, ScriptedUpstream

HOLD_SECONDS = 1.0
STABILITY = {
    "cooldown_min_seconds": HOLD_SECONDS,
    "cooldown_multiplier": 1,
    "breaker_base_seconds": 0.1,
    "probe_gap_seconds": 0.05,
    "return_good_answers": 2,
    "return_good_seconds": 0.1,
}
ENDINGS = {OPENAI_PATH: b"data: [DONE]", ANTHROPIC_PATH: b"message_stop"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_the_fallback_serves_until_the_primary_s_cooldown_is_over(
    tmp_path: Path, path: str, *, stream: bool
) -> None:
    at = openai if path == OPENAI_PATH else anthropic
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": at(a), "b": at(b)},
            {"coder": ["a/model-a", "b/model-b"]},
            stability=STABILITY,
        )
        a.default = Answer(status=500, json={"error": {"message": "The primary is down."}})
        async with gateway(tmp_path, settings) as g:
            first = await g.client.ask(path, "coder", stream=stream)
            assert (first.status, first.provider) == (200, "b")
            assert first.headers["x-evenkeel-attempts"] == "2"
            assert first.headers["x-evenkeel-fallback-from"] == "a/model-a"
            assert first.headers["x-evenkeel-fallback-reason"] == "server_error"
            a.default = Answer()  # It would answer, if anybody asked.
            for _ in range(20):
                got = await g.client.ask(path, "coder", stream=stream)
                assert (got.status, got.provider) == (200, "b")
                assert got.headers["x-evenkeel-attempts"] == "1"
                assert got.headers["x-evenkeel-fallback-from"] == "a/model-a"
                if stream:
                    assert ENDINGS[path] in got.body
            assert (len(a.hits), len(b.hits)) == (1, 21)

            [hold] = [each for each in (await g.client.all("cooldowns")) if each["route"]]
            assert (hold["source"], hold["reason"], hold["ended"]) == ("hold", "server_error", None)
            await g.client.until("status", lambda found: not found["cooldowns"])
            tested = await g.client.ask(path, "coder", stream=stream)
            assert (tested.status, tested.provider) == (200, "a")
            assert "x-evenkeel-fallback-from" not in tested.headers
            await asyncio.sleep(0.15)
            for _ in range(5):
                back = await g.client.ask(path, "coder", stream=stream)
                assert (back.status, back.provider) == (200, "a")
            assert (len(a.hits), len(b.hits)) == (7, 21)

            switches = await g.client.all("switches")
            assert [(each["kind"], each["from"], each["to"]) for each in switches] == [
                ("forced", "a/model-a", "b/model-b"),
                ("return", "b/model-b", "a/model-a"),
            ]
            assert switches[1]["dwell_seconds"] >= HOLD_SECONDS


async def test_a_herd_of_requests_moves_once(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": openai(a), "b": openai(b)}, {"coder": ["a/model-a", "b/model-b"]}
        )
        a.default = Answer(status=500, json={}, before_headers=0.1)
        async with gateway(tmp_path, settings) as g:
            got = await asyncio.gather(*(g.client.chat(stream=n % 2 == 0) for n in range(20)))
            assert {(each.status, each.provider) for each in got} == {(200, "b")}
            assert len(await g.client.all("switches")) == 1
            assert len(a.hits) <= 20
            assert len(b.hits) == 20


async def test_both_targets_held_still_serve(tmp_path: Path) -> None:
    """A hold only reorders: it never takes the last target away."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        settings = settings_of(
            {"a": openai(a), "b": openai(b)}, {"coder": ["a/model-a", "b/model-b"]}
        )
        a.plan(Answer(status=500, json={}))
        b.plan(Answer(), Answer(status=500, json={}))
        async with gateway(tmp_path, settings) as g:
            served = [(await g.client.chat()).provider for _ in range(4)]
            assert served[:2] == ["b", "a"]
            [route] = (await g.client.api("status"))["routes"]
            assert [each["state"] for each in route["targets"]] == ["held", "held"]
            for _ in range(5):
                assert (await g.client.chat()).status == 200
