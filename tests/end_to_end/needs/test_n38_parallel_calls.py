"""N38: caps on parallel calls, with a short fair queue before the spill. Times are a third."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.gateways import OPENAI_PATH, Client, Got, asked, gateway
from tests.upstream import Answer, ScriptedUpstream

CAP = 2
QUEUE = 2
QUEUE_SECONDS = 0.5
STREAM_SECONDS = 1.5
TOGETHER = 10
SLACK_SECONDS = 0.3
ABORTS = 100


def config(a: ScriptedUpstream, b: ScriptedUpstream, *, cap_of: str, wait: float) -> str:
    of_provider = f"max_in_flight: {CAP}, " if cap_of == "provider" else ""
    of_key = f", max_in_flight: {CAP}" if cap_of == "credential" else ""
    return f"""
    providers:
      a:
        {{dialect: openai, base_url: {a.openai_url}, {of_provider}
          credentials: [{{name: one, key: k-a{of_key}}}]}}
      b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    stability: {{queue_waiters: {QUEUE}, wait_base_seconds: {wait}}}
    """


async def timed(client: Client) -> tuple[Got, float]:
    """The answer, and when its content began after it was asked for."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    url, body = client.url + OPENAI_PATH, asked(OPENAI_PATH, "coder", stream=True)
    async with client.http.post(url, json=body) as response:
        first = loop.time() - began
        return Got(response.status, response.headers.copy(), await response.read()), first


@pytest.mark.parametrize("cap_of", ["provider", "credential"])
async def test_two_run_two_wait_and_six_spill_at_once(tmp_path: Path, cap_of: str) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(text=("x", "y"), between_chunks=STREAM_SECONDS)
        async with gateway(tmp_path, config(a, b, cap_of=cap_of, wait=QUEUE_SECONDS)) as g:
            found = await asyncio.gather(*(timed(g.client) for _ in range(TOGETHER)))
            assert a.in_flight_max == CAP
            assert {got.status for got, _ in found} == {200}
            by_a = [took for got, took in found if got.provider == "a"]
            by_b = sorted(took for got, took in found if got.provider == "b")
            assert (len(by_a), len(by_b)) == (CAP, TOGETHER - CAP)
            at_once, queued = by_b[:-QUEUE], by_b[-QUEUE:]
            assert max(at_once) < SLACK_SECONDS
            assert all(QUEUE_SECONDS <= each <= QUEUE_SECONDS + SLACK_SECONDS for each in queued)
            assert await g.client.all("cooldowns") == []
            assert await g.client.all("switches") == []


async def test_the_wait_in_the_queue_is_not_taken_for_slowness(tmp_path: Path) -> None:
    """Those who wait get the first free places, in the order they came, and blame nobody."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(text=("x", "y"), between_chunks=0.4)
        text = config(a, b, cap_of="provider", wait=5).replace(
            "credentials: [{name: one, key: k-a}]",
            "credentials: [{name: one, key: k-a}], timeouts: {first_content_seconds: 0.3}",
        )
        async with gateway(tmp_path, text) as g:
            first = [asyncio.ensure_future(timed(g.client)) for _ in range(CAP)]
            await a.until_hits(CAP)
            queued = []
            for _ in range(QUEUE):
                queued.append(asyncio.ensure_future(timed(g.client)))
                await asyncio.sleep(0.05)
            found = await asyncio.gather(*first, *queued)
            assert {got.provider for got, _ in found} == {"a"}
            assert a.in_flight_max == CAP
            waited = [took for _, took in found[CAP:]]
            assert min(waited) > 0.2
            assert await g.client.all("cooldowns") == []
            rows = await g.client.all("attempts", outcome="ok")
            assert max(row["first_content_seconds"] for row in rows) < 0.3


async def test_no_permit_leaks_when_a_hundred_clients_hang_up(tmp_path: Path) -> None:
    """Some while they wait in the queue, some before any content, some in the middle of it."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.default = Answer(before_content=0.03, between_chunks=5)
        b.default = Answer(before_content=0.03, between_chunks=5)
        async with gateway(tmp_path, config(a, b, cap_of="provider", wait=5)) as g:
            for _ in range(ABORTS // 10):
                await asyncio.gather(*(hang_up(g.client, 0.01 * n) for n in range(10)))
            await g.client.until("status", all_free)
            a.default = b.default = Answer()
            for _ in range(2 * CAP):
                assert (await g.client.chat()).provider == "a"
            assert g.context.pool.providers["a"].queue == {}
            assert len(g.context.pool.waiting) == 0
            assert await g.client.all("cooldowns") == []


async def hang_up(client: Client, seconds: float) -> None:
    """Goes away after so long, whatever has come by then."""
    async with aiohttp.ClientSession() as http:
        body = asked(OPENAI_PATH, "coder", stream=True)
        try:
            async with asyncio.timeout(seconds):
                async with http.post(client.url + OPENAI_PATH, json=body) as response:
                    await response.read()
        except TimeoutError:
            return


def all_free(status: Any) -> bool:
    return all(
        credential["in_flight"] == 0
        for provider in status["providers"]
        for credential in provider["credentials"]
    )
