"""One place that can rest: its cooldown, its ladder, its trial, and the events of all three.

A `Spot` belongs to one provider, target, credential, credential × model or hold. Rules kept here:
the later of two ends wins, a place that rests already does not climb its ladder, and the ladder
falls one step per `ladder_decay_seconds` of peace: one success does not reset it. The end of a rest
is not health: until a good answer the place is *on trial*, and takes one probe at a time.
"""

from __future__ import annotations

from random import Random

from msgspec import Struct

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

TRIED_AFTER = frozenset({CooldownSource.STATED, CooldownSource.LADDER})
"""Rests that a failure caused: after them the place is on trial."""


class Place(Struct, frozen=True, gc=False):
    """What rests, by name. `model` is the group's name at scope quota_group."""

    scope: Scope
    provider: str
    model: str = ""
    credential: str = ""
    route: str = ""


class Trigger(Struct, frozen=True, gc=False):
    """Where a rest came from."""

    reason: str
    request_id: str = ""
    attempt_id: str = ""
    actor: str = ""
    note: str = ""


class Cooldown(Struct, gc=False):
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


class Lease(Struct, frozen=True, gc=False):
    """One attempt's right to probe. It ends by itself, should nobody give it back."""

    attempt: str
    until: Instant


class Unrest:
    """Shared by a provider's keys: how often one of them began or ceased to rest or to be on trial.

    What was found at one count holds for as long as the count stays.
    """

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes = 0


class Spot:
    """A place's rest and the memory of its rests.

    `decay_seconds` of peace take one step off its ladder. `unrest` is told of every change of
    `cooldown` and `unproven`, which is why nobody else sets these two.
    """

    __slots__ = (
        "_before",
        "_ended",
        "_last_seconds",
        "_level",
        "_looked",
        "_looks",
        "_unrest",
        "cooldown",
        "decay_seconds",
        "lease",
        "place",
        "unproven",
    )

    def __init__(self, place: Place, *, decay_seconds: float, unrest: Unrest | None = None) -> None:
        self.place = place
        self._unrest = unrest or Unrest()
        self.decay_seconds = decay_seconds
        self.cooldown: Cooldown | None = None
        self._level = 0
        self._ended: Instant | None = None
        self._last_seconds = 0.0
        self._before = (0, False)
        """Level and `unproven` before the running rest, for one that turns out to blame another."""
        self._looked: Instant | None = None
        """When the running rest was last probed."""
        self._looks = 0
        self.unproven = False
        """It has rested for a failure, and no good answer has come since."""
        self.lease: Lease | None = None

    def rests(self, now: Instant) -> bool:
        return self.cooldown is not None and self.cooldown.until > now

    def running(self, now: Instant) -> Cooldown | None:
        """The rest that is not over yet."""
        return self.cooldown if self.rests(now) else None

    @property
    def last_end(self) -> Instant:
        """Of the running rest, or of the last one; 0 if it has never rested."""
        if self.cooldown is not None:
            return self.cooldown.until
        return Instant(0.0) if self._ended is None else self._ended

    def on_trial(self, now: Instant) -> bool:
        """Half-open: its rest is over and nothing is proved yet."""
        return self.unproven and not self.rests(now)

    def probed(self, now: Instant) -> bool:
        """A probe is under way."""
        return self.lease is not None and self.lease.until > now

    def recheck_due(self, every: float, now: Instant) -> bool:
        """A *stated* rest longer than `every` is looked at that often: a hint may be wrong."""
        rest = self.running(now)
        if rest is None or rest.source is not CooldownSource.STATED or rest.seconds <= every:
            return False
        return self._since_look(rest, now) >= every

    def guess_due(self, gap: float, gap_max: float, now: Instant) -> bool:
        """A *guessed* rest may be cut short by one probe, after a gap that doubles."""
        rest = self.running(now)
        if rest is None or rest.source is not CooldownSource.LADDER:
            return False
        return self._since_look(rest, now) >= min(gap_max, gap * 2.0 ** min(self._looks, 16))

    def _since_look(self, rest: Cooldown, now: Instant) -> float:
        return now - (self._looked if self._looked is not None else rest.started.instant)

    def probe(self, lease: Lease, now: Instant) -> None:
        """A probe begins; `give_back` or the lease's end ends it."""
        self.lease = lease
        if self.rests(now):
            self._looked = now
            self._looks += 1

    def give_back(self, attempt: str) -> None:
        if self.lease is not None and self.lease.attempt == attempt:
            self.lease = None

    def prove(self, attempt: str, now: Moment) -> list[Event]:
        """A probe's good answer: the trial is over, and so is a rest that still ran."""
        if self.lease is None or self.lease.attempt != attempt:
            return []
        self.lease = None
        self.unproven = False
        self._unrest.changes += 1
        return self.end(CooldownEnd.PROBE, now=now)

    def level(self, now: Instant) -> int:
        """n of the ladder after the peace since the last rest."""
        ended = self._ended if self.cooldown is None else self.cooldown.until
        if ended is None or now <= ended:
            return self._level
        return max(0, self._level - int((now - ended) / self.decay_seconds))

    def climb(self, ladder: Ladder, *, trigger: Trigger, now: Moment, rng: Random) -> list[Event]:
        """Rest for the next step of the ladder; nothing new if it rests already."""
        if self.rests(now.instant):
            return []
        level = self.level(now.instant) + 1
        guessed = ladder.seconds(level)
        seconds = rng.uniform(guessed, guessed * (1.0 + JITTER))
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
        before = self.level(now.instant)
        self._before = (before, self.unproven)
        self._level = level or before
        self._looked, self._looks = None, 0
        self._unrest.changes += 1
        self.unproven = self.unproven or source in TRIED_AFTER
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
        self._unrest.changes += 1
        self.unproven = self.unproven or source in TRIED_AFTER
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

    def adopt(self, cooldown: Cooldown) -> None:
        """A rest that began elsewhere: in an earlier process, under an earlier configuration."""
        assert self.cooldown is None
        self._unrest.changes += 1
        self.cooldown = cooldown
        self._level = cooldown.level
        self.unproven = cooldown.source in TRIED_AFTER

    def doubt(self, level: int, now: Instant) -> None:
        """A guess of an earlier process that is not kept: a probe decides, and its failure goes on
        from that step of the ladder."""
        assert self.cooldown is None
        self._unrest.changes += 1
        self._level, self._ended = level, now
        self.unproven = True

    def expire(self, now: Moment) -> list[Event]:
        """End the rest if its time is over. `ended_at` is when it was over, not when noticed."""
        cooldown = self.cooldown
        if cooldown is None or cooldown.until > now.instant:
            return []
        return self._end(CooldownEnd.EXPIRED, at=cooldown.until, now=now)

    def end(self, how: CooldownEnd, *, now: Moment, actor: str = "", note: str = "") -> list[Event]:
        """End the rest now, whatever its time.

        An operator's end also forgets ladder and trial; one that is superseded never happened.
        """
        events = self.expire(now)
        running = self.cooldown is not None
        if running:
            events += self._end(how, at=now.instant, now=now, actor=actor, note=note)
        self._unrest.changes += 1
        if how is CooldownEnd.OPERATOR:
            self._level, self.unproven = 0, False
        elif how is CooldownEnd.SUPERSEDED and running:
            self._level, self.unproven = self._before
        return events

    def _end(
        self, how: CooldownEnd, *, at: Instant, now: Moment, actor: str = "", note: str = ""
    ) -> list[Event]:
        cooldown = self.cooldown
        assert cooldown is not None
        self._unrest.changes += 1
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
