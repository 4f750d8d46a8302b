"""What rests, read from the events alone: a second opinion on the pool's own books."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    FlappingEnded,
    FlappingStarted,
    Scope,
)
from gateway.units import Moment

Place = tuple[Scope, str, str, str, str]
"""Scope, provider, model, credential, route."""


FAILURES = (CooldownSource.STATED, CooldownSource.LADDER)
"""Rests that a failure caused: after them the place is on trial."""


@dataclass(slots=True)
class Rest:
    place: Place
    until: int
    started: int
    source: CooldownSource
    was_on_trial: bool
    stated_until: int = 0


@dataclass(slots=True)
class Ledger:
    """What rests, what is on trial and which targets flap, read from the events alone."""

    running: dict[str, Rest] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    unproven: set[Place] = field(default_factory=set)
    flapping: set[tuple[str, str]] = field(default_factory=set)
    """Route and target."""

    def read(self, event: Event) -> None:
        match event:
            case CooldownStarted():
                assert event.cooldown_id not in self.running
                assert event.cooldown_id not in self.ended
                place = place_of(event)
                assert all(rest.place != place for rest in self.running.values())
                assert event.until > event.ts
                before = place in self.unproven
                rest = Rest(place, event.until, event.ts, event.source, before)
                self.running[event.cooldown_id] = rest
                if event.source in FAILURES:
                    self.unproven.add(place)
            case CooldownExtended():
                rest = self.running[event.cooldown_id]
                assert rest.place == place_of(event)
                assert event.until >= rest.until - 1
                rest.until, rest.source = event.until, event.source
                self.unproven.add(rest.place)
            case CooldownEnded():
                self._end(event, self.running.pop(event.cooldown_id))
            case FlappingStarted():
                assert (event.route, event.target) not in self.flapping or event.route == "direct"
                self.flapping.add((event.route, event.target))
            case FlappingEnded():
                self.flapping.discard((event.route, event.target))
            case _:
                pass

    def _end(self, event: CooldownEnded, rest: Rest) -> None:
        self.ended.add(event.cooldown_id)
        assert event.ts >= event.ended_at - 2
        match event.ended:
            case CooldownEnd.EXPIRED:
                assert abs(event.ended_at - rest.until) <= 2
                assert event.ended_at >= rest.stated_until - 2
            case CooldownEnd.PROBE:
                assert event.ended_at <= rest.until
                self.unproven.discard(rest.place)
            case CooldownEnd.SUPERSEDED:
                # Only a guess may turn out to blame another.
                assert event.source in (CooldownSource.LADDER, CooldownSource.HOLD)
                if not rest.was_on_trial:
                    self.unproven.discard(rest.place)
            case CooldownEnd.OPERATOR:
                raise AssertionError(event)

    def rest(self, place: Place, now: Moment) -> Rest | None:
        found = [rest for rest in self.running.values() if rest.place == place]
        return next((rest for rest in found if rest.until > now.timestamp), None)

    def prove(self, *places: Place) -> None:
        """A probe of something in these places has brought content."""
        self.unproven.difference_update(places)

    def rests(self, now: Moment, *places: Place) -> bool:
        ends = [rest.until for rest in self.running.values() if rest.place in places]
        return any(until > now.timestamp for until in ends)


def place_of(event: CooldownStarted | CooldownExtended | CooldownEnded) -> Place:
    return (event.scope, event.provider, event.model, event.credential, event.route)
