"""The stored events of a run as a timeline: what rested, was on trial, under way, at each moment.

Built from the log alone. Times are Unix microseconds. Where things fall on one microsecond their
order is not always known; so what was so "surely" is asked with a margin, and what "may" have been
so without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.config import Config
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    OperatorActed,
    ProcessStarted,
)
from gateway.units import MICROS
from tests.simulation.books import FAULTS, Place, place_of, places

MARGIN = 5
"""Microseconds: what rounding may do."""
REAL_MARGIN = 5_000
"""Where real clocks are read: two of them, one after the other, by a process that may be interrupted."""
NEVER = 2**62


@dataclass(slots=True)
class Span:
    """From `start` until just before `end`."""

    start: int
    end: int = NEVER

    def surely(self, ts: int, margin: int) -> bool:
        return self.start + margin < ts < self.end - margin

    def may(self, ts: int, margin: int) -> bool:
        return self.start - margin <= ts <= self.end + margin


@dataclass(slots=True)
class RestSpan(Span):
    id: str = ""
    steps: list[tuple[int, int, str, CooldownSource]] = field(default_factory=list)
    """When it began or was prolonged: from, until, reason, source."""

    def step(self, ts: int, margin: int) -> tuple[int, int, str, CooldownSource]:
        """What was known of it at `ts`."""
        known = [each for each in self.steps if each[0] <= ts + margin]
        return known[-1] if known else self.steps[0]


@dataclass(slots=True)
class Under(Span):
    """An attempt, from its sending to its end."""

    attempt: AttemptFinished | None = None
    decided: int = NEVER
    """First content, or the end without any."""


class Timeline:
    def __init__(self, config: Config, events: Sequence[Event], *, margin: int = MARGIN) -> None:
        self.config = config
        self.margin = margin
        self.rests: dict[Place, list[RestSpan]] = defaultdict(list)
        self.trials: dict[Place, list[Span]] = defaultdict(list)
        self.attempts: list[Under] = []
        self.by_target: dict[str, list[Under]] = defaultdict(list)
        self.by_credential: dict[tuple[str, str], list[Under]] = defaultdict(list)
        self.problems: list[str] = []
        self._attempts(events)
        self._build(events)

    # -- asking --------------------------------------------------------------------------------

    def resting(self, place: Place, ts: int) -> RestSpan | None:
        """What surely rested then."""
        return next(
            (span for span in reversed(self.rests[place]) if span.surely(ts, self.margin)), None
        )

    def may_rest(self, place: Place, ts: int) -> list[RestSpan]:
        return [span for span in self.rests[place] if span.may(ts, self.margin)]

    def on_trial(self, place: Place, ts: int) -> bool:
        return any(span.surely(ts, self.margin) for span in self.trials[place])

    def may_be_on_trial(self, place: Place, ts: int) -> bool:
        return any(span.may(ts, self.margin) for span in self.trials[place])

    def probed(self, ts: int, *, target: str, credentials: Iterable[str]) -> bool:
        """Whether a probe of the target, its provider or one of the credentials may run."""
        provider = target.partition("/")[0]
        near = [*self.by_target[target]]
        for key in credentials:
            near += self.by_credential[provider, key]
        return any(
            each.attempt is not None
            and each.attempt.probe
            and each.start - self.margin <= ts <= each.decided + self.margin
            for each in near
        )

    def kept(self, provider: str, model: str, credential: str) -> tuple[Place, ...]:
        return places(self.config, provider, model, credential)

    # -- building ------------------------------------------------------------------------------

    def _attempts(self, events: Sequence[Event]) -> None:
        for event in events:
            if not isinstance(event, AttemptFinished):
                continue
            content = event.first_content_seconds
            decided = event.ts if content is None else event.started + round(content * MICROS)
            under = Under(event.started, event.ts, event, decided)
            self.attempts.append(under)
            self.by_target[f"{event.provider}/{event.model}"].append(under)
            self.by_credential[event.provider, event.credential].append(under)

    def _build(self, events: Sequence[Event]) -> None:
        """One pass in the order of time: events, and between them the probes' begins and proofs."""
        marks: list[tuple[int, int, int, Event | Under]] = [
            (event.ts, 1, index, event) for index, event in enumerate(events)
        ]
        for index, under in enumerate(self.attempts):
            attempt = under.attempt
            if attempt is not None and attempt.probe:
                marks.append((under.start, 2, index, under))
                if attempt.first_content_seconds is not None:
                    # Whom a content wakes is sent at its very moment, which is rounded here.
                    early = under.decided - self.margin
                    at = (early, 0) if early > under.start else (under.start, 3)
                    marks.append((*at, index, under))
        leases: dict[Place, str] = {}
        taking_over = False
        for ts, kind, _, what in sorted(marks, key=lambda each: each[:3]):
            if isinstance(what, Under):
                self._probe(what, leases, begins=kind == 2, ts=ts)
            elif isinstance(what, ProcessStarted):
                taking_over = True
                self._forget(ts)
            else:
                taking_over = taking_over and not isinstance(what, AttemptFinished)
                self._read(what, taking_over=taking_over)

    def _probe(self, under: Under, leases: dict[Place, str], *, begins: bool, ts: int) -> None:
        attempt = under.attempt
        assert attempt is not None
        for place in self.kept(attempt.provider, attempt.model, attempt.credential):
            if begins:
                leases[place] = attempt.attempt_id
            elif leases.get(place) == attempt.attempt_id:
                self._close(place, ts)

    def _read(self, event: Event, *, taking_over: bool) -> None:
        match event:
            case CooldownStarted():
                self._started(event)
            case CooldownExtended():
                self._extended(event)
            case CooldownEnded():
                self._ended(event, taking_over=taking_over)
            case OperatorActed(action="reset"):
                self._reset(event)
            case _:
                pass

    def _started(self, event: CooldownStarted) -> None:
        place = place_of(event)
        known = self.rests[place]
        if known and known[-1].end == NEVER:
            self.problems.append(f"{event.cooldown_id} starts while {known[-1].id} rests")
        step = (event.ts, event.until, event.reason, event.source)
        known.append(RestSpan(event.ts, NEVER, event.cooldown_id, [step]))
        if event.source in FAULTS:
            self._open(place, event.ts)

    def _extended(self, event: CooldownExtended) -> None:
        place = place_of(event)
        span = self._open_rest(place, event.cooldown_id)
        if span is None:
            return
        if event.until < span.steps[-1][1] - self.margin:
            self.problems.append(f"{event.cooldown_id} is shortened")
        span.steps.append((event.ts, event.until, event.reason, event.source))
        if event.source in FAULTS:
            self._open(place, event.ts)

    def _ended(self, event: CooldownEnded, *, taking_over: bool) -> None:
        place = place_of(event)
        span = self._open_rest(place, event.cooldown_id)
        if span is None:
            return
        span.end = event.ended_at
        until = span.steps[-1][1]
        if event.ended is CooldownEnd.EXPIRED and event.ended_at < until - self.margin:
            self.problems.append(f"{event.cooldown_id} expires before its time")
        if event.ended is CooldownEnd.OPERATOR:
            self._close(place, event.ts)
        if event.ended is CooldownEnd.SUPERSEDED:
            if taking_over:
                self._open(place, event.ts)
            elif not any(each.start < span.start for each in self.trials[place][-1:]):
                self._close(place, event.ts)

    def _reset(self, event: OperatorActed) -> None:
        for place in list(self.trials):
            provider, model = place[1], place[2]
            own = event.provider in ("", provider)
            group = self.config.providers[provider].quota_groups.get(model, ())
            wanted = event.target.partition("/")[2]
            if own and wanted in ("", model, *group):
                self._close(place, event.ts)

    def _forget(self, ts: int) -> None:
        for place in list(self.trials):
            if not any(span.end == NEVER for span in self.rests[place]):
                self._close(place, ts)

    def _open_rest(self, place: Place, cooldown: str) -> RestSpan | None:
        known = self.rests[place]
        if known and known[-1].id == cooldown and known[-1].end == NEVER:
            return known[-1]
        self.problems.append(f"{cooldown} is prolonged or ended and does not rest")
        return None

    def _open(self, place: Place, ts: int) -> None:
        known = self.trials[place]
        if not known or known[-1].end != NEVER:
            known.append(Span(ts))

    def _close(self, place: Place, ts: int) -> None:
        known = self.trials[place]
        if known and known[-1].end == NEVER:
            known[-1].end = ts


def by_request(events: Sequence[Event]) -> Mapping[str, list[Event]]:
    """All that carries a request's id, in order."""
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        name = getattr(event, "request_id", "")
        if name:
            found[name].append(event)
    return found


def cancelled(event: AttemptFinished) -> bool:
    return event.outcome is AttemptOutcome.CANCELLED
