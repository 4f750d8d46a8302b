"""What the stability engine promises, seen from outside: real sockets, real time, short durations.

Sixty seconds of the flapping primary are ten here, and every setting is a sixth of itself, so that
the ratios are kept; `REAL_TIME_SHARE=1` in the environment makes them sixty. The kill and the restart stand with the need they are about, N35.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.end_to_end.gateways import Got, Served, gateway, until
from tests.upstream import Answer, ScriptedUpstream

SCALE = float(os.environ.get("REAL_TIME_SHARE", 1 / 6))
REQUESTS = 200
SECONDS = 60 * SCALE
PRIMARY_SHARE_MAX = 0.15
SWITCHES_MAX = 10
DOWN = Answer(status=503, json={"error": {"message": "The server is overloaded."}})


def config(a: ScriptedUpstream, b: ScriptedUpstream, stability: dict[str, float]) -> str:
    settings = "".join(f"\n      {name}: {value:g}" for name, value in stability.items())
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability:{settings}
    """


def scaled(**seconds: float) -> dict[str, float]:
    return {f"{name}_seconds": value * SCALE for name, value in seconds.items()}


BREAKER = {
    **scaled(breaker_base=2, breaker_cap=16, cooldown_min=2, breaker_window=120),
    "breaker_failures": 1,
    "suppress_at": 1900,
    "reuse_at": 600,
}
"""The line to flapping is lower than usual: the ladder takes most of a minute to climb, and leaves
time for one departure and five failed probes at most."""
PROBING = scaled(probe_gap=1, probe_gap_max=8, ramp_step=0.6)
CAREFUL = {**BREAKER, **PROBING, **scaled(return_good=2), "return_good_answers": 3}
HASTY = {**BREAKER, **PROBING, "return_good_seconds": 0, "return_good_answers": 1}
"""Goes back at the first good answer, so that nothing but damping keeps it from swinging."""


async def steadily(g: Served, count: int, seconds: float) -> list[Got]:
    """So many requests, evenly over so long, none of which waits for another."""

    async def one(n: int) -> Got:
        await asyncio.sleep(n * seconds / count)
        return await g.client.chat(stream=n % 2 == 0)

    return await asyncio.gather(*(one(n) for n in range(count)))


@pytest.mark.parametrize("settings", [CAREFUL, HASTY], ids=["careful", "hasty"])
async def test_a_primary_that_fails_every_second_request_is_mostly_left_alone(
    tmp_path: Path, settings: dict[str, float]
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(*([DOWN, Answer()] * REQUESTS))
        async with gateway(tmp_path, config(a, b, settings)) as g:
            answers = await steadily(g, REQUESTS, SECONDS)
            assert {got.status for got in answers} == {200}
            assert len(a.hits) <= PRIMARY_SHARE_MAX * REQUESTS
            switches = await g.client.all("switches")
            assert 1 <= len(switches) <= SWITCHES_MAX
            started = await g.client.all("events", kind="flapping_started")
            assert {each["route"] for each in started} == {"coder"}
            await g.settled()
            series = await g.client.metrics()
            assert series.total("evenkeel_switches_total", route="coder") == len(switches)
            own = await g.client.all("cooldowns", provider="a")
            ladder = [row["level"] for row in own if row["source"] == "ladder"]
            assert ladder == sorted(ladder)


async def test_a_primary_that_fails_once_is_left_once_and_returned_to_within_one_dwell(
    tmp_path: Path,
) -> None:
    """One dwell: the hold, and what the return asks for in good answers."""
    settings = {**CAREFUL, "breaker_failures": 3}
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(status=500, json={}))
        async with gateway(tmp_path, config(a, b, settings)) as g:
            answers = await steadily(g, 60, 18 * SCALE)
            assert {got.status for got in answers} == {200}
            assert {got.provider for got in answers[-5:]} == {"a"}
            switches = await g.client.all("switches")
            assert [each["kind"] for each in switches] == ["forced", "return"]
            hold = settings["cooldown_min_seconds"] * 1.2
            dwell = hold + settings["return_good_seconds"] + 3 * settings["probe_gap_seconds"]
            assert switches[1]["dwell_seconds"] <= dwell + 0.3
            assert len(await g.client.all("cooldowns")) == 1
            assert await g.client.all("events", kind="flapping_started") == []


