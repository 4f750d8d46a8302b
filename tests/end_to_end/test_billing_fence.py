"""No money surprises: a request falls into a dearer billing class only where its route says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import gateway, settings_of
from tests.end_to_end.gateways import openai as at
from tests.upstream import ScriptedUpstream, openai_error

GONE = openai_error(429, "insufficient_quota")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", ["free", "flat"])
async def test_a_plan_that_is_used_up_costs_nothing_where_the_route_forbids_it(
    tmp_path: Path, first: str, *, stream: bool
) -> None:
    async with ScriptedUpstream() as cheap, ScriptedUpstream() as dear:
        providers = {"plan": at(cheap, billing=first), "paid": at(dear, billing="metered")}
        made = settings_of(providers)
        targets = ["plan/model-a", "paid/model-a"]
        made["routes"] = [{"name": "coder", "targets": targets, "allow_metered_fallback": False}]
        cheap.default = GONE
        async with gateway(tmp_path, made) as g:
            first_got = await g.client.chat(stream=stream)
            second = await g.client.chat(stream=stream)  # Now the plan's key rests.
            for got in (first_got, second):
                assert got.status == 429
                assert got.headers["x-should-retry"] == "false"
                told = {each["target"]: each["reason"] for each in got.json["error"]["targets"]}
                assert told == {"plan/model-a": "quota_exhausted", "paid/model-a": "billing_class"}
            assert dear.hits == []
            await g.settled()
            candidates: list[Any] = (await g.client.story(first_got))["candidates"]
            skipped = [(each["provider"], each["outcome"], each["reason"]) for each in candidates]
            assert ("paid", "skipped", "billing_class") in skipped
            assert (await g.client.metrics()).total("evenkeel_attempts_total", provider="paid") == 0


async def test_the_route_may_allow_it_and_a_cheaper_class_needs_no_leave(tmp_path: Path) -> None:
    async with ScriptedUpstream() as first, ScriptedUpstream() as second:
        providers = {
            "plan": at(first, billing="flat"),
            "paid": at(second, billing="metered"),
            "gift": at(second, billing="free"),
        }
        made = settings_of(providers)
        made["routes"] = [
            {"name": "may", "targets": ["plan/m", "paid/m"], "allow_metered_fallback": True},
            {"name": "down", "targets": ["plan/m", "gift/m"], "allow_metered_fallback": False},
        ]
        first.default = GONE
        async with gateway(tmp_path, made) as g:
            for model, provider in (("may", "paid"), ("down", "gift")):
                got = await g.client.chat(model)
                assert (got.status, got.provider) == (200, provider)


async def test_a_route_that_begins_with_a_metered_target_has_no_fence(tmp_path: Path) -> None:
    async with ScriptedUpstream() as first, ScriptedUpstream() as second:
        made = settings_of({"paid": at(first), "other": at(second)})
        targets = ["paid/m", "other/m"]
        made["routes"] = [{"name": "coder", "targets": targets, "allow_metered_fallback": False}]
        first.default = GONE
        async with gateway(tmp_path, made) as g:
            assert (await g.client.chat()).provider == "other"
