"""What the events say, folded: rests, trials, pointers. A second opinion on the core's own books.

Times are seconds on whatever clock the reader has: an event's own `until` is read relative to its
`ts`, so that a wall clock that was set meanwhile does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.config import Config
from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    OperatorActed,
    Scope,
    Switched,
)
from gateway.units import MICROS

Place = tuple[Scope, str, str, str, str]
"""Scope, provider, model, credential, route."""
ROUNDING = 1e-5
"""Seconds: events hold whole microseconds."""
FAULTS = frozenset({CooldownSource.STATED, CooldownSource.LADDER})
Cooling = CooldownStarted | CooldownExtended | CooldownEnded


@dataclass(slots=True)
class Rest:
    """A running rest, as told."""

    id: str
    place: Place
    reason: str
    source: CooldownSource
    started: float
    until: float
    level: int
    tried_before: bool
    """The place was on trial already when it began."""


@dataclass(slots=True)
class Books:
    """Folds events; `problems` lists what cannot be."""

    rests: dict[Place, Rest] = field(default_factory=dict)
    config: Config | None = None
    trials: set[Place] = field(default_factory=set)
    """Places that have rested for a failure without a good answer since."""
    leases: dict[Place, str] = field(default_factory=dict)
    """Which attempt tests the place, or was the last one to."""
    undecided: set[str] = field(default_factory=set)
    """Probes under way."""
    pointers: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    restarting: bool = False
    """A new process takes over: rests it did not keep are on trial."""

    def read(self, event: Event, at: float) -> None:
        match event:
            case CooldownStarted():
                self._started(event, at)
            case CooldownExtended():
                self._extended(event, at)
            case CooldownEnded():
                self._ended(event, at)
            case Switched():
                self._switched(event)
            case OperatorActed(action="reset"):
                self._reset(event)
            case _:
                pass

    def running(self, place: Place, at: float) -> Rest | None:
        rest = self.rests.get(place)
        return rest if rest is not None and rest.until > at + ROUNDING else None

    def held(self, route: str, target: str, at: float) -> Rest | None:
        provider, _, model = target.partition("/")
        return self.running((Scope.TARGET, provider, model, "", route), at)

    def probing(self, attempt: str, places: tuple[Place, ...]) -> None:
        """A probe was sent: it tests whatever is not proved."""
        self.undecided.add(attempt)
        for place in places:
            if place in self.trials or place in self.rests:
                self.leases[place] = attempt

    def tested(self, place: Place) -> bool:
        """Whether a probe of the place is under way."""
        return self.leases.get(place) in self.undecided

    def proved(self, attempt: str, places: tuple[Place, ...]) -> None:
        """Its first content came."""
        for place in places:
            if self.leases.get(place) == attempt:
                self.trials.discard(place)

    def reborn(self) -> None:
        """A new process begins: it will tell which rests it does not keep; trials it does not know."""
        self.restarting = True
        self.trials.clear()
        self.undecided.clear()

    def running_again(self) -> None:
        """It has taken over."""
        self.restarting = False
        self.trials |= {rest.place for rest in self.rests.values() if rest.source in FAULTS}

    # -- inside --------------------------------------------------------------------------------

    def _reset(self, event: OperatorActed) -> None:
        """An operator believes in all of a target: its keys' limits too, not the keys themselves."""
        assert self.config is not None
        provider, _, model = event.target.partition("/")
        _, target, _, limit = places(self.config, provider, model, "")
        self.trials = {
            place
            for place in self.trials
            if place != target and (place[0], place[1], place[2]) != limit[:3]
        }

    def _started(self, event: CooldownStarted, at: float) -> None:
        place = place_of(event)
        known = self.rests.get(place)
        if known is not None:
            self.problems.append(f"{event.cooldown_id} starts while {known.id} rests at {place}")
        if event.cooldown_id in self.ended:
            self.problems.append(f"{event.cooldown_id} starts again")
        until = at + (event.until - event.ts) / MICROS
        self.rests[place] = Rest(
            event.cooldown_id,
            place,
            event.reason,
            event.source,
            at,
            until,
            event.level,
            place in self.trials,
        )
        if event.source in FAULTS:
            self.trials.add(place)

    def _extended(self, event: CooldownExtended, at: float) -> None:
        rest = self.rests.get(place_of(event))
        if rest is None or rest.id != event.cooldown_id:
            self.problems.append(f"{event.cooldown_id} is prolonged and does not rest")
            return
        until = at + (event.until - event.ts) / MICROS
        if until < rest.until - ROUNDING:
            self.problems.append(f"{rest.id} is shortened from {rest.until} to {until}")
        rest.until, rest.source, rest.reason = until, event.source, event.reason
        if event.source in FAULTS:
            self.trials.add(rest.place)

    def _ended(self, event: CooldownEnded, at: float) -> None:
        place = place_of(event)
        rest = self.rests.get(place)
        if rest is None or rest.id != event.cooldown_id:
            self.problems.append(f"{event.cooldown_id} ends and does not rest")
            return
        del self.rests[place]
        self.ended.add(rest.id)
        over = at + (event.ended_at - event.ts) / MICROS
        early = over < rest.until - ROUNDING
        if event.ended is CooldownEnd.EXPIRED and early:
            self.problems.append(f"{rest.id} expires at {over}, {rest.until - over} s too early")
        if event.ended is CooldownEnd.OPERATOR:
            self.trials.discard(place)
        elif event.ended is CooldownEnd.SUPERSEDED and self.restarting:
            if not early:
                return
            self.trials.add(place)
        elif event.ended is CooldownEnd.SUPERSEDED and not rest.tried_before:
            self.trials.discard(place)

    def _switched(self, event: Switched) -> None:
        known = self.pointers.get(event.route)
        if known is not None and event.from_target != known:
            self.problems.append(f"{event.route} switches from {event.from_target}, not {known}")
        if event.from_target == event.to_target:
            self.problems.append(f"{event.route} switches to where it is")
        self.pointers[event.route] = event.to_target


def place_of(event: Cooling) -> Place:
    return (event.scope, event.provider, event.model, event.credential, event.route)


def places(config: Config, provider: str, model: str, credential: str) -> tuple[Place, ...]:
    """All that may keep this candidate away, the widest first."""
    groups = config.providers[provider].quota_groups
    group = next((name for name, models in groups.items() if model in models), None)
    limit = Scope.CREDENTIAL_MODEL if group is None else Scope.QUOTA_GROUP
    return (
        (Scope.PROVIDER, provider, "", "", ""),
        (Scope.TARGET, provider, model, "", ""),
        (Scope.CREDENTIAL, provider, "", credential, ""),
        (limit, provider, group or model, credential, ""),
    )
