"""N03: a cooldown neither feeds itself nor outlasts the trouble because of a wrong hint."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from tests.end_to_end.gateways import gateway
from tests.upstream import ScriptedUpstream, openai_error

RECHECK_SECONDS = 1.0
RECOVERS_SECONDS = 0.6
"""A fifth of the scenario's, as the interval is."""


async def test_requests_that_a_cooldown_turns_away_do_not_prolong_it(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(openai_error(429, "rate_limit_exceeded", headers={"retry-after": "5"}))
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: alone, targets: [a/m]}}
          - {{name: coder, targets: [a/m, b/m]}}
        """
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat("alone")).status == 429
            [before] = (await g.client.api("status"))["cooldowns"]
            for _ in range(50):
                assert (await g.client.chat("alone")).status == 429
                assert (await g.client.chat("coder")).provider == "b"
            assert len(a.hits) == 1
            [after] = (await g.client.api("status"))["cooldowns"]
            assert after["until"] == before["until"]
            assert not await g.client.all("events", kind="cooldown_extended")


async def test_an_absurd_reset_is_looked_at_and_ended_by_a_good_answer(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        limited = openai_error(429, "rate_limit_exceeded", headers={"retry-after": "500000"})
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability:
          recheck_seconds: {RECHECK_SECONDS}
          cooldown_min_seconds: 0
          cooldown_multiplier: 0
          probe_gap_seconds: 0.1
          probe_gap_max_seconds: 0.1
          return_good_answers: 2
          return_good_seconds: 0.1
        """
        async with gateway(tmp_path, text) as g:
            loop = asyncio.get_running_loop()
            began = loop.time()
            a.decide = lambda _: limited if loop.time() < began + RECOVERS_SECONDS else None
            served = ""
            async with asyncio.timeout(2 * RECHECK_SECONDS):
                while served != "a":
                    got = await g.client.chat()
                    assert got.status == 200
                    served = got.provider
                    await asyncio.sleep(0.02)
            assert len(a.hits) >= 2
            for earlier, later in pairwise(hit.at for hit in a.hits):
                assert later - earlier >= RECHECK_SECONDS
            [rest] = await g.client.all("cooldowns")
            assert (rest["source"], rest["ended"]) == ("stated", "probe")
            assert rest["until"] > rest["ended_at"]
            async with asyncio.timeout(2.0):  # And the route goes back to it.
                while len(await g.client.all("switches")) < 2:
                    await g.client.chat()
                    await asyncio.sleep(0.05)
