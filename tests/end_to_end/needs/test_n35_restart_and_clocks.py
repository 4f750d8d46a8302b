"""N35: what a hard restart keeps, and what a clock that is set does not change."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.clock import SystemClock
from gateway.units import MICROS, Moment, Timestamp
from tests.end_to_end.gateways import FILE, Client, client_of, gateway, program
from tests.upstream import Answer, ScriptedUpstream

HOUR = 3600.0
LIMITED = Answer(status=429, headers={"retry-after": "60"}, json={"error": {"message": "No."}})
DOWN = Answer(status=503, json={"error": {"message": "Down."}})
AT_ONCE = 20


async def test_after_a_kill_a_stated_rest_holds_and_a_guessed_one_is_probed_once(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        a.default, b.default = LIMITED, DOWN
        (tmp_path / FILE).write_text(
            f"""
            server: {{port: 0}}
            providers:
              a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
              b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
              c: {{dialect: openai, base_url: {c.openai_url}, credentials: [{{name: one, key: k-c}}]}}
            routes:
              - {{name: coder, targets: [a/m, b/m, c/m]}}
            stability:
              breaker_failures: 1
              breaker_base_seconds: 60
              cooldown_min_seconds: 0
              cooldown_multiplier: 0
            """
        )
        async with program(tmp_path, "serve") as first, client_of(await first.url()) as client:
            assert (await client.chat()).provider == "c"
            before = await stored(client, count=2)
            assert {row["source"] for row in before} == {"stated", "ladder"}
            first.signal(signal.SIGKILL)
            await first.ended()
        assert (len(a.hits), len(b.hits)) == (1, 1)

        async with program(tmp_path, "serve") as second, client_of(await second.url()) as client:
            [rest] = (await client.api("status"))["cooldowns"]
            [told] = [row for row in before if row["source"] == "stated"]
            assert (rest["provider"], rest["source"]) == ("a", "stated")
            assert abs(rest["until"] - told["until"]) < MICROS
            got = await asyncio.gather(*(client.chat(stream=True) for _ in range(AT_ONCE)))
            assert {(each.status, each.provider) for each in got} == {(200, "c")}
            assert (len(a.hits), len(b.hits)) == (1, 2)
            rows = await client.all("cooldowns", provider="b")
            assert [row["ended"] for row in rows] == ["superseded", None]
            [row] = await client.all("cooldowns", provider="a")
            assert row["ended"] is None


async def stored(client: Client, *, count: int) -> list[dict[str, Any]]:
    """The cooldowns of the history, once so many are in it."""
    found = await client.until("cooldowns", lambda page: len(page["items"]) >= count)
    return list(found["items"])


async def test_a_guessed_rest_that_turns_out_to_be_over_serves_with_its_first_probe(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(DOWN)
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability:
          {{breaker_failures: 1, breaker_base_seconds: 60, cooldown_min_seconds: 0,
            cooldown_multiplier: 0}}
        """
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat()).provider == "b"
            assert (await g.client.chat()).provider == "b"
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat()).provider == "a"
            [row] = await g.client.all("cooldowns")
            assert row["ended"] == "superseded"


@dataclass
class Jumping:
    """The machine's clocks, of which the wall clock may be set; implements `Clock`."""

    ahead_seconds: float = 0.0

    def now(self) -> Moment:
        real = SystemClock().now()
        return Moment(real.instant, Timestamp(real.timestamp + round(self.ahead_seconds * MICROS)))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


REST_SECONDS = 1.5
JITTER = 1.2


async def test_a_wall_clock_that_jumps_neither_ends_nor_prolongs_a_guessed_rest(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(DOWN)
        clock = Jumping()
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability:
          {{breaker_failures: 1, breaker_base_seconds: {REST_SECONDS}, cooldown_min_seconds: 0,
            cooldown_multiplier: 0}}
        """
        async with gateway(tmp_path, text, clock=clock) as g:
            assert (await g.client.chat()).provider == "b"
            failed = a.hits[0].at
            last = await left(g.client)
            for ahead in (HOUR, 0.0, -HOUR, 0.0):
                clock.ahead_seconds = ahead
                assert (await g.client.chat()).provider == "b"
                now_left = await left(g.client)
                assert 0.0 < now_left < last
                last = now_left
                await asyncio.sleep(0.2)
            assert len(a.hits) == 1
            await g.client.until_served_by("a")
            assert REST_SECONDS <= a.hits[1].at - failed < REST_SECONDS * JITTER + 0.5
            [row] = await g.client.all("cooldowns")
            assert REST_SECONDS <= row["duration_seconds"] <= REST_SECONDS * JITTER
            assert row["ended"] == "expired"


async def left(client: Client) -> float:
    """Seconds to the end of the one rest, both as the status shows them: by the wall clock."""
    found = await client.api("status")
    [rest] = found["cooldowns"]
    return float(rest["until"] - found["now"]) / MICROS


async def test_a_stated_rest_and_a_session_live_on_when_the_clock_is_set(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(status=429, headers={"retry-after": "2"}, json={"error": {}}))
        clock = Jumping()
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability: {{wait_base_seconds: 0}}
        """
        async with gateway(tmp_path, text, clock=clock) as g:
            assert (await g.client.chat(x_session_id="s")).provider == "b"
            clock.ahead_seconds = HOUR
            assert (await g.client.chat(x_session_id="s")).provider == "b"
            assert 1.0 < await left(g.client) <= 2.3
            clock.ahead_seconds = -HOUR
            assert (await g.client.chat()).provider == "b"
            assert 1.0 < await left(g.client) <= 2.3
            assert len(a.hits) == 1
            await asyncio.sleep(2.3)
            assert (await g.client.chat()).provider == "a"
            assert (await g.client.chat(x_session_id="s")).provider == "b"
