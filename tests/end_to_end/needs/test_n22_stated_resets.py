"""N22: a reset that the provider states is believed, in every form it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from email.utils import format_datetime
from math import ceil
from pathlib import Path
from typing import Any

from gateway.clock import SystemClock
from gateway.units import MICROS, Timestamp
from tests.end_to_end.gateways import Client, gateway
from tests.upstream import Answer, ScriptedUpstream

STATED_SECONDS = 3.0
QUIET_SECONDS = 2.9
LATEST_SECONDS = 6.5
"""A date has whole seconds and is rounded up here; a tenth and at most 2 s of jitter come on top."""


def epoch_seconds() -> float:
    return SystemClock().now().timestamp / MICROS


def limited(headers: dict[str, str] | None = None, **error: Any) -> Answer:
    told = {"message": "Too many requests.", "type": "requests", "code": "rate_limited", **error}
    return Answer(status=429, headers=headers or {}, json={"error": told})


def date_in(seconds: float) -> str:
    from datetime import UTC, datetime

    return format_datetime(
        datetime.fromtimestamp(ceil(epoch_seconds() + seconds), UTC), usegmt=True
    )


FORMS: dict[str, Callable[[], Answer]] = {
    "seconds": lambda: limited({"retry-after": "3"}),
    "date": lambda: limited({"retry-after": date_in(STATED_SECONDS)}),
    "epoch-seconds": lambda: limited({"x-ratelimit-reset": f"{ceil(epoch_seconds() + 3)}"}),
    "epoch-milliseconds": lambda: limited(
        {"x-ratelimit-reset": f"{round((epoch_seconds() + 3) * 1000)}"}
    ),
    "retry-delay": lambda: limited(
        details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.2s"}]
    ),
    "resets-in-seconds": lambda: limited(resets_in_seconds=3),
}


async def test_nothing_is_sent_before_the_stated_reset_and_something_after_it(
    tmp_path: Path,
) -> None:
    """All forms at once, each with a provider and a route of its own."""
    async with AsyncExitStack() as stack:
        b = await stack.enter_async_context(ScriptedUpstream())
        limited_ones = {name: await stack.enter_async_context(ScriptedUpstream()) for name in FORMS}
        providers = "".join(
            f"""
          {name}:
            dialect: openai
            base_url: {upstream.openai_url}
            credentials: [{{name: one, key: k-{name}}}]"""
            for name, upstream in {**limited_ones, "b": b}.items()
        )
        routes = "".join(
            f"""
          - {{name: r-{name}, targets: [{name}/m, b/m]}}"""
            for name in FORMS
        )
        text = f"""
        providers:{providers}
        routes:{routes}
        stability: {{wait_base_seconds: 0}}
        """
        g = await stack.enter_async_context(gateway(tmp_path, text))
        for name, answer in FORMS.items():
            limited_ones[name].plan(answer())
        await asyncio.gather(*(keeps_away(g.client, name, limited_ones[name]) for name in FORMS))


async def keeps_away(client: Client, name: str, upstream: ScriptedUpstream) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while len(upstream.hits) < 2:
        now = loop.time()
        assert now - began < LATEST_SECONDS, f"{name}: not asked again"
        got = await client.chat(f"r-{name}")
        assert got.status == 200
        await asyncio.sleep(0.05)
    first, second = (hit.at for hit in upstream.hits)
    assert second - first >= QUIET_SECONDS, name
    [row] = await client.all("cooldowns", provider=name)
    assert (row["source"], row["scope"]) == ("stated", "credential_model"), name
    assert row["duration_seconds"] >= QUIET_SECONDS, name


async def test_the_later_of_two_stated_resets_stands(tmp_path: Path) -> None:
    """Two requests are under way; the slower one brings the longer rest, and the short one that
    was first neither stands nor is added to it."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        slow = asyncio.Event()
        ten = {"retry-after": "10"}
        a.plan(
            Answer(status=429, headers=ten, json={"error": {}}, before_headers=slow),
            limited({"retry-after": "1"}),
        )
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        """
        async with gateway(tmp_path, text) as g, asyncio.TaskGroup() as group:
            slower = group.create_task(g.client.chat())
            await a.until_hits(1)
            assert (await g.client.chat()).provider == "b"
            assert 0.5 < await rest_left(g.client) <= 1.2
            slow.set()
            assert (await slower).provider == "b"
            assert 9.5 < await rest_left(g.client) <= 11.0
            [row] = await g.client.all("cooldowns")
            assert (row["source"], row["ended"]) == ("stated", None)
            assert len(await g.client.all("events", kind="cooldown_extended")) == 1


async def test_a_shorter_reset_that_comes_late_cuts_nothing_short(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        slow = asyncio.Event()
        a.plan(
            Answer(
                status=429, headers={"retry-after": "1"}, json={"error": {}}, before_headers=slow
            ),
            limited({"retry-after": "30"}),
        )
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        """
        async with gateway(tmp_path, text) as g, asyncio.TaskGroup() as group:
            slower = group.create_task(g.client.chat())
            await a.until_hits(1)
            await g.client.chat()
            slow.set()
            await slower
            assert await rest_left(g.client) > 29.0


async def test_a_reset_of_zero_or_less_is_a_short_rest_and_a_missing_one_a_guess(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        keys = ["zero", "past", "none"]
        credentials = ", ".join(f"{{name: {key}, key: k-{key}}}" for key in keys)
        a.plan(limited({"retry-after": "0"}), key="k-zero")
        a.plan(limited({"retry-after": "-5"}), key="k-past")
        a.plan(limited(), key="k-none")
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{credentials}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m]}}
        stability: {{guard_credentials: 10}}
        """
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat()).provider == "b"
            rows = {row["credential"]: row for row in await g.client.all("cooldowns")}
            assert set(rows) == set(keys)
            for key in ("zero", "past"):
                assert rows[key]["source"] == "stated"
                assert 0.5 <= rows[key]["duration_seconds"] <= 1.2
            assert rows["none"]["source"] == "ladder"
            assert rows["none"]["duration_seconds"] >= 15.0


async def rest_left(client: Client) -> float:
    """Of the one rest there is, as the status shows it."""
    [rest] = (await client.api("status"))["cooldowns"]
    now: Timestamp = SystemClock().now().timestamp
    return float(rest["until"] - now) / MICROS
