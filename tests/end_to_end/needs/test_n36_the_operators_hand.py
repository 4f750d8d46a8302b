"""N36: an operator may end a rest, make one, drain, and pin, and each act is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.end_to_end.gateways import gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

PIN_SECONDS = 1.0
QUICK_RETURN = """
    stability:
      {cooldown_min_seconds: 0.1, cooldown_multiplier: 0, return_good_answers: 1,
       return_good_seconds: 0.1, probe_gap_seconds: 0.1}
"""
ACTOR = {"x_evenkeel_actor": "ann"}


def config(a: ScriptedUpstream, b: ScriptedUpstream) -> str:
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    """


@pytest.mark.parametrize("place", [{"target": "a/m"}, {"provider": "a"}, {}])
async def test_a_reset_skips_rest_and_hold_and_is_on_record(
    tmp_path: Path, place: dict[str, str]
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(openai_error(429, "rate_limit_exceeded", headers={"retry-after": "3600"}))
        async with gateway(tmp_path, config(a, b)) as g:
            for _ in range(3):
                assert (await g.client.chat()).provider == "b"
            assert len(a.hits) == 1
            body = {**place, "note": "repaired"}
            done = await g.client.post("/api/v1/cooldowns/reset", body, **ACTOR)
            assert done.status == 200
            assert (await g.client.chat()).provider == "a"
            rows = await g.client.all("cooldowns")
            assert [row["source"] for row in rows] == ["stated", "hold"]
            assert {row["ended"] for row in rows} == {"operator"}
            acts = await g.client.all("events", kind="operator_acted,cooldown_ended")
            assert [act["kind"] for act in acts] == ["operator_acted"] + 2 * ["cooldown_ended"]
            assert {(act["actor"], act["note"]) for act in acts} == {("ann", "repaired")}
            assert [row["kind"] for row in await g.client.all("switches")] == ["forced", "operator"]


async def test_a_pin_holds_for_its_time_and_the_route_returns_by_itself(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b)) as g,
    ):
        loop = asyncio.get_running_loop()
        assert (await g.client.chat()).provider == "a"
        body = {"target": "b/m", "expires_seconds": PIN_SECONDS, "note": "try b"}
        began = loop.time()
        assert (await g.client.post("/api/v1/routes/coder/pin", body, **ACTOR)).status == 200
        while loop.time() < began + PIN_SECONDS - 0.2:
            assert (await g.client.chat()).provider == "b"
        assert len(a.hits) == 1
        await asyncio.sleep(began + PIN_SECONDS + 0.1 - loop.time())
        for _ in range(3):
            assert (await g.client.chat()).provider == "a"
        switches = await g.client.all("switches")
        assert [(row["kind"], row["from"], row["to"]) for row in switches] == [
            ("operator", "a/m", "b/m"),
            ("operator", "b/m", "a/m"),
        ]
        assert switches[1]["reason"] == "pin_expired"


async def test_a_pinned_target_that_fails_is_stood_in_for(tmp_path: Path) -> None:
    """A pin is a wish, like every other choice: it never fails a request."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        b.default = Answer(status=500, json={})
        async with gateway(tmp_path, config(a, b)) as g:
            await g.client.post("/api/v1/routes/coder/pin", {"target": "b/m"})
            assert {(await g.client.chat()).provider for _ in range(4)} == {"a"}
            await g.client.post("/api/v1/routes/coder/unpin", {})
            assert (await g.client.chat()).provider == "a"


async def test_a_rest_and_a_drain_by_hand_end_by_themselves(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        for act in ("rest", "drain"):
            folder = tmp_path / act
            folder.mkdir()
            text = config(a, b) + QUICK_RETURN
            async with gateway(folder, text) as g, asyncio.TaskGroup() as group:
                slow = asyncio.Event()
                a.hits.clear()
                a.plan(Answer(before_content=slow))
                under_way = group.create_task(g.client.chat())
                await a.until_hits(1)
                body = {"expires_seconds": 0.8, "note": "repairs"}
                path = f"/api/v1/targets/a/m/{act}"
                assert (await g.client.post(path, body, **ACTOR)).status == 200
                for _ in range(5):
                    assert (await g.client.chat()).provider == "b"
                assert len(a.hits) == 1
                slow.set()
                assert (await under_way).provider == "a"
                await g.client.until_served_by("a")
                [told] = await g.client.all("events", kind="operator_acted")
                assert told["actor"] == "ann"


async def test_a_return_that_was_paused_waits_for_the_operator(tmp_path: Path) -> None:
    """Pausing the automatic return is the route's `return: manual`."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(status=500, json={}))
        text = config(a, b).replace("targets: [a/m, b/m]", "targets: [a/m, b/m], return: manual")
        async with gateway(tmp_path, text + QUICK_RETURN) as g:
            await g.client.chat()
            await asyncio.sleep(0.5)
            for _ in range(5):
                assert (await g.client.chat()).provider == "b"
            assert len(a.hits) == 1
            await g.client.post("/api/v1/cooldowns/reset", {"target": "a/m"})
            assert (await g.client.chat()).provider == "a"
