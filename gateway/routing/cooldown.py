"""One place that can rest: its cooldown, its ladder, and the events of both.

A `Spot` belongs to one provider, target, credential, credential × model or hold. Rules kept here:
the later of two ends wins, a place that rests already does not climb its ladder, and the ladder
falls one step per `ladder_decay_seconds` of peace: one success does not reset it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    Scope,
)
from gateway.routing.policy import JITTER, Ladder
from gateway.units import Instant, Moment


@dataclass(frozen=True, slots=True)
class Place:
    """What rests, by name. `model` is the group's name at scope quota_group."""

    scope: Scope
    provider: str
    model: str = ""
    credential: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Where a rest came from."""

    reason: str
    request_id: str = ""
    attempt_id: str = ""
    actor: str = ""
    note: str = ""


@dataclass(slots=True)
class Cooldown:
    """A running rest. `until` may only grow while it runs."""

    id: str
    reason: str
    source: CooldownSource
    started: Moment
    until: Instant
    level: int

    @property
    def seconds(self) -> float:
        return self.until - self.started.instant


class Spot:
    """A place's rest and the memory of its rests.

    `decay_seconds` of peace take one step off its ladder.
    """

    __slots__ = ("_decay_seconds", "_ended", "_last_seconds", "_level", "cooldown", "place")

    def __init__(self, place: Place, *, decay_seconds: float) -> None:
        self.place = place
        self._decay_seconds = decay_seconds
        self.cooldown: Cooldown | None = None
        self._level = 0
        self._ended: Instant | None = None
        self._last_seconds = 0.0

    def rests(self, now: Instant) -> bool:
        return self.cooldown is not None and self.cooldown.until > now

    def running(self, now: Instant) -> Cooldown | None:
        """The rest that is not over yet."""
        return self.cooldown if self.rests(now) else None

    def level(self, now: Instant) -> int:
        """n of the ladder after the peace since the last rest."""
        ended = self._ended if self.cooldown is None else self.cooldown.until
        if ended is None or now <= ended:
            return self._level
        return max(0, self._level - int((now - ended) / self._decay_seconds))

    def climb(self, ladder: Ladder, *, trigger: Trigger, now: Moment, rng: Random) -> list[Event]:
        """Rest for the next step of the ladder; nothing new if it rests already."""
        if self.rests(now.instant):
            return []
        level = self.level(now.instant) + 1
        seconds = ladder.seconds(level) * rng.uniform(1.0, 1.0 + JITTER)
        return self.rest(
            seconds, source=CooldownSource.LADDER, level=level, trigger=trigger, now=now, rng=rng
        )

    def rest(
        self,
        seconds: float,
        *,
        source: CooldownSource,
        trigger: Trigger,
        now: Moment,
        rng: Random,
        level: int = 0,
    ) -> list[Event]:
        """Rest until `seconds` from now, or until the end that already stands if that is later."""
        events = self.expire(now)
        if self.cooldown is not None:
            return events + self._extend(seconds, source=source, trigger=trigger, now=now)
        relapse = self._ended is not None and now.instant - self._ended < self._last_seconds
        # The peace before this rest is counted now: the next one is counted from this rest's end.
        self._level = level or self.level(now.instant)
        self.cooldown = Cooldown(
            id=f"cd_{rng.getrandbits(64):016x}",
            reason=trigger.reason,
            source=source,
            started=now,
            until=Instant(now.instant + seconds),
            level=level,
        )
        place = self.place
        events.append(
            CooldownStarted(
                ts=now.timestamp,
                cooldown_id=self.cooldown.id,
                scope=place.scope,
                route=place.route,
                provider=place.provider,
                model=place.model,
                credential=place.credential,
                reason=trigger.reason,
                source=source,
                until=now.at(self.cooldown.until),
                duration_seconds=seconds,
                level=level,
                trigger_attempt_id=trigger.attempt_id,
                request_id=trigger.request_id,
                relapse=relapse,
                actor=trigger.actor,
                note=trigger.note,
            )
        )
        return events

    def _extend(
        self, seconds: float, *, source: CooldownSource, trigger: Trigger, now: Moment
    ) -> list[Event]:
        cooldown = self.cooldown
        assert cooldown is not None
        until = Instant(now.instant + seconds)
        if until <= cooldown.until:
            return []
        cooldown.until = until
        cooldown.source = source
        cooldown.reason = trigger.reason
        place = self.place
        return [
            CooldownExtended(
                ts=now.timestamp,
                cooldown_id=cooldown.id,
                scope=place.scope,
                route=place.route,
                provider=place.provider,
                model=place.model,
                credential=place.credential,
                reason=trigger.reason,
                source=source,
                until=now.at(until),
                duration_seconds=cooldown.seconds,
                level=cooldown.level,
                trigger_attempt_id=trigger.attempt_id,
                request_id=trigger.request_id,
            )
        ]

    def expire(self, now: Moment) -> list[Event]:
        """End the rest if its time is over. `ended_at` is when it was over, not when noticed."""
        cooldown = self.cooldown
        if cooldown is None or cooldown.until > now.instant:
            return []
        return self._end(CooldownEnd.EXPIRED, at=cooldown.until, now=now)

    def end(self, how: CooldownEnd, *, now: Moment, actor: str = "", note: str = "") -> list[Event]:
        """End the rest now, whatever its time. An operator's end also forgets the ladder."""
        events = self.expire(now)
        if self.cooldown is not None:
            events += self._end(how, at=now.instant, now=now, actor=actor, note=note)
        if how is CooldownEnd.OPERATOR:
            self._level = 0
        return events

    def _end(
        self, how: CooldownEnd, *, at: Instant, now: Moment, actor: str = "", note: str = ""
    ) -> list[Event]:
        cooldown = self.cooldown
        assert cooldown is not None
        self.cooldown = None
        self._ended = at
        self._last_seconds = at - cooldown.started.instant
        place = self.place
        return [
            CooldownEnded(
                ts=now.timestamp,
                cooldown_id=cooldown.id,
                scope=place.scope,
                route=place.route,
                provider=place.provider,
                model=place.model,
                credential=place.credential,
                reason=cooldown.reason,
                source=cooldown.source,
                ended=how,
                ended_at=now.at(at),
                duration_seconds=self._last_seconds,
                actor=actor,
                note=note,
            )
        ]
