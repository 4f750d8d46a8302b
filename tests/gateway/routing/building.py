"""Small configurations, and a script player over the real `Pool` and `Call`: time is a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from gateway.config import (
    Config,
    Credential,
    Dialect,
    Fallback,
    Provider,
    Route,
    RouteTarget,
    Stability,
    Timeouts,
)
from gateway.events import Event, Failure, RequestFinished, RequestOutcome
from gateway.routing.call import Call
from gateway.routing.choosing import Speaks
from gateway.routing.clocks import Clocks
from gateway.routing.pool import Pool
from gateway.routing.state import HopState, RouteState
from gateway.routing.steps import Bad, Facts, GiveUp, Seen, Send, Wait
from gateway.units import Instant, Moment, RequestId, Secret, Timestamp
from tests.gateway.routing.comparing import ComparingPool

START = Moment(Instant(1000.0), Timestamp(1_800_000_000_000_000))
SEEN = Seen(status=200, bytes_sent=10)
NOT_SEEN = Seen()

Kind = TypeVar("Kind")


def at(seconds: float) -> Moment:
    """`seconds` after the start of the test."""
    return START.later(seconds)


def provider(name: str, *keys: str | Credential, **more: Any) -> Provider:
    """Without keys it has one, called `main`."""
    credentials = tuple(
        key if isinstance(key, Credential) else credential(key) for key in keys or ("main",)
    )
    return Provider(name=name, dialect=Dialect.OPENAI, credentials=credentials, **more)


def credential(name: str, **more: Any) -> Credential:
    return Credential(name=name, key=Secret(f"secret-of-{name}"), **more)


def route(name: str, *targets: str | RouteTarget, **more: Any) -> Route:
    listed = tuple(
        each if isinstance(each, RouteTarget) else RouteTarget(target=each) for each in targets
    )
    return Route(name=name, targets=listed, **more)


def config(
    *providers: Provider,
    routes: Sequence[Route] = (),
    fallback: Fallback | None = None,
    **stability: Any,
) -> Config:
    return Config(
        providers={each.name: each for each in providers},
        routes=tuple(routes),
        fallback=fallback or Fallback(),
        stability=Stability(**stability),
    )


def everything(_provider: Provider, _client: str) -> bool:
    """`speaks` of a gateway that translates all."""
    return True


def clocks(**seconds: float) -> Clocks:
    """As `Timeouts(**seconds)`."""
    own = Timeouts(**seconds)
    return Clocks(
        own.connect_seconds, own.headers_seconds, own.first_content_seconds, own.idle_seconds
    )


def facts(number: int = 1, **more: Any) -> Facts:
    values: dict[str, Any] = {
        "request_id": RequestId(f"r{number}"),
        "trace_id": "t",
        "span_id": "s",
        "parent_span_id": "",
        "session": "",
        "client": "laptop",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai",
        "requested_model": "coder",
        "stream": True,
        "body_tokens": 100,
        "bytes_received": 400,
        "began": START,
    }
    return Facts(**{**values, **more})


def bad(failure: Failure | str, *, stated: float | None = None, **more: Any) -> Bad:
    return Bad(failure=Failure(failure), reason="code", stated_seconds=stated, **more)


@dataclass(slots=True)
class Told:
    """One whole request: the candidates tried in order, and all that was told of it."""

    tried: list[str]
    """`provider/model credential`."""
    events: list[Event]
    finished: RequestFinished
    gave_up: GiveUp | None
    waits: list[float]

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def rows(self) -> list[tuple[int, str, str, str]]:
        """(n, candidate, what came of it, why) of every candidate in order."""
        found = []
        for event in self.events:
            kind = event.kind
            if kind not in {"attempt_finished", "candidate_skipped"}:
                continue
            each: Any = event
            skipped = kind == "candidate_skipped"
            name = f"{each.provider}/{each.model} {each.credential}".strip()
            why = each.cause or each.reason if skipped else each.failure or ""
            found.append((each.n, name, each.reason if skipped else each.outcome, str(why)))
        return sorted((n, name, str(what), why) for n, name, what, why in found)


Script = Mapping[str, Bad | Sequence[Bad]]
"""Provider, target or `target credential` → how it fails; several in turn; missing = it serves."""


@dataclass(slots=True)
class Play:
    """A pool to which whole requests are sent at given times."""

    config: Config
    seed: int = 1
    speaks: Speaks = everything
    pool_kind: type[Pool] = ComparingPool
    pool: Pool = field(init=False)
    events: list[Event] = field(default_factory=list)
    number: int = 0
    _rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self.pool = self.pool_kind(self.config, rng=self._rng, now=START, speaks=self.speaks)

    def call(self, name: str = "coder", *, now: float = 0.0, **more: Any) -> Call:
        """A request that the test drives itself."""
        self.number += 1
        return Call(
            self.pool,
            self.route(name, now=now),
            facts(self.number, began=at(now), **more),
            now=at(now),
            rng=self._rng,
        )

    def route(self, name: str = "coder", *, now: float = 0.0) -> RouteState:
        route = self.pool.route(name, at(now))
        assert route is not None
        return route

    def hop(self, index: int, name: str = "coder") -> HopState:
        return self.route(name).hops[index]

    def ask(
        self, script: Script | None = None, *, now: float = 0.0, name: str = "coder", **more: Any
    ) -> Told:
        """One request from beginning to end, all of it at `now` (pauses excepted)."""
        turns = {key: _turns(value) for key, value in (script or {}).items()}
        tried: list[str] = []
        waits: list[float] = []
        events = [*self.pool.expire(at(now))]
        call = self.call(name, now=now, **more)
        gave_up: GiveUp | None = None
        clock = at(now)
        while call.phase.value != "done":
            step, told = call.step(clock)
            events += told
            match step:
                case Send():
                    target = f"{step.provider.name}/{step.model}"
                    candidate = f"{target} {step.credential.name}"
                    tried.append(candidate)
                    fault = _next(turns, (candidate, target, step.provider.name))
                    if fault is not None:
                        events += call.failed(fault, clock, NOT_SEEN)
                    else:
                        events += call.committed(clock)
                        events += call.finished(clock, SEEN)
                case Wait():
                    waits.append(step.seconds)
                    clock = clock.later(step.seconds)
                case GiveUp():
                    gave_up = step
        outcome = RequestOutcome.EXHAUSTED if gave_up else RequestOutcome.OK
        finished = call.closed(clock, outcome=outcome, status=503 if gave_up else 200)
        self.events += [*events, finished]
        return Told(tried, [*events, finished], finished, gave_up, waits)


def sent(call: Call, now: float) -> Send:
    """The next step, which must be an attempt."""
    step, _ = call.step(at(now))
    assert isinstance(step, Send), step
    return step


def answer(call: Call, now: float, seen: Seen = SEEN) -> list[Event]:
    """The attempt under way brings a whole good answer at once."""
    return [*call.committed(at(now)), *call.finished(at(now), seen)]


def candidate_of(send: Send) -> str:
    return f"{send.provider.name}/{send.model} {send.credential.name}"


def kinds(events: Sequence[Event], kind: type[Kind]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]


def _turns(value: Bad | Sequence[Bad]) -> list[Bad] | Bad:
    return value if isinstance(value, Bad) else list(value)


def _next(turns: Mapping[str, list[Bad] | Bad], names: Sequence[str]) -> Bad | None:
    """The most specific entry of the script; a list is used up from its front."""
    for name in names:
        value = turns.get(name)
        if isinstance(value, Bad):
            return value
        if value:
            return value.pop(0)
    return None
