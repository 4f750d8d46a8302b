"""A discrete-event simulation over the real core: `Pool` and `Call` in virtual time, no asyncio.

Requests overlap as they do in production; what the relay does (send, report, wait, wake) is done here
from an event queue. Whoever watches gets every fact in order and asks the world, not the pool, what
was true. Wall clock and monotonic clock are kept apart: `jump` sets the former.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Protocol, TypeAlias, assert_never

from gateway.config import Config
from gateway.events import Event, Failure, RequestOutcome, Usage
from gateway.routing.call import Call, Phase
from gateway.routing.pool import Pool
from gateway.routing.state import Candidate
from gateway.routing.steps import Bad, Facts, GiveUp, Seen, Send, Wait
from gateway.units import MICROS, Instant, Moment, RequestId, Timestamp
from tests.gateway.routing.comparing import ComparingPool
from tests.simulation.weathers import Provider, Reply, Sky

EPOCH = 1_800_000_000_000_000
UPTIME = 1000.0
"""What the monotonic clock reads at second 0: no zero may hide a mistake."""
CACHED_SHARE = 0.95
"""Of a session's body, once the same candidate has served it before."""
NOT_SEEN = Seen()


@dataclass(slots=True, eq=False)
class Asked:
    """One request, and what the world knows of it by itself."""

    call: Call
    facts: Facts
    began: float
    done: Callable[[Asked], None] | None = None
    sends: list[Send] = field(default_factory=list)
    bads: list[Bad] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    reply: Reply | None = None
    content: bool = False
    outcome: RequestOutcome | None = None
    turn: int = 0
    """Grows with each thing that happens to it: what was planned for an earlier turn is void."""

    @property
    def name(self) -> str:
        return self.facts.request_id

    @property
    def last(self) -> Candidate:
        assert self.call.attempt is not None
        return self.call.attempt.candidate


@dataclass(frozen=True, slots=True)
class Told:
    """The core has emitted an event."""

    event: Event
    asked: Asked | None


@dataclass(frozen=True, slots=True)
class Choosing:
    """`step` is about to be asked."""

    asked: Asked


@dataclass(frozen=True, slots=True)
class Sent:
    asked: Asked
    send: Send


@dataclass(frozen=True, slots=True)
class Waited:
    asked: Asked
    seconds: float


@dataclass(frozen=True, slots=True)
class GaveUp:
    asked: Asked
    step: GiveUp


@dataclass(frozen=True, slots=True)
class Reporting:
    """A failed or abandoned attempt is about to be reported. `bad` is None for a cancel."""

    asked: Asked
    bad: Bad | None


@dataclass(frozen=True, slots=True)
class Reported:
    asked: Asked
    bad: Bad | None


@dataclass(frozen=True, slots=True)
class Content:
    """The first content was on its way; the events of it have been told."""

    asked: Asked


