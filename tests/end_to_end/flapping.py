"""A gateway in such weather that within a minute everything happens that boards show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.end_to_end.gateways import OPENAI_PATH, Client, Settings, openai
from tests.upstream import Answer, ScriptedUpstream

CLIENTS = 8
PAUSE_SECONDS = 0.5
PRICE = {"input_per_million": 3.0, "output_per_million": 15.0, "cached_per_million": 0.3}
LIMITS = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "420"}
"""What a provider says of what is left."""
QUICK = {
    "rate_limited_base_seconds": 0.5,
    "rate_limited_cap_seconds": 2,
    "quota_exhausted_base_seconds": 1,
    "quota_exhausted_cap_seconds": 3,
    "auth_base_seconds": 20,
    "auth_cap_seconds": 60,
    "ladder_decay_seconds": 3,
    "breaker_failures": 2,
    "breaker_base_seconds": 0.5,
    "breaker_cap_seconds": 1,
    "breaker_window_seconds": 5,
    "long_unavailable_seconds": 0.5,
    "cooldown_min_seconds": 0.6,
    "cooldown_multiplier": 1,
    "half_life_seconds": 8,
    "suppress_max_seconds": 30,
    "probe_gap_seconds": 0.1,
    "probe_gap_max_seconds": 0.5,
    "probe_starvation_seconds": 1,
    "return_good_answers": 2,
    "return_good_seconds": 0.3,
    "return_good_max_seconds": 1,
    "moves_burst": 100,
    "moves_refill_seconds": 0.5,
    "ramp_step_seconds": 0.2,
    "session_idle_seconds": 3,
    "session_pin_seconds": 2,
    "session_stable_seconds": 0.5,
    "session_stagger_seconds": 0.2,
    "wait_max_seconds": 1,
    "wait_base_seconds": 0.2,
    "deadline_seconds": 8,
}
"""Everything that takes minutes or hours in life."""


def settings(limited: ScriptedUpstream, collector: str) -> Settings:
    def simulated(*keys: str, models: list[str], script: Settings, **more: Any) -> Settings:
        return {
            "dialect": "simulated",
            "credentials": [{"name": key, "key": f"sk-{key}"} for key in keys],
            "models": {"list": models},
            "timeouts": {"headers_seconds": 2, "first_content_seconds": 2, "idle_seconds": 2},
            "prices": {"*": PRICE},
            "simulated": {"first_token_seconds": 0.05, "tokens_per_second": 400, **script},
            **more,
        }

    broken = [{"for_seconds": 2}, {"for_seconds": 1.5, "failure": "server_error"}]
    narrow = [
        {"for_seconds": 3},
        {"for_seconds": 2, "failure": "rate_limited", "retry_after_seconds": 1},
        {"for_seconds": 2, "failure": "quota_exhausted"},
    ]
    return {
        "server": {"host": "127.0.0.1"},
        "providers": {
            "broken": simulated("one", models=["large"], script={"seed": 1, "weather": broken}),
            "steady": simulated(
                "one",
                "two",
                "old",
                models=["large"],
                script={"dead_credentials": ["old"]},
                billing="flat",
                rotation="balanced",
            ),
            "narrow": simulated(
                "one",
                "two",
                models=["small", "tiny"],
                script={"seed": 3, "weather": narrow},
                quota_groups={"free": ["small", "tiny"]},
            ),
            "limited": openai(limited, "main", models={"list": ["small"]}, prices={"*": PRICE}),
        },
        "routes": [
            {"name": "coder", "targets": ["broken/large", "steady/large"]},
            {"name": "writer", "targets": ["narrow/small", "limited/small"]},
        ],
        "stability": QUICK,
        "telemetry": {"otlp_endpoint": collector},
    }


@asynccontextmanager
async def limited() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        upstream.default = Answer(headers=LIMITS)
        yield upstream


async def traffic(client: Client, seconds: float) -> None:
    """Agents with sessions whose prompts providers keep, for so long."""

    async def one(number: int) -> None:
        rng = Random(number)
        turn = 0
        while True:
            turn += 1
            session = f"agent-{number}-{turn // 20}"
            body = {
                "model": "coder" if number % 2 else "writer",
                "stream": bool(number % 3),
                "prompt_cache_key": session,
                "messages": [{"role": "user", "content": "Where is the keel? " * 200}],
            }
            await client.post(OPENAI_PATH, body, x_session_id=session)
            await asyncio.sleep(rng.uniform(0.5, 1.5) * PAUSE_SECONDS)

    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(one(number))
    except TimeoutError:
        pass
