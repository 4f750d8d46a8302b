"""The simulated provider played in virtual time, and judged as the relay would."""

from __future__ import annotations

import json
from random import Random

import pytest

from gateway.config import ErrorRule, Simulated, Timeouts, Weather
from gateway.events import Failure
from gateway.routing.classify import classify, classify_fault
from gateway.upstream.base import Outgoing, UpstreamFailure, chunks
from gateway.upstream.simulated import CACHE_SECONDS, SimulatedUpstream, spell_at
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from tests.fakes import FakeClock
from tests.gateway.upstream.sending import outgoing, read

WIRES: dict[str, Wire] = {"openai": OpenAIWire(), "anthropic": AnthropicWire()}
ANY = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
IDLE_SECONDS = 60.0

NO_RULES: tuple[ErrorRule, ...] = ()


def simulated(clock: FakeClock, seed: int = 1) -> SimulatedUpstream:
    return SimulatedUpstream(clock=clock, rng=Random(seed))


def call(
    script: Simulated | None = None,
    *,
    dialect: str = "openai",
    stream: bool = False,
    credential: str = "one",
    provider: str = "sunny",
    timeouts: Timeouts | None = None,
) -> Outgoing:
    return outgoing(
        dialect=dialect,
        body=ANY | ({"stream": True} if stream else {}),
        stream=stream,
        credential=credential,
        simulated=script or Simulated(),
        provider=provider,
        timeouts=timeouts,
    )


async def outcome(upstream: SimulatedUpstream, clock: FakeClock, asked: Outgoing) -> Failure | None:
    """What becomes of one request, as the relay would see it; None is success."""
    try:
        reply = await upstream.send(asked)
    except UpstreamFailure as failure:
        return failure.failure
    judge = WIRES[asked.dialect].judge(stream=asked.stream)
    common = {"vendor": "", "dialect": asked.dialect, "rules": NO_RULES}
    body = b""
    try:
        last = clock.now().instant
        async for chunk in chunks(reply):
            silent = clock.now().instant - last
            assert silent < IDLE_SECONDS
            last = clock.now().instant
            body += chunk
            if reply.status == 200:
                judge.feed(chunk)
    except UpstreamFailure as failure:
        if clock.now().instant - last >= IDLE_SECONDS:
            begun = judge.content if asked.stream else bool(body)
            return Failure.IDLE_TIMEOUT if begun else Failure.FIRST_CONTENT_TIMEOUT
        return Failure.STREAM_BROKEN if judge.content else failure.failure
    headers = {name.lower(): value for name, value in reply.pairs()}
    now = clock.now().timestamp
    if reply.status != 200:
        return classify(
            status=reply.status,
            headers=headers,
            body=body,
            now=now,
            **common,  # type: ignore[arg-type]
        ).failure
    judge.end()
    if judge.fault is None:
        return None
    if judge.content and asked.stream:
        return Failure.STREAM_BROKEN
    return classify_fault(judge.fault, headers=headers, now=now, **common).failure  # type: ignore[arg-type]


def expected(failure: Failure, *, stream: bool) -> Failure:
    """A single answer that breaks has not begun, and whoever gives up calls silence a timeout."""
    if failure is Failure.STREAM_BROKEN and not stream:
        return Failure.RESET_BEFORE_CONTENT
    if failure in (Failure.CANCELLED, Failure.DEADLINE):
        return Failure.FIRST_CONTENT_TIMEOUT
    return failure


