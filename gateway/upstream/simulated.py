"""A provider inside the process, for the demo, for dry runs and for trying things out.

It speaks the client's dialect, has weather by the clock, limits per credential, and fails the way
real providers do. Here is its state and its playing; what it does is decided in `simulated_plan`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gateway.config import Provider, Simulated, Weather
from gateway.events import Failure
from gateway.units import MICROS, Clock, Instant, Moment
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure, found
from gateway.upstream.simulated_asked import Asked, read
from gateway.upstream.simulated_plan import Plan, plan, refusal

CACHE_SECONDS = 300.0
"""How long a prompt stays cached after its last use: the shortest time that providers give it."""
CACHES_MAX = 10_000
"""Of one provider; the one idle longest goes first."""


class SimulatedUpstream:
    """Implements `Upstream` for all simulated providers; the weather begins when it is made."""

    def __init__(self, *, clock: Clock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._began = clock.now().instant
        self._states: dict[str, _State] = {}

    def hits(self, provider: str, credential: str | None = None) -> int:
        """How many requests have reached `provider`, or one credential of it."""
        counts = self._state(provider).hits
        return counts.total() if credential is None else counts[credential]

    def now(self) -> Moment:
        return self._clock.now()

    def admits(self, provider: Provider, credential: str) -> bool:
        """Whether this credential, the weather aside, would be let in now. Asks nobody."""
        script, state = provider.simulated, self._state(provider.name)
        if credential in script.dead_credentials:
            return False
        return state.wait(credential, script, self._clock.now().instant) == 0.0

    async def send(self, outgoing: Outgoing) -> Reply:
        planned = self._plan(outgoing)
        limit = outgoing.timeouts.headers_seconds
        if planned.headers_after_seconds > limit:
            await self._clock.sleep(limit)
            failure = Failure.FIRST_CONTENT_TIMEOUT
            raise UpstreamFailure(failure, "headers_timeout", processed=True)
        if planned.headers_after_seconds:
            await self._clock.sleep(planned.headers_after_seconds)
        if planned.unanswered is not None:
            raise planned.unanswered
        return SimulatedReply(planned, clock=self._clock)

    def _plan(self, outgoing: Outgoing) -> Plan:
        now = self._clock.now()
        state = self._state(outgoing.provider.name)
        credential = outgoing.credential.name
        state.hits[credential] += 1
        asked = read(
            outgoing,
            request_id=f"{self._rng.getrandbits(64):016x}",
            created=now.timestamp // MICROS,
        )
        own = self._own_limits(asked, state, now.instant)
        if own is not None:
            return own
        weather = spell_at(asked.script.weather, now.instant - self._began)
        failure = state.strike(weather, self._rng)
        if failure is None and asked.cache_key:
            asked = replace(asked, cached_tokens=state.remember(asked, now.instant))
        return plan(asked, failure=failure, weather=weather, rng=self._rng)

    def _own_limits(self, asked: Asked, state: _State, now: Instant) -> Plan | None:
        """What a credential is refused for, whatever the weather."""
        script, credential = asked.script, asked.outgoing.credential.name
        if credential in script.dead_credentials:
            return refusal(asked, Failure.AUTH)
        wait = state.take(credential, script, now)
        return refusal(asked, Failure.RATE_LIMITED, retry_after_seconds=wait) if wait else None

    def _state(self, provider: str) -> _State:
        return self._states.setdefault(provider, _State())


class SimulatedReply(Reply):
    """Plays a plan's steps at their times."""

    def __init__(self, planned: Plan, *, clock: Clock) -> None:
        self.status = planned.status
        self.headers = found(planned.headers)
        self._plan = planned
        self._clock = clock
        self._closed = False
        self._parts = self._played()

    def pairs(self) -> list[tuple[str, str]]:
        return list(self._plan.headers)

    async def chunk(self) -> bytes | None:
        return await anext(self._parts, None)

    async def _played(self) -> AsyncIterator[bytes]:
        for step in self._plan.steps:
            if step.wait_seconds:
                await self._clock.sleep(step.wait_seconds)
            if self._closed:
                return
            if step.data:
                yield step.data
        if self._plan.broken is not None:
            raise self._plan.broken

    async def close(self) -> None:
        self._closed = True


def spell_at(weather: Sequence[Weather], age_seconds: float) -> Weather | None:
    """The spell that reigns; None without any. After the last one the first comes again."""
    if not weather:
        return None
    if all(spell.for_seconds > 0 for spell in weather):
        age_seconds %= sum(spell.for_seconds for spell in weather)
    for spell in weather:
        if spell.for_seconds <= 0 or age_seconds < spell.for_seconds:
            return spell
        age_seconds -= spell.for_seconds
    return weather[-1]  # Only rounding comes here.


@dataclass(slots=True)
class _Bucket:
    """A token bucket: a minute's requests at once, then one whenever its share has passed."""

    left: float
    at: Instant


@dataclass(slots=True)
class _Cache:
    """A prompt that need not be read again."""

    tokens: int
    at: Instant


@dataclass(slots=True)
class _State:
    """Of one provider."""

    hits: Counter[str] = field(default_factory=Counter)
    exposed: int = 0
    """Requests that a failing spell could have struck."""
    buckets: dict[str, _Bucket] = field(default_factory=dict)
    caches: OrderedDict[tuple[str, str], _Cache] = field(default_factory=OrderedDict)
    """By credential and the client's own key, the one used last at the end."""

    def strike(self, weather: Weather | None, rng: Random) -> Failure | None:
        """The failure that befalls the next request."""
        if weather is None or weather.failure is None:
            return None
        self.exposed += 1
        if self.exposed % max(1, weather.every) or rng.random() >= weather.probability:
            return None
        return weather.failure

    def take(self, credential: str, script: Simulated, now: Instant) -> float:
        """Seconds until this credential may ask again; 0 where it may now, and has."""
        wait = self.wait(credential, script, now)
        if wait == 0.0 and script.requests_per_minute is not None:
            self.buckets[credential].left -= 1.0
        return wait

    def wait(self, credential: str, script: Simulated, now: Instant) -> float:
        """Seconds until this credential may ask; it has not."""
        per_minute = script.requests_per_minute
        if per_minute is None:
            return 0.0
        size, rate = max(1.0, per_minute), max(1.0, per_minute) / 60.0
        bucket = self.buckets.setdefault(credential, _Bucket(size, now))
        bucket.left = min(size, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        return (1.0 - bucket.left) / rate if bucket.left < 1.0 else 0.0

    def remember(self, asked: Asked, now: Instant) -> int:
        """Puts the prompt into the credential's cache. The tokens of it that were there before."""
        key = (asked.outgoing.credential.name, asked.cache_key)
        before = self.caches.pop(key, None)
        while len(self.caches) >= CACHES_MAX:
            self.caches.popitem(last=False)
        self.caches[key] = _Cache(asked.input_tokens, now)
        if before is None or now - before.at > CACHE_SECONDS:
            return 0
        return min(before.tokens, asked.input_tokens)


_UPSTREAM: type[Upstream] = SimulatedUpstream
