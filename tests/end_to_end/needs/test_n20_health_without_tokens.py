"""N20: health is learnt from real traffic, and a healthy-looking model list proves nothing.

The scenario's sixty polls of each path follow each other at once; `REAL_TIME_SHARE=1` in the
environment has them come once a second for its minute. What they look for (a call upstream, a poll
that waits for one) does not depend on the pace. The stated 50 ms hold for all polls but a few: a
loaded machine stalls now and then, for longer than any gateway works.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.end_to_end.gateways import Client, gateway
from tests.upstream import Answer, ScriptedUpstream

POLLED = ("/healthz", "/readyz", "/v1/models", "/api/v1/status", "/metrics")
ROUNDS = 60
PAUSE_SECONDS = float(os.environ.get("REAL_TIME_SHARE", "0"))
POLL_SECONDS = 0.05
SHARE_IN_TIME = 0.9
STALL_SECONDS = 1.0


async def test_polling_an_idle_gateway_calls_no_provider_and_waits_for_none(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        b.default = Answer(hang=True)
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [b/model-b, a/model-a]}}
        """
        async with gateway(tmp_path, text) as g:
            took: list[float] = []
            for _ in range(ROUNDS):
                took += [await timed_poll(g.client, path) for path in POLLED]
                await asyncio.sleep(PAUSE_SECONDS)
            assert sum(each < POLL_SECONDS for each in took) >= SHARE_IN_TIME * len(took)
            assert max(took) < STALL_SECONDS
            assert a.hits == b.hits == []


async def timed_poll(client: Client, path: str) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await client.get(path)).status == 200
    return loop.time() - began


async def test_polls_stay_quick_and_readiness_holds_while_requests_hang(tmp_path: Path) -> None:
    async with ScriptedUpstream() as b:
        b.default = Answer(hang=True)
        text = f"""
        providers:
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [b/model-b]}}
        """
        async with gateway(tmp_path, text) as g, asyncio.TaskGroup() as group:
            hanging = [group.create_task(g.client.chat(stream=True)) for _ in range(5)]
            await b.until_hits(5)
            took = [await timed_poll(g.client, path) for _ in range(5) for path in POLLED]
            assert sum(each < POLL_SECONDS for each in took) >= SHARE_IN_TIME * len(took)
            assert len(b.hits) == 5
            for each in hanging:
                each.cancel()


async def test_a_target_that_lists_models_but_hangs_on_completions_rests_after_its_timeouts(
    tmp_path: Path,
) -> None:
    """The fallback cooldown is off here, for it would spare the ill target the second timeout."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(hang_after=0)
        text = f"""
        providers:
          a:
            dialect: openai
            base_url: {a.openai_url}
            credentials: [{{name: one, key: k-a}}]
            timeouts: {{first_content_seconds: 0.2}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/model-a, b/model-b]}}
        stability:
          breaker_failures: 2
          cooldown_min_seconds: 0
          cooldown_multiplier: 0
        """
        async with gateway(tmp_path, text) as g:
            listed = await g.client.get("/v1/models")
            assert {"coder", "a/model-a"} <= {each["id"] for each in listed.json["data"]}
            for n in (1, 2):
                got = await g.client.chat(stream=True)
                assert (got.status, got.provider) == (200, "b")
                assert len(a.hits) == n
                resting = (await g.client.api("status"))["cooldowns"]
                assert len(resting) == (n == 2)
            [rest] = resting
            assert (rest["scope"], rest["reason"]) == ("target", "first_content_timeout")
            for _ in range(5):
                assert (await g.client.chat(stream=True)).provider == "b"
            assert len(a.hits) == 2
            assert all(hit.disconnected for hit in a.hits)
            rows = await g.client.all("attempts", failure="first_content_timeout")
            assert [row["model"] for row in rows] == ["model-a", "model-a"]