HERD = 100
AS_HASTY = {**HASTY, "queue_waiters": HERD, "retry_budget_floor_per_minute": 0}


@pytest.mark.parametrize("well", [True, False], ids=["well", "ill"])
async def test_of_a_hundred_requests_at_a_cooldown_s_end_one_is_the_probe(
    tmp_path: Path, *, well: bool
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        decided = asyncio.Event()
        a.plan(DOWN, probed(decided, well=well))
        async with gateway(tmp_path, config(a, b, AS_HASTY)) as g, asyncio.TaskGroup() as group:
            await g.client.chat()
            await g.client.until("status", lambda found: not found["cooldowns"])
            herd = [group.create_task(g.client.chat()) for _ in range(HERD)]
            await until(lambda: sum(task.done() for task in herd) == HERD - 1)
            assert len(a.hits) == 2
            decided.set()
            answers = [await each for each in herd]
            assert {got.status for got in answers} == {200}
            served = [got.provider for got in answers]
            assert served.count("a") == (1 if well else 0)
            assert len(a.hits) == 2


@pytest.mark.parametrize("chain", ["[a/m]", "[a/m, b/m]"], ids=["other key", "other target"])
async def test_a_key_whose_limit_is_over_is_tested_by_one_request_too(
    tmp_path: Path, chain: str
) -> None:
    """The others are served by the other key, or by the fallback where there is no other key."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        decided = asyncio.Event()
        limited = Answer(status=429, headers={"retry-after": "1"}, json={"error": {}})
        a.plan(limited, Answer(before_headers=decided), key="k-a")
        text = config(a, b, AS_HASTY).replace("[a/m, b/m]", chain)
        if chain == "[a/m]":
            text = text.replace("key: k-a}", "key: k-a}, {name: two, key: k-two}")
        async with gateway(tmp_path, text) as g, asyncio.TaskGroup() as group:
            await g.client.chat()
            await g.client.until("status", lambda found: not found["cooldowns"])
            herd = [group.create_task(g.client.chat()) for _ in range(HERD)]
            await until(lambda: sum(task.done() for task in herd) == HERD - 1)
            assert a.hits_by_key()["k-a"] == 2
            decided.set()
            assert {(await each).status for each in herd} == {200}
            assert (await g.client.chat()).provider == "a"
            assert await g.client.all("switches") == []


@pytest.mark.parametrize("well", [True, False], ids=["well", "ill"])
async def test_where_nobody_else_could_serve_the_others_wait_for_the_probe_s_outcome(
    tmp_path: Path, *, well: bool
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        decided = asyncio.Event()
        a.plan(DOWN, probed(decided, well=well))
        a.default = Answer() if well else DOWN
        text = config(a, b, AS_HASTY).replace("[a/m, b/m]", "[a/m]")
        async with gateway(tmp_path, text) as g, asyncio.TaskGroup() as group:
            await g.client.chat()
            await g.client.until("status", lambda found: not found["cooldowns"])
            before = len(a.hits)
            herd = [group.create_task(g.client.chat()) for _ in range(HERD)]
            await until(lambda: len(g.context.pool.waiting) == HERD - 1)
            assert len(a.hits) == before + 1
            decided.set()
            statuses = {(await each).status for each in herd}
            assert statuses == {200 if well else 503}
            if well:
                assert len(a.hits) == before + HERD
            else:  # One more at the end of each rest that is short enough to be waited for.
                assert before < len(a.hits) <= before + 3


def probed(decided: asyncio.Event, *, well: bool) -> Answer:
    if well:
        return Answer(before_headers=decided)
    return Answer(status=503, json={}, before_headers=decided)
