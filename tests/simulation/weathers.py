"""The weather of simulated providers: what each does with a request at a given time. No core here.

A `Sky` is data: spells, limits, dead keys, speed. A `Provider` plays one sky in virtual time, and is
the only one to know whether a candidate was truly well: the properties ask it, never the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from gateway.events import Failure
from gateway.routing.steps import Bad

FOR_EVER = float("inf")
UNPROCESSED = frozenset({Failure.CONNECT})
SILENT = frozenset({Failure.FIRST_CONTENT_TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What reigns for a while."""

    seconds: float
    failure: Failure | None = None
    probability: float = 1.0
    every: int = 1
    """Only each so-many-th request is exposed to the failure."""
    stated: float | None = None
    """The rest that the failure states, right or wrong."""
    content_seconds: float | None = None
    """Slow (or, with a failure after content, late to break)."""

    @property
    def fair(self) -> bool:
        return self.failure is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many requests in a window; a bucket that fills evenly, or a window that begins anew."""

    requests: int
    window_seconds: float
    failure: Failure = Failure.RATE_LIMITED
    shared: bool = False
    """One for all credentials of the provider."""
    fixed: bool = False
    states: bool = True
    hint: float = 1.0
    """What is stated, as a multiple of the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A credential that is refused for a while, and then heals."""

    credential: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    spells: tuple[Spell, ...] = ()
    """In turn, again from the first when all are over; empty = always fair."""
    limits: tuple[Limit, ...] = ()
    deaths: tuple[Death, ...] = ()
    content_seconds: float = 0.8
    answer_seconds: float = 3.0
    """From the first content to the last byte."""
    refusal_seconds: float = 0.05
    """Refusals come fast."""

    def scaled(self, factor: float) -> Sky:
        """The same weather, `factor` times as slow."""
        return Sky(
            spells=tuple(
                Spell(
                    seconds=each.seconds * factor,
                    failure=each.failure,
                    probability=each.probability,
                    every=each.every,
                    stated=_times(each.stated, factor),
                    content_seconds=_times(each.content_seconds, factor),
                )
                for each in self.spells
            ),
            limits=tuple(
                Limit(
                    requests=each.requests,
                    window_seconds=each.window_seconds * factor,
                    failure=each.failure,
                    shared=each.shared,
                    fixed=each.fixed,
                    states=each.states,
                    hint=each.hint,
                )
                for each in self.limits
            ),
            deaths=tuple(
                Death(credential=each.credential, start=each.start * factor, end=each.end * factor)
                for each in self.deaths
            ),
            content_seconds=self.content_seconds * factor,
            answer_seconds=self.answer_seconds * factor,
            refusal_seconds=self.refusal_seconds * factor,
        )


FAIR = Sky()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What will come of one attempt, if nobody gives up before."""

    after_seconds: float
    """To the failure, or to the first content."""
    bad: Bad | None = None
    """None: a good answer."""
    content: bool = False
    """The failure comes after content."""
    rest_seconds: float = 0.0
    """From the first content to the end, good or bad."""