@dataclass(frozen=True, slots=True)
class Ended:
    asked: Asked


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process has died, and a new one runs."""


Fact: TypeAlias = (
    Restarted | Told | Choosing | Sent | Waited | GaveUp | Reporting | Reported | Content | Ended
)


class Watcher(Protocol):
    def saw(self, world: World, fact: Fact) -> None: ...


class World:
    """One gateway with its providers, from second 0 on."""

    def __init__(
        self,
        config: Config,
        skies: Mapping[str, Sky],
        *,
        seed: int,
        watchers: Sequence[Watcher] = (),
        core_rng: Random | None = None,
        uptime: float = UPTIME,
    ) -> None:
        self.rng = Random(seed)
        self.core_rng = core_rng or Random(seed + 1)
        self.now = 0.0
        self._uptime = uptime
        self.wall = 0.0
        """Seconds by which the wall clock has been set since."""
        self.providers = {
            name: Provider(skies.get(name, Sky()), Random(f"{seed} {name}"))
            for name in config.providers
        }
        self.config = config
        self.pool: Pool = ComparingPool(
            config, rng=self.core_rng, now=self.moment, speaks=lambda *_: True
        )
        self.open: dict[str, Asked] = {}
        self.events: list[Event] = []
        self._watchers = tuple(watchers)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._n = 0
        self._requests = 0

    @property
    def moment(self) -> Moment:
        return Moment(
            Instant(self._uptime + self.now),
            Timestamp(EPOCH + round((self.now + self.wall) * MICROS)),
        )

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this at that second; in the order of asking where seconds are equal."""
        self._n += 1
        heappush(self._queue, (max(seconds, self.now), self._n, action))

    def run(self, until: float = float("inf")) -> None:
        """All that is planned, up to a second."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heappop(self._queue)
            action()
        if until != float("inf"):
            self.now = until

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += seconds

    # -- requests ------------------------------------------------------------------------------

    def ask(
        self,
        route: str,
        *,
        session: str = "",
        body_tokens: int = 1000,
        stream: bool = True,
        cancel_after: float | None = None,
        done: Callable[[Asked], None] | None = None,
    ) -> Asked:
        """A request arrives now."""
        self._requests += 1
        now = self.moment
        self._tell(self.pool.expire(now), None)
        facts = Facts(
            request_id=RequestId(f"r{self._requests}"),
            trace_id="t",
            span_id="s",
            parent_span_id="",
            session=session,
            client="laptop",
            endpoint="/v1/chat/completions",
            dialect="openai",
            requested_model=route,
            stream=stream,
            body_tokens=body_tokens,
            bytes_received=body_tokens * 4,
            began=now,
        )
        found = self.pool.route(route, now)
        assert found is not None
        call = Call(self.pool, found, facts, now=now, rng=self.core_rng)
        asked = Asked(call, facts, self.now, done)
        self.open[asked.name] = asked
        if cancel_after is not None:
            self.at(self.now + cancel_after, lambda: self.cancel(asked))
        self._step(asked)
        return asked

    def cancel(self, asked: Asked) -> None:
        """The client goes away, if it is still there."""
        if asked.outcome is not None:
            return
        self._saw(Reporting(asked, None))
        self._tell(asked.call.abandoned(self.moment, NOT_SEEN), asked)
        self._saw(Reported(asked, None))
        self._end(asked, RequestOutcome.CANCELLED)

    def _step(self, asked: Asked) -> None:
        asked.turn += 1
        self._saw(Choosing(asked))
        step, events = asked.call.step(self.moment)
        self._tell(events, asked)
        match step:
            case Send():
                asked.sends.append(step)
                self._saw(Sent(asked, step))
                self._send(asked, step)
            case Wait():
                asked.waits.append(step.seconds)
                self._saw(Waited(asked, step.seconds))
                self._later(asked, step.seconds, self._step)
            case GiveUp():
                self._saw(GaveUp(asked, step))
                fault = step.own_fault
                self._end(asked, RequestOutcome.CLIENT_ERROR if fault else RequestOutcome.EXHAUSTED)
            case _:
                assert_never(step)
        self._wake()

    def _send(self, asked: Asked, send: Send) -> None:
        reply = self.providers[send.provider.name].answer(send.credential.name, self.now)
        if not asked.facts.stream and reply.bad is None:
            # The first content of a single answer is its last byte.
            reply = Reply(after_seconds=reply.after_seconds + reply.rest_seconds)
        elif not asked.facts.stream and reply.content and reply.bad is not None:
            failed = Bad(failure=Failure.RESET_BEFORE_CONTENT, reason="broken")
            reply = Reply(bad=failed, after_seconds=reply.after_seconds)
        asked.reply = reply
        limit = send.timeouts.first_content_seconds
        if reply.after_seconds > limit:
            late = Failure.DEADLINE if send.by_deadline else Failure.FIRST_CONTENT_TIMEOUT
            asked.reply = Reply(bad=Bad(failure=late, reason="slow"), after_seconds=limit)
        if asked.reply.bad is None or asked.reply.content:
            self._later(asked, asked.reply.after_seconds, self._content)
        else:
            self._later(asked, asked.reply.after_seconds, self._fail)

    def _content(self, asked: Asked) -> None:
        asked.content = True
        self._tell(asked.call.committed(self.moment), asked)
        self._saw(Content(asked))
        assert asked.reply is not None
        after = self._finish if asked.reply.bad is None else self._fail
        self._later(asked, asked.reply.rest_seconds, after)
        self._wake()

    def _finish(self, asked: Asked) -> None:
        cached = round(asked.facts.body_tokens * CACHED_SHARE) if asked.facts.session else 0
        usage = Usage(input_tokens=asked.facts.body_tokens, cached_tokens=cached)
        self._tell(asked.call.finished(self.moment, Seen(status=200, usage=usage)), asked)
        self._end(asked, RequestOutcome.OK)

    def _fail(self, asked: Asked) -> None:
        assert asked.reply is not None
        bad = asked.reply.bad
        assert bad is not None
        asked.bads.append(bad)
        self._saw(Reporting(asked, bad))
        self._tell(asked.call.failed(bad, self.moment, NOT_SEEN), asked)
        self._saw(Reported(asked, bad))
        if asked.call.phase is Phase.DONE:
            self._end(asked, RequestOutcome.UPSTREAM_ERROR)
        else:
            self._step(asked)

    def _end(self, asked: Asked, outcome: RequestOutcome) -> None:
        asked.turn += 1
        asked.outcome = outcome
        del self.open[asked.name]
        status = {RequestOutcome.OK: 200, RequestOutcome.CANCELLED: 499}.get(outcome, 503)
        closed = asked.call.closed(self.moment, outcome=outcome, status=status)
        self._tell([closed], asked)
        self._saw(Ended(asked))
        if asked.done is not None:
            asked.done(asked)
        self._wake()

    def _later(self, asked: Asked, seconds: float, action: Callable[[Asked], None]) -> None:
        turn = asked.turn
        self.at(self.now + seconds, lambda: action(asked) if asked.turn == turn else None)

    def _wake(self) -> None:
        for name in self.pool.waiting.woken():
            asked = self.open.get(name)
            if asked is not None and asked.call.phase is Phase.SELECTING:
                self._later(asked, 0.0, self._step)

    def tell(self, events: Sequence[Event]) -> None:
        """What somebody else than a request has made the core say."""
        self._tell(events, None)
        self._wake()

    def restarted(self, events: Sequence[Event]) -> None:
        self._saw(Restarted())
        self.tell(events)

    def _tell(self, events: Sequence[Event], asked: Asked | None) -> None:
        for event in events:
            self.events.append(event)
            self._saw(Told(event, asked))

    def _saw(self, fact: Fact) -> None:
        for watcher in self._watchers:
            watcher.saw(self, fact)
