"""What rests, read from the events alone: a second opinion on the pool's own books."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    Event,
    Scope,
)
from gateway.units import Moment

Place = tuple[Scope, str, str, str, str]
"""Scope, provider, model, credential, route."""


@dataclass(slots=True)
class Rest:
    place: Place
    until: int
    stated_until: int = 0


@dataclass(slots=True)
class Ledger:
    """What rests, read from the events alone."""

    running: dict[str, Rest] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def read(self, event: Event) -> None:
        match event:
            case CooldownStarted():
                assert event.cooldown_id not in self.running
                assert event.cooldown_id not in self.ended
                place = place_of(event)
                assert all(rest.place != place for rest in self.running.values())
                assert event.until > event.ts
                self.running[event.cooldown_id] = Rest(place, event.until)
            case CooldownExtended():
                rest = self.running[event.cooldown_id]
                assert rest.place == place_of(event)
                assert event.until >= rest.until - 1
                rest.until = event.until
            case CooldownEnded():
                rest = self.running.pop(event.cooldown_id)
                assert event.ended is CooldownEnd.EXPIRED
                assert abs(event.ended_at - rest.until) <= 2
                assert event.ended_at >= rest.stated_until - 2
                assert event.ts >= event.ended_at - 2
                self.ended.add(event.cooldown_id)
            case _:
                pass

    def rests(self, now: Moment, *places: Place) -> bool:
        ends = [rest.until for rest in self.running.values() if rest.place in places]
        return any(until > now.timestamp for until in ends)


def place_of(event: CooldownStarted | CooldownExtended | CooldownEnded) -> Place:
    return (event.scope, event.provider, event.model, event.credential, event.route)
