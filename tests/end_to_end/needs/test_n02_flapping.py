"""N02: a half-broken primary is not retried on every request.

The scenario's minute is six times as short here, and so is every duration; `REAL_TIME_SHARE=1` in the
environment gives them their full length. Two of its sentences are checked as the design means them: at the cap a rest's length still varies by its jitter of a fifth, so
that it is the ladder's step that never falls; and a target that fails once is left for its hold (the
minimum dwell on the fallback) and comes back on evidence right after it.
"""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.gateways import gateway
from tests.upstream import ScriptedUpstream, openai_error

DOWN = openai_error(503, "server_is_overloaded")
REQUESTS = 200
SHARE = float(os.environ.get("REAL_TIME_SHARE", 1 / 6))
SECONDS = 60 * SHARE
JITTER = 1.2
HOLD_SECONDS, GAP_SECONDS = 2 * SHARE, 1.5 * SHARE


def config(a: ScriptedUpstream, b: ScriptedUpstream, damping: str = "enforce") -> str:
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability:
      damping: {damping}
      breaker_base_seconds: {2 * SHARE}
      breaker_cap_seconds: {16 * SHARE}
      breaker_window_seconds: {120 * SHARE}
      ladder_decay_seconds: {600 * SHARE}
      cooldown_min_seconds: {HOLD_SECONDS}
      probe_gap_seconds: {GAP_SECONDS}
      probe_gap_max_seconds: {30 * SHARE}
      return_good_seconds: {3 * SHARE}
      return_good_max_seconds: {1800 * SHARE}
      half_life_seconds: {1800 * SHARE}
      suppress_max_seconds: {7200 * SHARE}
    """


@pytest.mark.parametrize("damping", ["enforce", "observe"])
async def test_a_primary_that_fails_every_second_request_is_left_alone(
    tmp_path: Path, damping: str
) -> None:
    """Where damping is obeyed it soon ends the probes; without it the rests grow."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.decide = lambda _: DOWN if len(a.hits) % 2 else None
        async with gateway(tmp_path, config(a, b, damping)) as g:
            for _ in range(REQUESTS):
                assert (await g.client.chat()).status == 200
                await asyncio.sleep(SECONDS / REQUESTS)
            assert len(a.hits) <= 0.15 * REQUESTS
            switches = await g.client.all("switches")
            assert 1 <= len(switches) <= 10
            rests = [
                row
                for row in await g.client.all("cooldowns", target="a/m")
                if row["source"] == "ladder"
            ]
            assert len(rests) >= (1 if damping == "enforce" else 2)
            for earlier, later in pairwise(rests):
                assert later["level"] >= earlier["level"]
                assert later["duration_seconds"] >= earlier["duration_seconds"] / JITTER
            flaps = await g.client.all("events", kind="flapping_started")
            assert {(row["route"], row["target"]) for row in flaps} == {("coder", "a/m")}


async def test_a_primary_that_fails_once_is_back_after_one_dwell(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(DOWN)
        async with gateway(tmp_path, config(a, b)) as g:
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with asyncio.timeout(48 * SHARE):
                while len(await g.client.all("switches")) != 2:
                    assert (await g.client.chat()).status == 200
                    await asyncio.sleep(0.05)
            # The hold with its jitter, then five good answers over half a second, a gap apart.
            assert loop.time() - began < HOLD_SECONDS * JITTER + 5 * GAP_SECONDS + 1.5
            assert (await g.client.chat()).provider == "a"
            assert len(await g.client.all("cooldowns")) == 1
            assert not await g.client.all("events", kind="flapping_started")
