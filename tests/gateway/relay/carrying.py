"""A relay with real upstreams and a client that keeps what it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from gateway.clock import SystemClock
from gateway.config import (
    Config,
    Credential,
    Dialect,
    Provider,
    Route,
    RouteTarget,
    Stability,
    Timeouts,
)
from gateway.config_spoken import serves
from gateway.events import AttemptFinished, RequestFinished
from gateway.relay.answering import Answer, ClientGone, Headers
from gateway.relay.inbound import Inbound
from gateway.relay.loop import Relay
from gateway.routing.pool import Pool
from gateway.routing.steps import Facts
from gateway.units import RequestId, Secret
from gateway.upstream.direct import DirectUpstream, open_session
from gateway.upstream.http1.pool import Pool as Connections
from gateway.upstream.http1.upstream import Http1Upstream
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import Wire
from gateway.wire.openai import OpenAIWire
from tests.fakes import ListEmitter
from tests.upstream import ScriptedUpstream

OPENAI = OpenAIWire()
ANTHROPIC = AnthropicWire()


@dataclass
class Kept:
    """A client's side that keeps everything; gone after `gone_after` writes."""

    gone_after: int | None = None
    at_once: bool = True
    """Takes what it is given within a read."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    writes: int = 0
    ended: bool = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.begin(status, headers)
        await self.write(body)
        await self.end()

    async def begin(self, status: int, headers: Headers) -> None:
        assert self.status == 0
        self.status, self.headers = status, {name.lower(): value for name, value in headers}

    async def keep_alive(self, frame: bytes) -> None:
        await self.write(frame)

    async def write(self, chunk: bytes) -> None:
        if self.gone_after is not None and self.writes >= self.gone_after:
            raise ClientGone
        self.writes += 1
        self.body += chunk

    def put(self, chunk: bytes) -> bool:
        if not self.at_once or (self.gone_after is not None and self.writes >= self.gone_after):
            return False
        self.writes += 1
        self.body += chunk
        return True

    async def end(self) -> None:
        self.ended = True


_ANSWER: type[Answer] = Kept


@dataclass
class Carrier:
    """One route `r` over providers `a`, `b`, … each with its own scripted upstream."""

    pool: Pool
    relay: Relay
    emitter: ListEmitter

    async def ask(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        wire: Wire = OPENAI,
        answer: Kept | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Kept:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        asked = wire.read(raw)
        answer = Kept() if answer is None else answer
        now = SystemClock().now()
        facts = Facts(
            request_id=RequestId("01JTEST"),
            trace_id="0" * 31 + "1",
            span_id="0" * 15 + "1",
            parent_span_id="",
            session="",
            client="",
            endpoint="/v1/x",
            dialect=wire.name,
            requested_model=asked.model,
            stream=asked.stream,
            body_tokens=1,
            bytes_received=len(raw),
            began=now,
        )
        route = self.pool.route(asked.model, now)
        assert route is not None
        path = "/chat/completions" if wire is OPENAI else "/v1/messages"
        inbound = Inbound(
            wire=wire, path=path, raw_query="", raw_headers=headers, body=raw, facts=facts
        )
        await self.relay.serve(inbound, route, answer)
        return answer

    @property
    def finished(self) -> RequestFinished:
        (event,) = self.emitter.of(RequestFinished)
        return event

    @property
    def attempts(self) -> list[AttemptFinished]:
        return self.emitter.of(AttemptFinished)

    def in_flight(self) -> int:
        providers = self.pool.providers.values()
        keys = (key.in_flight for provider in providers for key in provider.credentials)
        return sum(keys) + sum(provider.in_flight for provider in providers)


@asynccontextmanager
async def carrier(
    *upstreams: ScriptedUpstream,
    wire: Wire = OPENAI,
    timeouts: Timeouts | None = None,
    stability: Stability | None = None,
    keys: tuple[str, ...] = ("key-1",),
    dialects: Sequence[Dialect] = (),
) -> AsyncIterator[Carrier]:
    """`dialects`: of the providers, in their order; by default all speak `wire`."""
    names = "abcdefgh"[: len(upstreams)]
    spoken = dialects or [Dialect(wire.name)] * len(names)
    providers = {
        name: Provider(
            name=name,
            dialect=dialect,
            base_url=upstream.openai_url if dialect is Dialect.OPENAI else upstream.url,
            credentials=tuple(Credential(name=key, key=Secret(f"{name}-{key}")) for key in keys),
            timeouts=timeouts or Timeouts(),
        )
        for name, upstream, dialect in zip(names, upstreams, spoken, strict=True)
    }
    targets = tuple(RouteTarget(target=f"{name}/model-{name}") for name in names)
    config = Config(
        providers=providers,
        routes=(Route(name="r", targets=targets),),
        stability=stability or Stability(),
    )
    clock, rng, emitter = SystemClock(), Random(1), ListEmitter()
    pool = Pool(
        config,
        rng=rng,
        now=clock.now(),
        speaks=serves,
    )
    connections = Connections()
    async with open_session() as session:
        direct = Http1Upstream(connections, DirectUpstream(session))
        relay = Relay(
            pool=pool,
            upstreams={Dialect.OPENAI: direct, Dialect.ANTHROPIC: direct},
            emit=emitter.emit_all,
            clock=clock,
            rng=rng,
        )
        try:
            yield Carrier(pool, relay, emitter)
        finally:
            await connections.close()
