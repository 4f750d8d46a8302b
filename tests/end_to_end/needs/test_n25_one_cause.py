"""N25: one cause behind many failures is recognised as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.end_to_end.gateways import gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

KEYS = 50
GUARD = 3
REQUESTS = 10
AT_ONCE = 2
REPAIRED_SECONDS = 2.0


def many_keys(a: ScriptedUpstream, b: ScriptedUpstream) -> str:
    """A first target with fifty keys, and another one."""
    credentials = "".join(
        f"""
          - {{name: key-{n}, key: k-{n}}}"""
        for n in range(KEYS)
    )
    return f"""
    providers:
      a:
        dialect: openai
        base_url: {a.openai_url}
        rotation: least_in_flight
        credentials:{credentials}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability:
      guard_credentials: {GUARD}
      breaker_base_seconds: 0.5
      cooldown_min_seconds: 0
      cooldown_multiplier: 1
      probe_gap_seconds: 0.1
      return_good_answers: 2
      return_good_seconds: 0.1
    """


async def test_a_pool_refused_as_a_whole_is_one_cooldown_and_no_key_s_fault(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = openai_error(401, "invalid_api_key")
        async with gateway(tmp_path, many_keys(a, b)) as g:
            left = list(range(REQUESTS))

            async def some() -> None:
                while left:
                    left.pop()
                    got = await g.client.chat()
                    assert (got.status, got.provider) == (200, "b")

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
            assert len(a.hits) <= GUARD + AT_ONCE
            assert len(b.hits) == REQUESTS
            [told] = await g.client.all("events", kind="pool_wide_failure")
            assert (told["provider"], told["failure"]) == ("a", "auth")
            found = await g.client.api("status")
            [rest] = [each for each in found["cooldowns"] if not each["route"]]
            assert (rest["scope"], rest["provider"], rest["reason"]) == (
                "provider",
                "a",
                "pool_wide",
            )
            rows = await g.client.all("cooldowns", provider="a")
            scopes = [row["scope"] for row in rows if row["ended"] is None and not row["route"]]
            assert scopes == ["provider"]

            a.default = Answer()
            await g.client.until_served_by("a")
            a.hits.clear()
            # Each key is tried least used first, so that all of them come round.
            async with asyncio.timeout(8):
                while len(a.hits_by_key()) < KEYS:
                    assert (await g.client.chat()).status == 200
            resting = (await g.client.api("status"))["cooldowns"]
            assert [each for each in resting if each["scope"].startswith("credential")] == []


async def test_a_network_that_is_away_is_one_event_and_all_is_back_soon_after_repair(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        ports = [int(each.url.rpartition(":")[2]) for each in (a, b)]
    text = f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
      - {{name: writer, targets: [b/m, a/m]}}
    stability: {{wait_base_seconds: 0.2}}
    """
    async with gateway(tmp_path, text) as g:
        for _ in range(6):
            for route in ("coder", "writer"):
                got = await g.client.chat(route)
                assert got.status == 503
                reasons = {each["reason"] for each in got.json["error"]["targets"]}
                assert reasons <= {"connect", "local_network"}
        assert len(await g.client.all("events", kind="local_network")) == 1
        async with ScriptedUpstream(port=ports[0]), ScriptedUpstream(port=ports[1]):
            loop = asyncio.get_running_loop()
            began = loop.time()
            wanted = {"coder": "a", "writer": "b"}
            while wanted:
                for route, provider in list(wanted.items()):
                    got = await g.client.chat(route)
                    if got.status == 200 and got.provider == provider:
                        del wanted[route]
                assert loop.time() - began < REPAIRED_SECONDS, wanted
                await asyncio.sleep(0.05)
        ladders = [row for row in await g.client.all("cooldowns") if row["level"]]
        assert ladders == []
        assert await g.client.all("switches") == []
