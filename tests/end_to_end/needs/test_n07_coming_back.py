"""N07: back to the preferred provider on evidence; the configured order is never rewritten.

The scenario's seconds are a fifth here.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path
from typing import Any

from gateway.units import MICROS
from tests.end_to_end.gateways import Client, gateway
from tests.upstream import ScriptedUpstream, openai_error

FAILS_SECONDS = 1.0
COOLDOWN_SECONDS = 0.6
HOLD_SECONDS = 0.4
POLL_SECONDS = 0.1
POLLS = 40


def config(a: ScriptedUpstream, b: ScriptedUpstream, policy: str) -> str:
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m], return: {policy}}}
    stability:
      cooldown_min_seconds: {COOLDOWN_SECONDS}
      cooldown_multiplier: 1
      breaker_base_seconds: {COOLDOWN_SECONDS}
      probe_gap_seconds: 0.1
      probe_gap_max_seconds: 0.4
      return_good_answers: 2
      return_good_seconds: {HOLD_SECONDS}
    """


def fails_for(a: ScriptedUpstream, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    down = openai_error(500, "internal_error")
    a.decide = lambda _: down if 0.05 < loop.time() - began < 0.05 + seconds else None


async def poll(client: Client) -> list[str]:
    """Who served, one after another; requests that were probes are left out."""
    served: dict[str, str] = {}
    for _ in range(POLLS):
        got = await client.chat()
        assert got.status == 200
        served[got.request_id] = got.provider
        await asyncio.sleep(POLL_SECONDS)
    probes = {row["request_id"] for row in await client.all("attempts") if row["probe"]}
    return [provider for request, provider in served.items() if request not in probes]


async def shown_routes(client: Client) -> Any:
    return (await client.api("config"))["config"]["routes"]


async def test_a_recovered_primary_is_returned_to_once_after_its_good_answers(
    tmp_path: Path,
) -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b, "auto")) as g,
    ):
        before = await shown_routes(g.client)
        fails_for(a, FAILS_SECONDS)
        served = await poll(g.client)
        assert [provider for provider, _ in groupby(served)] == ["a", "b", "a"]
        rows = await g.client.all("attempts", provider="a")
        first_good = next(row for row in rows if row["probe"] and row["outcome"] == "ok")
        there, back = await g.client.all("switches")
        assert (there["kind"], there["reason"]) == ("forced", "server_error")
        assert (back["kind"], back["reason"]) == ("return", "recovered")
        assert back["ts"] - first_good["ts"] >= HOLD_SECONDS * MICROS
        assert await shown_routes(g.client) == before
        assert [each["target"] for each in before[0]["targets"]] == ["a/m", "b/m"]


async def test_with_the_manual_policy_the_route_waits_for_the_operator(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b, "manual")) as g,
    ):
        fails_for(a, FAILS_SECONDS)
        served = await poll(g.client)
        assert [provider for provider, _ in groupby(served)] == ["a", "b"]
        assert len(await g.client.all("switches")) == 1
        body = {"target": "a/m", "note": "it is well again"}
        done = await g.client.post("/api/v1/cooldowns/reset", body)
        assert done.status == 200
        assert (await g.client.chat()).provider == "a"
        assert (await g.client.all("switches"))[-1]["kind"] == "operator"
