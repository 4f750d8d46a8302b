"""The offline checker over the history of a real gateway: sockets, real time, SQLite."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway import config_file
from gateway.config import Config
from tests.end_to_end.gateways import gateway, openai, settings_of, write
from tests.simulation.checker import check_stamped, from_items
from tests.simulation.timeline import REAL_MARGIN
from tests.upstream import Answer, ScriptedUpstream

REQUESTS, SECONDS = 150, 5.0
SESSIONS = ("", "", "one", "two")
DOWN = Answer(status=503, json={"error": {"message": "The server is overloaded."}})
LIMITED = Answer(
    status=429, headers={"retry-after": "1"}, json={"error": {"message": "Too many requests."}}
)
STABILITY: dict[str, Any] = {
    "breaker_base_seconds": 0.3,
    "breaker_cap_seconds": 1.0,
    "cooldown_min_seconds": 0.4,
    "probe_gap_seconds": 0.1,
    "return_good_answers": 2,
    "return_good_seconds": 0.1,
    "return_good_max_seconds": 0.2,
    "moves_burst": 20,
    "half_life_seconds": 5.0,
    "suppress_max_seconds": 20.0,
    "wait_base_seconds": 0.2,
}


async def test_every_decision_of_a_real_gateway_is_explained_by_its_history(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(*[*[Answer()] * 15, *[DOWN] * 4, LIMITED] * 10)
        b.plan(*[*[Answer()] * 30, LIMITED] * 10)
        settings = settings_of(
            {"a": openai(a, "k1", "k2"), "b": openai(b, "k1", "k2")},
            {"coder": ["a/model", "b/model"]},
            stability=STABILITY,
        )
        async with gateway(tmp_path, settings) as g:

            async def one(n: int) -> int:
                await asyncio.sleep(n * SECONDS / REQUESTS)
                session = SESSIONS[n % len(SESSIONS)]
                headers = {"x_session_id": session} if session else {}
                return (await g.client.chat(stream=n % 3 > 0, **headers)).status

            await asyncio.gather(*(one(n) for n in range(REQUESTS)))
            await g.settled()
            items = await g.client.all("events")
    config = read(write(tmp_path, settings))
    log = from_items(items)
    kinds = {each.event.kind for each in log}
    assert {"switched", "cooldown_started", "candidate_skipped", "attempt_finished"} <= kinds
    assert check_stamped(config, log, margin=REAL_MARGIN) == []


def read(path: Path) -> Config:
    return config_file.load(path, environ={}, cwd=path.parent).config