@dataclass(slots=True)
class _Bucket:
    """The state of one limit, for one credential or for all."""

    limit: Limit
    left: float
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a request fits; takes nothing."""
        limit = self.limit
        if limit.fixed:
            window = int(now / limit.window_seconds)
            if window != int(self.at / limit.window_seconds):
                return 0.0
            return 0.0 if self.left >= 1 else (window + 1) * limit.window_seconds - now
        per_second = limit.requests / limit.window_seconds
        left = min(float(limit.requests), self.left + (now - self.at) * per_second)
        return max(0.0, (1 - left) / per_second)

    def take(self, now: float) -> None:
        limit = self.limit
        if limit.fixed:
            new = int(now / limit.window_seconds) != int(self.at / limit.window_seconds)
            self.left = (float(limit.requests) if new else self.left) - 1
        else:
            gained = (now - self.at) * limit.requests / limit.window_seconds
            self.left = min(float(limit.requests), self.left + gained) - 1
        self.at = now


@dataclass(slots=True)
class Provider:
    """Plays a sky. `now` is seconds since the simulation began."""

    sky: Sky
    rng: Random
    force: Failure | None = None
    """Overrules the spells while it is set: for weather that answers to what the gateway does."""
    asked: int = 0
    changed: float = 0.0
    """When somebody gave it this sky."""
    _buckets: dict[tuple[int, str], _Bucket] = field(default_factory=dict)

    def answer(self, credential: str, now: float) -> Reply:
        self.asked += 1
        if any(
            each.credential == credential and each.start <= now < each.end
            for each in self.sky.deaths
        ):
            return self._refused(Bad(failure=Failure.AUTH, reason="invalid_api_key"))
        refused = self._limited(credential, now)
        if refused is not None:
            return refused
        spell = self.spell(now)
        content = self.sky.content_seconds
        if spell is not None and spell.content_seconds is not None:
            content = spell.content_seconds
        failure = self.force or self._struck(spell)
        if failure is None:
            return Reply(
                after_seconds=content * self.rng.uniform(0.8, 1.25),
                rest_seconds=self.sky.answer_seconds * self.rng.uniform(0.5, 1.5),
            )
        bad = Bad(
            failure=failure,
            reason=failure.value,
            stated_seconds=spell.stated if spell is not None else None,
            processed=failure not in UNPROCESSED,
        )
        if failure in {Failure.STREAM_BROKEN, Failure.IDLE_TIMEOUT}:
            return Reply(bad=bad, after_seconds=content, content=True, rest_seconds=content)
        if failure in SILENT:
            return Reply(bad=bad, after_seconds=FOR_EVER)
        return self._refused(bad)

    def _refused(self, bad: Bad) -> Reply:
        return Reply(bad=bad, after_seconds=self.sky.refusal_seconds)

    def spell(self, now: float) -> Spell | None:
        """What reigns at `now`."""
        total = sum(each.seconds for each in self.sky.spells)
        if not total:
            return None
        left = now % total if total != FOR_EVER else now
        for each in self.sky.spells:
            if left < each.seconds:
                return each
            left -= each.seconds
        return self.sky.spells[-1]

    def well(self, credential: str, since: float, until: float) -> bool:
        """Whether every request on this credential in that time was, or would be, answered well."""
        if self.force is not None or since < self.changed:
            return False
        if any(
            each.credential == credential and each.start < until and each.end > since
            for each in self.sky.deaths
        ):
            return False
        if any(bucket.wait(until) > 0 for bucket in self._of(credential)):
            return False
        return all(spell.fair for spell in self._spells(since, until))

    def _spells(self, since: float, until: float) -> Sequence[Spell]:
        """All that reigned at some time from `since` to `until`."""
        spells = self.sky.spells
        total = sum(each.seconds for each in spells)
        if not total or until - since >= total:
            return spells
        at = since
        found: list[Spell] = []
        while at <= until:
            spell = self.spell(at)
            assert spell is not None
            found.append(spell)
            at = self._next_change(at)
        return found

    def _next_change(self, now: float) -> float:
        total = sum(each.seconds for each in self.sky.spells)
        turn = int(now / total) * total if total != FOR_EVER else 0.0
        end = turn
        for each in self.sky.spells:
            end += each.seconds
            if end > now:
                return end + 1e-6
        return end + 1e-6

    def _struck(self, spell: Spell | None) -> Failure | None:
        if spell is None or spell.failure is None or self.asked % spell.every:
            return None
        if spell.probability < 1 and self.rng.random() >= spell.probability:
            return None
        return spell.failure

    def _of(self, credential: str) -> list[_Bucket]:
        found = []
        for index, limit in enumerate(self.sky.limits):
            key = (index, "" if limit.shared else credential)
            if key not in self._buckets:
                self._buckets[key] = _Bucket(limit, float(limit.requests))
            found.append(self._buckets[key])
        return found

    def _limited(self, credential: str, now: float) -> Reply | None:
        buckets = self._of(credential)
        worst = max(buckets, key=lambda each: each.wait(now), default=None)
        if worst is None:
            return None
        seconds = worst.wait(now)
        if seconds <= 0:
            for bucket in buckets:
                bucket.take(now)
            return None
        limit = worst.limit
        stated = max(0.001, seconds * limit.hint) if limit.states else None
        return self._refused(Bad(failure=limit.failure, reason="limit", stated_seconds=stated))


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


# -- incidents that come and go ------------------------------------------------------------------

OVERLOAD = Failure.OVERLOADED
MINUTE, HOUR = 60.0, 3600.0


def alternating(seconds: float) -> Sky:
    """Well and ill by turns."""
    return Sky(spells=(Spell(seconds=seconds), Spell(seconds=seconds, failure=OVERLOAD)))


def hourly(seconds: float) -> Sky:
    """One outage of that length in each hour."""
    return Sky(spells=(Spell(seconds=HOUR - seconds), Spell(seconds=seconds, failure=OVERLOAD)))
