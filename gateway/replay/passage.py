"""One request on its way through a replay: the client's side of it, and what it meets upstream.

No body is built and none is read. The relay is the real one; the dialect it is given judges three
bytes, and an upstream plays what the weather says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.config import Provider
from gateway.events import AttemptOutcome, Failure, Usage
from gateway.relay.inbound import Dropped, Inbound
from gateway.relay.progress import AttemptFailed
from gateway.replay.chance import Chance
from gateway.replay.recorded import Asked, Tried
from gateway.replay.weather import Known, Weather
from gateway.routing.state import RouteState
from gateway.routing.steps import Bad
from gateway.units import Clock, Moment
from gateway.upstream.base import Outgoing, Reply, UpstreamFailure
from gateway.wire.adapting import Foreign
from gateway.wire.base import Asked as AskedOfBody
from gateway.wire.base import ErrorAnswer, Fault, Judge

CONTENT, MORE, END = b"c", b"m", b"e"
HEADERS_TIMEOUT = "headers_timeout"
SILENCE = frozenset({Failure.FIRST_CONTENT_TIMEOUT, Failure.DEADLINE})
"""Nothing had come when somebody lost patience: how long it takes is the configuration's to say."""
FOR_EVER = 10.0 * 366 * 86_400
ADAPTED = "adapted:"


class Playing:
    """Implements `Wire` and `Judge` for one attempt of a replay."""

    name = ""
    served_model = ""
    kept_id = ""
    fault: Fault | None = None
    pieces = 0

    def __init__(self, usage: Usage | None) -> None:
        self.usage = usage
        self.content = False
        self.done = False

    def feed(self, chunk: bytes) -> None:
        self.content = self.content or chunk != MORE
        self.done = chunk == END

    def end(self) -> None:
        """Every answer that is played is whole."""


@dataclass(slots=True)
class Passage:
    """Implements `Wire`: one request's dialect, which is no more than its name."""

    asked: Asked
    route: RouteState
    name: str
    keep_alive: bytes = b""
    unused: list[Tried] = field(default_factory=list)
    """Its recorded attempts that have not been played yet."""

    def read(self, body: bytes) -> AskedOfBody:
        raise NotImplementedError

    def with_model(self, body: bytes, model: str) -> bytes:
        return body

    def judge(self, *, stream: bool) -> Playing:
        return Playing(self.asked.usage)

    def error_body(self, answer: ErrorAnswer) -> bytes:
        return b""

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        return b""

    def take(self, target: str, credential: str) -> Tried | None:
        """What it met there itself, each meeting once."""
        for place, each in enumerate(self.unused):
            if (each.target, each.credential) == (target, credential):
                return self.unused.pop(place)
        return None

    def foretell(self, chance: Chance) -> None:
        """What the record says about the choice that comes next."""
        if not self.unused:
            chance.about()
            return
        coming = self.unused[0]
        at_active = coming.target == self.route.active.target.name
        chance.about(at_active=at_active, credential=coming.credential)

    def inbound(self, began: Moment) -> Inbound:
        return _Inbound(
            wire=self,
            path=self.asked.request_id,
            raw_query="",
            raw_headers=(),
            body=b"",
            facts=self.asked.facts(began),
        )


class _Inbound(Inbound):
    """Without a body there is nothing to rewrite, and nothing to translate."""

    def asked_as_is(self, provider: Provider) -> bool:
        return True

    def body_for(self, model: str, drop: tuple[str, ...] = (), *, adapted: bool = False) -> Dropped:
        return b"", ()

    def adapt(self, model: str, drop: tuple[str, ...], foreign: Foreign) -> tuple[str, ...]:
        return ()


