"""N26: one probe tests a target whose rest is over, and a return is a ramp, no flood."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.end_to_end.gateways import Client, Got, gateway
from tests.upstream import Answer, ScriptedUpstream

HERD = 100
PROBE_SECONDS = 0.6
SLACK_SECONDS = 1.5
"""For a hundred requests at once on a small machine; B itself answers at once."""
AFTER = 200
ILL = Answer(status=503, json={"error": {"message": "Down."}}, headers={"retry-after": "1"})
FIRST_SHARE_MAX = 0.25
"""A tenth is asked for; of 200 draws a quarter would be seven standard deviations off."""


def config(a: ScriptedUpstream, b: ScriptedUpstream, **stability: float) -> str:
    more = "".join(f"\n      {name}: {value}" for name, value in stability.items())
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability:
      cooldown_min_seconds: 0
      cooldown_multiplier: 0
      breaker_failures: 1
      breaker_base_seconds: 0.5
      probe_first_content_seconds: {PROBE_SECONDS}{more}
    """


async def herd(client: Client, size: int = HERD, session: str = "") -> list[tuple[Got, float]]:
    """So many at once; each with a session of its own, if `session` gives them a name."""
    loop = asyncio.get_running_loop()

    async def one(n: int) -> tuple[Got, float]:
        began = loop.time()
        named = {"x-session-id": f"{session}-{n}"} if session else {}
        got = await client.chat(stream=True, **named)
        return got, loop.time() - began

    return await asyncio.gather(*(one(n) for n in range(size)))


async def rested(client: Client) -> None:
    await client.until("status", lambda found: not found["cooldowns"])


async def test_of_a_hundred_requests_at_the_end_of_a_rest_one_reaches_the_hanging_target(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(ILL)
        a.default = Answer(hang_after=0)
        async with gateway(tmp_path, config(a, b)) as g:
            assert (await g.client.chat(stream=True)).provider == "b"
            await rested(g.client)
            found = await herd(g.client)
            assert len(a.hits) == 2
            assert {(got.status, got.provider) for got, _ in found} == {(200, "b")}
            assert max(seconds for _, seconds in found) < PROBE_SECONDS + SLACK_SECONDS
            attempts = [got.headers["x-evenkeel-attempts"] for got, _ in found]
            assert (attempts.count("2"), attempts.count("1")) == (1, HERD - 1)
            [probe] = [row for row in await g.client.all("attempts", provider="a") if row["probe"]]
            assert probe["failure"] == "first_content_timeout"
            assert a.hits[1].disconnected


async def test_after_a_good_probe_the_target_gets_probes_and_no_flood(tmp_path: Path) -> None:
    """The configured share before the return is one request per `probe_gap_seconds`."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(ILL)
        async with gateway(tmp_path, config(a, b, probe_gap_seconds=1)) as g:
            await g.client.chat(stream=True)
            await rested(g.client)
            assert (await g.client.chat(stream=True)).provider == "a"
            good = a.hits[1].at
            for _ in range(2):
                await herd(g.client)
            within = [hit for hit in a.hits[2:] if hit.at - good < 1.0]
            assert within == []
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, good + 1.0 - loop.time()) + 0.1)
            await herd(g.client)
            assert len(a.hits) == 3


async def test_after_the_return_new_sessions_follow_by_and_by(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(ILL)
        quick = {"return_good_answers": 2, "return_good_seconds": 0.2, "probe_gap_seconds": 0.2}
        async with gateway(tmp_path, config(a, b, **quick, ramp_step_seconds=2)) as g:
            for n in range(20):  # New sessions come fast enough for a ramp to be worth it.
                await g.client.chat(stream=True, **{"x-session-id": f"early-{n}"})
            await rested(g.client)
            async with asyncio.timeout(5):
                while not await returned(g.client):
                    await g.client.chat(stream=True)
                    await asyncio.sleep(0.02)
            first = [got.provider for got, _ in await herd(g.client, AFTER, "first")]
            assert 0 < first.count("a") < FIRST_SHARE_MAX * AFTER
            await asyncio.sleep(6.1)
            assert {got.provider for got, _ in await herd(g.client, session="later")} == {"a"}


async def returned(client: Client) -> bool:
    return len(await client.all("switches")) == 2
