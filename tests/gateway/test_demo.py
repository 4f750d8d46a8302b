"""The demo: its configuration holds what it promises, and its traffic survives everything."""

from __future__ import annotations

import asyncio
import itertools
from importlib.resources import files
from random import Random

import pytest

from gateway import config_file
from gateway.config import Config, Dialect
from gateway.demo import SESSIONS, Odd, Session, Traffic, advance, body, headers
from gateway.events import Failure
from gateway.upstream.simulated import spell_at
from gateway.wire.base import ClientError
from gateway.wire.body import read_fields
from tests.fakes import FakeClock
from tests.upstream import Answer, ScriptedUpstream, openai_error

FIRST_LOOK_SECONDS = 120


def demo_config() -> Config:
    text = files("gateway").joinpath("demo.yaml").read_text("utf-8")
    return config_file.parse(text, environ={})


def session(*, anthropic: bool = False, agent: bool = False) -> Session:
    return Session(
        name="demo-1",
        model="coder",
        anthropic=anthropic,
        stream=True,
        agent=agent,
        turns_left=9,
    )


async def run_until(
    traffic: Traffic, clock: FakeClock, upstream: ScriptedUpstream, n: int, *, linger: float = 0.0
) -> None:
    async def some() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(traffic.run())
            await upstream.until_hits(n)
            await clock.sleep(linger)
            running.cancel()

    await clock.drive(some())


def traffic(url: str, clock: FakeClock, key: str = "") -> Traffic:
    models = ["coder", "chat"]
    return Traffic(base_url=url, models=models, rng=Random(1), clock=clock, client_key=key)


def test_the_demo_needs_no_network_and_no_environment() -> None:
    config = demo_config()
    assert {p.dialect for p in config.providers.values()} == {Dialect.SIMULATED}
    assert config.server.host == "127.0.0.1"
    assert all(len(route.targets) >= 2 for route in config.routes)
    assert all(len(provider.credentials) >= 2 for provider in config.providers.values())


def test_within_two_minutes_the_weather_has_shown_every_kind_of_trouble() -> None:
    seen = {
        spell.failure
        for provider in demo_config().providers.values()
        for age in range(FIRST_LOOK_SECONDS)
        if (spell := spell_at(provider.simulated.weather, age)) is not None
    }
    assert seen >= {
        None,
        Failure.STREAM_BROKEN,
        Failure.SERVER_ERROR,
        Failure.OVERLOADED,
        Failure.QUOTA_EXHAUSTED,
        Failure.BAD_SUCCESS,
        Failure.CONNECT,
        Failure.RESET_BEFORE_CONTENT,
        Failure.FIRST_CONTENT_TIMEOUT,
        Failure.RATE_LIMITED,
    }


def test_every_weather_clears_up_within_a_minute() -> None:
    """So that a newcomer sees each target come back."""
    for provider in demo_config().providers.values():
        ages = range(FIRST_LOOK_SECONDS * 2)
        spells = [spell_at(provider.simulated.weather, age) for age in ages]
        fair = [age for age in ages if (s := spells[age]) is None or s.failure is None]
        gaps = [later - earlier for earlier, later in itertools.pairwise(fair)]
        assert max(gaps) < 60


async def test_the_traffic_speaks_both_dialects_with_and_without_streams(
    clock: FakeClock, upstream: ScriptedUpstream
) -> None:
    made = traffic(upstream.url, clock, key="door")
    await run_until(made, clock, upstream, 120)
    assert {hit.path for hit in upstream.hits} == {"/v1/chat/completions", "/v1/messages"}
    assert upstream.hits_by_key() == {"door": len(upstream.hits)}
    sound = [hit for hit in upstream.hits if hit.body.endswith(b"}")]
    assert {hit.json["stream"] for hit in sound} == {True, False}
    assert {hit.json["model"] for hit in sound} >= {"coder", "chat"}
    assert any("tools" in hit.json for hit in sound)
    assert all((hit.header("x-session-id") or "").startswith("demo-") for hit in upstream.hits)
    assert made.statuses[200] > 80


async def test_a_session_keeps_its_name_and_its_history_grows(
    clock: FakeClock, upstream: ScriptedUpstream
) -> None:
    await run_until(traffic(upstream.url, clock), clock, upstream, 60)
    lengths: dict[str, list[int]] = {}
    for hit in upstream.hits:
        lengths.setdefault(hit.header("x-session-id") or "", []).append(len(hit.body))
    assert len(lengths) >= SESSIONS
    assert max(len(each) for each in lengths.values()) >= 4
    assert all(each[-1] > each[0] for each in lengths.values() if len(each) > 4)


async def test_no_answer_ends_the_traffic(clock: FakeClock, upstream: ScriptedUpstream) -> None:
    upstream.plan(
        Answer(reset=True),
        openai_error(503, "exhausted"),
        Answer(cut_after=1),
        Answer(status=302, headers={"location": "/x"}, body=b""),
        *(Answer(reset=True) for _ in range(SESSIONS * 2)),
    )
    made = traffic(upstream.url, clock)
    await run_until(made, clock, upstream, 60)
    assert made.statuses[0] >= SESSIONS * 2
    assert made.statuses[503] == made.statuses[302] == 1
    assert made.statuses[200] >= 10


async def test_no_more_requests_are_under_way_than_there_are_clients(
    clock: FakeClock, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(hang=True)
    await run_until(traffic(upstream.url, clock), clock, upstream, SESSIONS, linger=600.0)
    assert len(upstream.hits) == SESSIONS


def test_mistakes_are_the_mistakes_they_are_meant_to_be() -> None:
    made = session()
    advance(made, Random(1))
    assert read_fields(body(made, None)).model == "coder"
    assert read_fields(body(made, Odd.UNKNOWN_MODEL)).model == "keel-gigantic"
    assert b'"messages": []' in body(made, Odd.NO_MESSAGES)
    with pytest.raises(ClientError, match="not JSON"):
        read_fields(body(made, Odd.NO_JSON))


def test_an_agent_brings_a_tools_result_every_second_turn_in_its_dialect() -> None:
    for anthropic, role in ((False, "tool"), (True, "user")):
        made = session(anthropic=anthropic, agent=True)
        for _ in range(4):
            advance(made, Random(1))
        last = made.messages[-1]
        assert last["role"] == role
        assert (last["content"][0]["type"] == "tool_result") if anthropic else last["tool_call_id"]
        assert made.turns_left == 5


def test_without_a_key_no_credential_is_sent() -> None:
    for anthropic in (False, True):
        names = set(headers(session(anthropic=anthropic), ""))
        assert not names & {"authorization", "x-api-key"}
