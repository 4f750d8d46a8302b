"""The clients of a dry run: agents with growing conversations, single requests, people who hang up.

They hand their requests to the relay as the API's handlers would; there is no HTTP in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec

from gateway.api import ids
from gateway.dry_run.scenario import Traffic
from gateway.relay.answering import Headers
from gateway.relay.inbound import Inbound
from gateway.relay.loop import Relay
from gateway.routing.state import RouteState
from gateway.routing.steps import Facts
from gateway.units import Clock, Instant, Moment
from gateway.upstream.simulated_asked import BYTES_PER_TOKEN, PROMPT_TOKENS
from gateway.wire.openai import OpenAIWire

WIRE = OpenAIWire()
ENDPOINT = "/v1/chat/completions"
PATH = "/chat/completions"
SINGLE_TOKENS = (200, 8_000)
"""Of a prompt that belongs to no session, from and to."""


class Heard:
    """Implements `Answer` for a client that takes everything and keeps nothing."""

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Taken."""

    async def begin(self, status: int, headers: Headers) -> None:
        """Taken."""

    async def keep_alive(self, frame: bytes) -> None:
        """Nobody in here grows impatient."""

    async def write(self, chunk: bytes) -> None:
        """Taken."""

    def put(self, chunk: bytes) -> bool:
        return True

    async def end(self) -> None:
        """Taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What clients are clients of."""

    relay: Relay
    route: Callable[[str, Moment], RouteState]
    """By its name, which is known to exist."""
    clock: Clock
    until: Instant
    """Nobody begins anything later."""


class Clients:
    """Everybody that one `Traffic` stands for. `name` tells them from others."""

    def __init__(self, traffic: Traffic, gateway: Gateway, *, name: str, seed: int) -> None:
        self._traffic = traffic
        self._gateway = gateway
        self._name = name
        self._seed = seed

    def begin(self, group: asyncio.TaskGroup) -> None:
        """From now to the end; the group's tasks are then over by themselves."""
        for number in range(self._traffic.sessions):
            group.create_task(self._agent(f"{self._name}{number + 1}"))
        if self._traffic.requests_per_minute > 0:
            group.create_task(self._passers_by(group))

    async def _agent(self, name: str) -> None:
        """One session after the other, turn after turn."""
        traffic, clock, rng = self._traffic, self._gateway.clock, self._rng(name)
        turn, session, tokens = 0, name, traffic.first_tokens
        await clock.sleep(rng.uniform(0.0, traffic.turn_seconds))
        while (began := clock.now().instant) < self._gateway.until:
            await self._ask(rng, session=session, tokens=tokens, number=turn)
            turn += 1
            tokens += traffic.growth_tokens
            over = traffic.turns > 0 and turn % traffic.turns == 0
            if over:
                session = f"{name}-{turn // traffic.turns + 1}"
            if over or tokens > traffic.most_tokens:
                tokens = traffic.first_tokens
            pause = rng.expovariate(1.0 / traffic.turn_seconds)
            await clock.sleep(max(0.0, began + pause - clock.now().instant))

    async def _passers_by(self, group: asyncio.TaskGroup) -> None:
        rng, clock, number = self._rng("passers-by"), self._gateway.clock, 0
        while True:
            await clock.sleep(rng.expovariate(self._traffic.requests_per_minute / 60.0))
            if clock.now().instant >= self._gateway.until:
                return
            number += 1
            tokens = rng.randint(*SINGLE_TOKENS)
            group.create_task(self._ask(rng, session="", tokens=tokens, number=number))

    async def _ask(self, rng: Random, *, session: str, tokens: int, number: int) -> None:
        traffic, gateway = self._traffic, self._gateway
        now = gateway.clock.now()
        route = gateway.route(traffic.route, now)
        stream = rng.random() < traffic.stream_share
        hangs_up = rng.random() < traffic.cancel_share
        asked = _inbound(
            route.chain.name, session, tokens=tokens, number=number, stream=stream, now=now, rng=rng
        )
        try:
            async with asyncio.timeout(traffic.cancel_after_seconds if hangs_up else None):
                await gateway.relay.serve(asked, route, Heard())
        except TimeoutError:
            pass  # It has hung up, and the relay was cancelled as by a closed connection.

    def _rng(self, name: str) -> Random:
        """Of its own, so that what others are answered changes nothing for it."""
        return Random(f"{self._seed} {self._name} {name}")


def _inbound(
    model: str, session: str, *, tokens: int, number: int, stream: bool, now: Moment, rng: Random
) -> Inbound:
    """A request as it comes out of the API's handler. Its body is short and says how long it is."""
    fields = {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": f"Turn {number} of {session or 'nobody'}."}],
        "metadata": {PROMPT_TOKENS: str(tokens)},
    }
    if session:
        fields["prompt_cache_key"] = session
    return Inbound(
        wire=WIRE,
        path=PATH,
        raw_query="",
        raw_headers=(("content-type", "application/json"),),
        body=msgspec.json.encode(fields),
        facts=Facts(
            request_id=ids.request_id(now.timestamp, rng),
            trace_id=ids.trace_id(rng),
            span_id=ids.span_id(rng),
            parent_span_id="",
            session=session,
            client="",
            endpoint=ENDPOINT,
            dialect=WIRE.name,
            requested_model=model,
            stream=stream,
            body_tokens=tokens,
            bytes_received=tokens * BYTES_PER_TOKEN,
            began=now,
        ),
    )
