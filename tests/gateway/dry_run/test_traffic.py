"""Clients keep to what their traffic says: their number, their pace, their sessions."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gateway.config import Dialect
from gateway.dry_run import virtual_time
from gateway.dry_run.scenario import Traffic
from gateway.dry_run.traffic import Clients, Gateway
from gateway.dry_run.virtual_time import VirtualClock
from gateway.events import Event, RequestFinished
from gateway.relay.loop import Relay
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import Instant, Moment
from gateway.upstream.simulated import SimulatedUpstream
from tests.gateway.dry_run.building import script

HOUR = 3600.0


def requests(traffic: Traffic, *, seconds: float = HOUR, seed: int = 1) -> list[RequestFinished]:
    """All requests of that traffic, in fair weather."""
    return virtual_time.run(lambda: _requests(traffic, seconds, seed))


async def _requests(traffic: Traffic, seconds: float, seed: int) -> list[RequestFinished]:
    clock, found = VirtualClock(), list[RequestFinished]()
    fair = script(("failure: server_error", "tokens_per_second: 90"))
    pool = Pool(fair.config, rng=Random(1), now=clock.now(), speaks=lambda _provider, _client: True)

    def emit(events: list[Event]) -> None:
        found.extend(each for each in events if isinstance(each, RequestFinished))

    def route(_: str, now: Moment) -> RouteState:
        named = pool.route("coder", now)
        assert named is not None
        return named

    upstream = SimulatedUpstream(clock=clock, rng=Random(1))
    relay = Relay(
        pool=pool,
        upstreams={Dialect.SIMULATED: upstream},
        emit=lambda events: emit(list(events)),
        clock=clock,
        rng=Random(1),
    )
    until = Instant(clock.now().instant + seconds)
    gateway = Gateway(relay=relay, route=route, clock=clock, until=until)
    async with asyncio.TaskGroup() as group:
        Clients(traffic, gateway, name="a", seed=seed).begin(group)
    return found


def test_each_agent_takes_its_turns_at_its_pace() -> None:
    found = requests(Traffic(sessions=5, turn_seconds=20))
    assert {each.session for each in found} == {"a1", "a2", "a3", "a4", "a5"}
    assert len(found) == pytest.approx(5 * HOUR / 20, rel=0.1)


def test_a_prompt_grows_until_it_is_compacted() -> None:
    traffic = Traffic(sessions=1, first_tokens=1000, growth_tokens=500, most_tokens=2000)
    sizes = [each.bytes_received // 4 for each in requests(traffic)][:7]
    assert sizes == [1000, 1500, 2000, 1000, 1500, 2000, 1000]


def test_a_session_ends_after_its_turns_and_another_begins() -> None:
    names = [each.session for each in requests(Traffic(sessions=1, turns=3))][:7]
    assert names == ["a1", "a1", "a1", "a1-2", "a1-2", "a1-2", "a1-3"]


def test_a_long_prompt_is_found_in_the_providers_cache_by_its_next_turn() -> None:
    first, second = requests(Traffic(sessions=1, turn_seconds=5, stream_share=0))[:2]
    assert first.usage is not None
    assert second.usage is not None
    assert first.usage.cached_tokens in (0, None)
    assert second.usage.cached_tokens == first.usage.input_tokens == 8000


def test_requests_of_nobody_come_at_their_rate_and_have_no_session() -> None:
    found = requests(Traffic(requests_per_minute=30))
    assert len(found) == pytest.approx(30 * 60, rel=0.1)
    assert {each.session for each in found} == {""}


def test_the_share_of_streams_is_kept() -> None:
    found = requests(Traffic(sessions=5, stream_share=0.25))
    share = sum(each.stream for each in found) / len(found)
    assert share == pytest.approx(0.25, abs=0.06)


def test_nobody_begins_anything_after_the_end() -> None:
    found = requests(Traffic(sessions=3, requests_per_minute=20), seconds=100)
    began = min(each.started for each in found)
    assert max(each.started for each in found) - began <= 100 * 1_000_000