@pytest.mark.parametrize("stream", [False, True], ids=["single", "stream"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("failure", list(Failure))
async def test_every_failure_of_the_weather_is_seen_as_that_failure(
    clock: FakeClock, failure: Failure, dialect: str, *, stream: bool
) -> None:
    script = Simulated(weather=(Weather(failure=failure),))
    for seed in range(5):  # Some failures have several faces.
        upstream = simulated(clock, seed)
        asked = call(script, dialect=dialect, stream=stream)
        seen = await clock.drive(outcome(upstream, clock, asked))
        assert seen is expected(failure, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["single", "stream"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_in_fair_weather_everything_is_answered(
    clock: FakeClock, dialect: str, *, stream: bool
) -> None:
    upstream = simulated(clock)
    for _ in range(20):
        asked = call(dialect=dialect, stream=stream)
        assert await clock.drive(outcome(upstream, clock, asked)) is None
    assert upstream.hits("sunny") == upstream.hits("sunny", "one") == 20
    assert upstream.hits("elsewhere") == 0


def test_spells_follow_each_other_and_begin_again() -> None:
    fair, foul = Weather(for_seconds=10), Weather(for_seconds=5, failure=Failure.OVERLOADED)
    reigning = [spell_at((fair, foul), age) for age in (0, 9.9, 10, 14.9, 15, 24, 26)]
    assert reigning == [fair, fair, foul, foul, fair, fair, foul]
    for_ever = Weather(failure=Failure.AUTH)
    assert [spell_at((fair, for_ever, foul), age) for age in (9, 10, 1e9)] == [
        fair,
        for_ever,
        for_ever,
    ]
    assert spell_at((), 5) is None


async def test_the_weather_goes_by_the_clock_since_the_provider_was_made(clock: FakeClock) -> None:
    fair = Weather(for_seconds=100)
    foul = Weather(for_seconds=100, failure=Failure.SERVER_ERROR)
    upstream = simulated(clock)
    seen = []
    for _ in range(4):
        asked = call(Simulated(weather=(fair, foul), first_token_seconds=0, answer_tokens=1))
        seen.append(await clock.drive(outcome(upstream, clock, asked)))
        await clock.advance(90)
    assert seen == [None, None, Failure.SERVER_ERROR, None]


async def test_every_second_request_fails_where_the_weather_alternates(clock: FakeClock) -> None:
    upstream = simulated(clock)
    script = Simulated(weather=(Weather(failure=Failure.OVERLOADED, every=2),))
    seen = [await clock.drive(outcome(upstream, clock, call(script))) for _ in range(6)]
    assert seen == [None, Failure.OVERLOADED] * 3


async def test_a_probability_strikes_about_that_often_and_the_same_for_the_same_seed(
    clock: FakeClock,
) -> None:
    script = Simulated(weather=(Weather(failure=Failure.AUTH, probability=0.3),))

    async def struck() -> list[Failure | None]:
        upstream = simulated(clock, 7)
        return [await outcome(upstream, clock, call(script)) for _ in range(200)]

    first = await clock.drive(struck())
    assert 40 <= first.count(Failure.AUTH) <= 80
    assert await clock.drive(struck()) == first


async def test_a_credential_over_its_limit_is_told_when_it_may_come_back(clock: FakeClock) -> None:
    upstream = simulated(clock)
    script = Simulated(requests_per_minute=6, answer_tokens=1, first_token_seconds=0)
    quick = Simulated(requests_per_minute=6, tokens_per_second=0, first_token_seconds=0)
    for _ in range(6):
        assert (await clock.drive(upstream.send(call(quick)))).status == 200
    refused = await clock.drive(upstream.send(call(quick)))
    assert refused.status == 429
    wait = float(refused.headers["retry-after"])
    assert wait == 10
    assert (await clock.drive(upstream.send(call(quick, credential="two")))).status == 200
    await clock.advance(wait)
    assert (await clock.drive(upstream.send(call(script)))).status == 200
    assert upstream.hits("sunny", "one") == 8


async def test_a_dead_credential_is_refused_in_any_weather(clock: FakeClock) -> None:
    upstream = simulated(clock)
    script = Simulated(dead_credentials=("old",))
    dead = await clock.drive(upstream.send(call(script, credential="old")))
    assert dead.status == 401
    assert (await clock.drive(upstream.send(call(script, credential="new")))).status == 200


async def test_providers_do_not_share_their_state(clock: FakeClock) -> None:
    upstream = simulated(clock)
    script = Simulated(requests_per_minute=1, tokens_per_second=0, first_token_seconds=0)
    for provider in ("sunny", "stormy"):
        reply = await clock.drive(upstream.send(call(script, provider=provider)))
        assert reply.status == 200
    assert (upstream.hits("sunny"), upstream.hits("stormy")) == (1, 1)


async def test_an_answer_slower_than_the_headers_clock_is_given_up_in_its_time(
    clock: FakeClock,
) -> None:
    upstream = simulated(clock)
    began = clock.now().instant
    slow = call(Simulated(first_token_seconds=50), timeouts=Timeouts(headers_seconds=20))
    assert await clock.drive(outcome(upstream, clock, slow)) is Failure.FIRST_CONTENT_TIMEOUT
    assert clock.now().instant - began == 20


async def test_a_stream_takes_the_time_its_pace_asks_for(clock: FakeClock) -> None:
    upstream = simulated(clock)
    began = clock.now().instant
    script = Simulated(first_token_seconds=2, tokens_per_second=10, answer_tokens=40)
    reply = await clock.drive(upstream.send(call(script, stream=True)))
    assert clock.now().instant == began
    tokens = (await clock.drive(read(reply))).count(b'"content":"') - 1
    assert clock.now().instant - began == pytest.approx(2 + (tokens - 1) / 10)


async def test_a_closed_answer_says_no_more(clock: FakeClock) -> None:
    reply = await clock.drive(simulated(clock).send(call(stream=True)))
    await reply.close()
    await reply.close()
    assert await clock.drive(read(reply)) == b""


# -- what dry runs ask and need --------------------------------------------------------------------


async def test_a_prompt_is_cached_for_the_credential_that_read_it(clock: FakeClock) -> None:
    upstream = simulated(clock)

    async def cached(credential: str, tokens: str = "9000") -> int:
        body = ANY | {"prompt_cache_key": "s1", "metadata": {"simulated_prompt_tokens": tokens}}
        asked = outgoing(
            dialect="openai", body=body, credential=credential, simulated=Simulated(), provider="p"
        )
        reply = await clock.drive(upstream.send(asked))
        text = b"".join([chunk async for chunk in chunks(reply)])
        usage = json.loads(text)["usage"]
        assert usage["prompt_tokens"] == int(tokens)
        return int(usage["prompt_tokens_details"]["cached_tokens"])

    assert await cached("one") == 0
    assert await cached("one", "9500") == 9000
    assert await cached("two") == 0
    assert await cached("one", "500") == 500
    await clock.advance(CACHE_SECONDS + 1)
    assert await cached("one") == 0


async def test_whether_a_credential_would_be_admitted_is_asked_without_asking_it(
    clock: FakeClock,
) -> None:
    upstream = simulated(clock)
    script = Simulated(requests_per_minute=1, dead_credentials=("two",), first_token_seconds=0)
    asked = call(script)
    assert upstream.admits(asked.provider, "one")
    assert upstream.admits(asked.provider, "one")
    assert not upstream.admits(asked.provider, "two")
    assert await clock.drive(outcome(upstream, clock, asked)) is None
    assert not upstream.admits(asked.provider, "one")
    assert upstream.hits("sunny") == 1
    await clock.advance(60)
    assert upstream.admits(asked.provider, "one")


@pytest.mark.parametrize("stated", ["", "-5", "1e9", "lots", 7])
async def test_a_prompt_size_that_is_none_is_ignored(clock: FakeClock, stated: object) -> None:
    body = ANY | {"metadata": {"simulated_prompt_tokens": stated}}
    asked = outgoing(
        dialect="openai", body=body, credential="one", simulated=Simulated(), provider="p"
    )
    reply = await clock.drive(simulated(clock).send(asked))
    text = b"".join([chunk async for chunk in chunks(reply)])
    assert 0 < json.loads(text)["usage"]["prompt_tokens"] < 100