class RecordedUpstream:
    """Implements `Upstream` for every dialect. Requests are told apart by their path."""

    def __init__(self, weather: Weather, *, clock: Clock, chance: Chance) -> None:
        self._weather = weather
        self._clock = clock
        self._chance = chance
        self.passages: dict[str, Passage] = {}
        self.known: dict[Known, int] = dict.fromkeys(Known, 0)

    async def send(self, outgoing: Outgoing) -> Reply:
        passage = self.passages[outgoing.path]
        self._chance.about()
        target = f"{outgoing.provider.name}/{outgoing.model}"
        known, met = Known.OWN, passage.take(target, outgoing.credential.name)
        if met is None:
            known, met = self._weather.at(
                target, outgoing.credential.name, self._clock.now().timestamp, passage.asked
            )
        self.known[known] += 1
        if met.reason == HEADERS_TIMEOUT and met.failure is Failure.FIRST_CONTENT_TIMEOUT:
            await self._clock.sleep(outgoing.timeouts.headers_seconds)
            passage.foretell(self._chance)
            raise UpstreamFailure(met.failure, HEADERS_TIMEOUT, processed=True)
        begun = met.first_content_seconds is not None
        if met.outcome is AttemptOutcome.FAILED and not begun and met.failure not in SILENCE:
            await self._clock.sleep(met.duration_seconds)
            passage.foretell(self._chance)
            raise AttemptFailed(_bad(met, passage))
        return RecordedReply(met, passage, outgoing, clock=self._clock, chance=self._chance)


class RecordedReply(Reply):
    """Content when it came, then the end that there was."""

    def __init__(
        self, met: Tried, passage: Passage, outgoing: Outgoing, *, clock: Clock, chance: Chance
    ) -> None:
        self.status = 200
        self.headers = {}
        self._met = met
        self._passage = passage
        self._idle_seconds = outgoing.timeouts.idle_seconds
        self._clock = clock
        self._chance = chance
        self._parts = self._played()

    def pairs(self) -> list[tuple[str, str]]:
        return []

    async def chunk(self) -> bytes | None:
        return await anext(self._parts, None)

    async def _played(self) -> AsyncIterator[bytes]:
        met, first = self._met, self._met.first_content_seconds
        if first is None:
            await self._silence()
            return
        if not self._passage.asked.stream:
            # Single answers are whole or nothing.
            await self._clock.sleep(met.duration_seconds)
            if met.outcome is AttemptOutcome.FAILED:
                self._passage.foretell(self._chance)
                raise AttemptFailed(_bad(met, self._passage))
            yield CONTENT
            return
        await self._clock.sleep(first)
        yield CONTENT
        if met.failure is Failure.IDLE_TIMEOUT or met.outcome is AttemptOutcome.CANCELLED:
            await self._silence()
        left = met.duration_seconds - first
        while left > self._idle_seconds / 2:
            await self._clock.sleep(self._idle_seconds / 2)
            left -= self._idle_seconds / 2
            yield MORE
        await self._clock.sleep(left)
        if met.outcome is AttemptOutcome.FAILED:
            raise AttemptFailed(_bad(met, self._passage))
        yield END

    async def _silence(self) -> None:
        """Until somebody loses patience: the relay, or the client."""
        try:
            await asyncio.sleep(FOR_EVER)
        finally:
            self._passage.foretell(self._chance)

    async def close(self) -> None:
        """There is nothing to close."""


def _bad(met: Tried, passage: Passage) -> Bad:
    """The failure as it was classified then."""
    assert met.failure is not None
    again = passage.unused[0] if passage.unused else None
    same = again is not None and (again.target, again.credential) == (met.target, met.credential)
    repairs: tuple[str, ...] = ()
    if same and again is not None:
        words = again.changes.split()
        repairs = tuple(word.removeprefix(ADAPTED) for word in words if word.startswith(ADAPTED))
    return Bad(
        failure=met.failure,
        reason=met.reason,
        scope=met.scope,
        stated_seconds=met.stated_seconds,
        repairs=repairs,
        # Else it would not have been asked again.
        processed=not (same or met.failure is Failure.CONNECT),
    )
