"""N21: the gateway does not multiply a storm.

Of the scenario two things are put differently, both by the design. The same candidate is asked again
once, so a provider that is alone gets one repetition, not two. And an overload may be repeated on the
last target of a chain, which the retry budget allows or not: the storm runs without any budget.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

from gateway.routing.policy import RETRY_PAUSE_SECONDS
from tests.end_to_end.gateways import Got, Served, gateway
from tests.upstream import Answer, ScriptedUpstream

BUSY = Answer(status=503, json={"error": {"message": "The server is overloaded."}})

CLIENTS = 100
STORM_SECONDS = 5.0
HITS_MAX = 30
ANSWER_SECONDS = 1.0


async def asked_at(g: Served, n: int, at: float) -> tuple[Got, float]:
    """One client's request: the answer, and how long it took. It names itself by its session."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(at)
    began = loop.time()
    got = await g.client.chat(x_session_id=f"client-{n}")
    return got, loop.time() - began


async def test_a_hundred_clients_in_an_outage_make_few_calls_and_get_honest_answers(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        a.default = b.default = c.default = BUSY
        providers = "".join(
            f"""
          {name}:
            dialect: openai
            base_url: {upstream.openai_url}
            credentials: [{{name: one, key: k-{name}}}]"""
            for name, upstream in zip("abc", (a, b, c), strict=True)
        )
        text = f"""
        providers:{providers}
        routes:
          - {{name: coder, targets: [a/m, b/m, c/m]}}
        stability:
          breaker_failures: 3
          breaker_base_seconds: 2
          wait_base_seconds: 0.3
          retry_budget_ratio: 0
          retry_budget_floor_per_minute: 0
        """
        async with gateway(tmp_path, text) as g:
            answers = await asyncio.gather(
                *(asked_at(g, n, n * STORM_SECONDS / CLIENTS) for n in range(CLIENTS))
            )
            hits = [*a.hits, *b.hits, *c.hits]
            assert len(hits) <= HITS_MAX
            per_target = Counter((hit.header("host"), hit.header("x-session-id")) for hit in hits)
            assert set(per_target.values()) == {1}
            for got, seconds in answers:
                assert got.status == 503
                assert int(got.headers["retry-after"]) >= 1
                assert {each["target"] for each in got.json["error"]["targets"]} == {
                    "a/m",
                    "b/m",
                    "c/m",
                }
                assert seconds < ANSWER_SECONDS


REQUESTS = 1000
SHARE_OF_FAILURES = 0.1
BUDGET = 0.2
AT_ONCE = 40


async def test_repetitions_stay_within_the_budget_and_are_spread(tmp_path: Path) -> None:
    """The budget's floor is put to zero, so that the share alone is measured."""
    async with ScriptedUpstream() as a:
        rng = Random(21)
        a.plan(*(BUSY if rng.random() < SHARE_OF_FAILURES else Answer() for _ in range(1300)))
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
        routes:
          - {{name: coder, targets: [a/m]}}
        stability:
          retry_budget_ratio: {BUDGET}
          retry_budget_floor_per_minute: 0
          breaker_failures: 1000
          breaker_ratio: 1
        """
        async with gateway(tmp_path, text) as g:
            left = list(range(REQUESTS))

            async def some() -> None:
                while left:
                    await g.client.chat(x_session_id=f"client-{left.pop()}")

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
            assert REQUESTS < len(a.hits) <= REQUESTS * (1 + BUDGET)
            gaps = repetition_gaps(a)
            assert len(gaps) >= 10
            low, high = RETRY_PAUSE_SECONDS
            assert min(gaps) >= low
            assert max(gaps) - min(gaps) >= (high - low) / 2


def repetition_gaps(upstream: ScriptedUpstream) -> list[float]:
    """Seconds between the two calls of each request that was repeated."""
    first: dict[str | None, float] = {}
    gaps = []
    for hit in upstream.hits:
        name = hit.header("x-session-id")
        if name in first:
            gaps.append(hit.at - first[name])
        else:
            first[name] = hit.at
    return gaps


async def test_a_broken_budget_never_closes_the_way_to_another_target(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = BUSY
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability:
          {{retry_budget_ratio: 0, retry_budget_floor_per_minute: 0, cooldown_min_seconds: 0,
            cooldown_multiplier: 0}}
        """
        async with gateway(tmp_path, text) as g:
            got = await asyncio.gather(*(g.client.chat() for _ in range(10)))
            assert {(each.status, each.provider) for each in got} == {(200, "b")}
