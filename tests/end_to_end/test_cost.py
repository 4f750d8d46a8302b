"""What was used and what it cost, from the provider's answer to rows and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    asked,
    eventually,
    gateway,
    settings_of,
)
from tests.end_to_end.gateways import anthropic as anthropic_at
from tests.end_to_end.gateways import openai as openai_at
from tests.upstream import Answer, ScriptedUpstream, openai_error

PRICES = {"model-*": {"input_per_million": 100, "output_per_million": 1000}}
USD = 11 * 100e-6 + 7 * 1000e-6
"""Of the scripted upstream's usual answer: 11 tokens in, 7 out."""
SPENT = ("input_tokens", "output_tokens", "cost_usd")


def spent(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in SPENT)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("make", "path"), [(openai_at, OPENAI_PATH), (anthropic_at, ANTHROPIC_PATH)]
)
async def test_the_cost_is_booked_to_who_served(
    tmp_path: Path, make: Any, path: str, *, stream: bool
) -> None:
    async with ScriptedUpstream() as upstream:
        cheap = make(upstream, "key-1", prices={"*": {"input_per_million": 0}})
        dear = make(upstream, "key-2", prices=PRICES)
        made = settings_of({"a": cheap, "b": dear}, {"coder": ["a/model-a", "b/model-b"]})
        upstream.plan(openai_error(401, "invalid_api_key"), key="sk-key-1")
        async with gateway(tmp_path, made) as g:
            body = asked(path, "coder", stream=stream)
            if stream and path == OPENAI_PATH:  # Else a chat's stream tells no usage.
                body["stream_options"] = {"include_usage": True}
            got = await g.client.post(path, body)
            assert got.status == 200
            assert got.provider == "b"
            await g.settled()
            story = await g.client.story(got)
            failed, good = story["candidates"]
            assert spent(failed) == (None, None, None)
            assert spent(good) == (11, 7, pytest.approx(USD))
            assert spent(story["request"]) == spent(good)
            series = await g.client.metrics()
            assert series.by("evenkeel_cost_usd_total", "provider") == {("b",): pytest.approx(USD)}
            assert series.total("evenkeel_tokens_total", provider="b") == 18


async def test_list_prices_are_those_of_the_vendor_and_others_are_not_known(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as upstream:
        providers = {
            "work": openai_at(upstream, vendor="openai"),
            "nobody": openai_at(upstream),
            "plan": openai_at(upstream, vendor="openai", billing="flat"),
        }
        async with gateway(tmp_path, settings_of(providers)) as g:

            async def cost(model: str) -> Any:
                upstream.default = Answer(model=model.partition("/")[2])
                got = await g.client.chat(model)
                assert got.status == 200, got.body
                await g.settled()
                return (await g.client.story(got))["request"]["cost_usd"]

            async def known() -> bool:
                return await cost("work/gpt-4o") is not None

            await eventually(known)  # The table is read in the background.
            assert await cost("work/gpt-4o") == pytest.approx(11 * 2.5e-6 + 7 * 10e-6)
            assert await cost("work/gpt-of-nobody") is None
            assert await cost("nobody/gpt-4o") is None
            assert await cost("plan/gpt-4o") == 0


async def test_an_answer_that_nothing_knows_is_shown_in_the_history(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"a": openai_at(upstream, "key-1")}, {"coder": ["a/model-a"]})
        odd = {"oops": {"flux": "too low", "who": "jane@example.com", "sent": "sk-key-1"}}
        upstream.plan(Answer(status=418, json=odd))
        async with gateway(tmp_path, made) as g:
            got = await g.client.chat()
            assert got.status == 503
            await g.settled()
            (attempt,) = (await g.client.story(got))["candidates"]
            assert attempt["failure"] == "unknown"
            assert "too low" in attempt["excerpt"]
            for secret in ("jane@", "sk-key-1"):
                assert secret not in attempt["excerpt"]
            series = await g.client.metrics()
            assert series.total("evenkeel_attempts_total", failure="unknown") == 1
