"""How long each rest was to be, computed anew from what caused it; a part of the checker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.config import Config, Stability
from gateway.events import (
    AttemptFinished,
    CooldownEnd,
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    Failure,
)
from gateway.routing.guard import LOCAL_REST_SECONDS
from gateway.routing.policy import JITTER, ladder
from gateway.units import MICROS
from tests.simulation.books import Place, place_of
from tests.simulation.timeline import Timeline

SLACK = 1e-3
"""Seconds."""
STATED_JITTER_SHARE, STATED_JITTER_SECONDS = 0.1, 2.0
LOCAL_NETWORK, POOL_WIDE = "local_network", "pool_wide"


class Durations:
    def __init__(self, config: Config, events: Sequence[Event], line: Timeline) -> None:
        self._config = config
        self._events = events
        self._line = line
        self._slack = SLACK + 4 * line.margin / MICROS
        self._attempts: dict[str, AttemptFinished] = {
            e.attempt_id: e for e in events if isinstance(e, AttemptFinished)
        }
        self._levels: dict[Place, tuple[int, int]] = {}
        """Step of the ladder, and when the rest of it was over."""
        self._starts = {e.cooldown_id: e for e in events if isinstance(e, CooldownStarted)}

    def problems(self) -> list[str]:
        found: list[str] = []
        for event in self._events:
            match event:
                case CooldownStarted() | CooldownExtended():
                    said = [f"{event.ts} {event.cooldown_id}: {what}" for what in self._rest(event)]
                    found += said
                case CooldownEnded():
                    self._ended(event)
                case _:
                    pass
        return found

    def _stability(self, event: CooldownStarted | CooldownExtended) -> Stability:
        route = next((r for r in self._config.routes if r.name == event.route), None)
        if route is not None:
            return self._config.hold_stability(route, event.provider)
        return self._config.provider_stability(event.provider)

    def _rest(self, event: CooldownStarted | CooldownExtended) -> Iterator[str]:
        seconds = (event.until - event.ts) / MICROS
        stability = self._stability(event)
        cause = self._attempts.get(event.trigger_attempt_id)
        if event.source is CooldownSource.OPERATOR:
            if isinstance(event, CooldownStarted) and not event.actor:
                yield "is an operator's without an operator"
            return
        if cause is None and event.source is not CooldownSource.HOLD:
            yield f"has no attempt {event.trigger_attempt_id} as its cause"
            return
        match event.source:
            case CooldownSource.STATED:
                assert cause is not None
                yield from _stated(cause, seconds, stability)
            case CooldownSource.LADDER:
                assert cause is not None
                yield from self._ladder(event, cause, seconds, stability)
            case CooldownSource.HOLD:
                yield from self._hold(event, seconds, stability)

    def _ladder(
        self,
        event: CooldownStarted | CooldownExtended,
        cause: AttemptFinished,
        seconds: float,
        stability: Stability,
    ) -> Iterator[str]:
        if event.reason == LOCAL_NETWORK:
            if abs(seconds - LOCAL_REST_SECONDS) > SLACK:
                yield f"rests {seconds} s while the network is away"
            return
        failure = Failure.UNKNOWN if event.reason == POOL_WIDE else Failure(event.reason)
        if event.reason != POOL_WIDE and cause.failure is not failure:
            yield f"rests for {failure}; its attempt failed with {cause.failure}"
        base = ladder(failure, stability).seconds(event.level)
        if not base - SLACK <= seconds <= base * (1 + JITTER) + SLACK:
            yield f"rests {seconds} s on step {event.level}, which is {base} s"
        place = place_of(event)
        level, over = self._levels.get(place, (0, 0))
        calm = int(max(0.0, (event.ts - over) / MICROS) / stability.ladder_decay_seconds)
        allowed = {max(0, level - calm) + 1, max(0, level - calm - 1) + 1}
        if isinstance(event, CooldownStarted) and event.level not in allowed:
            yield f"is on step {event.level} after step {level} and {calm} times of peace"

    def _hold(
        self, event: CooldownStarted | CooldownExtended, seconds: float, stability: Stability
    ) -> Iterator[str]:
        """max(minimum, multiple of the time until the target can be tried), by the other rests."""
        least, most = self._ready_in(event)
        low = max(stability.cooldown_min_seconds, stability.cooldown_multiplier * least)
        high = max(stability.cooldown_min_seconds, stability.cooldown_multiplier * most)
        if not low - self._slack <= seconds <= high * (1 + JITTER) + self._slack:
            yield f"holds {seconds} s, by the log {low} s to {high} s × {1 + JITTER}"

    def _ready_in(self, event: CooldownStarted | CooldownExtended) -> tuple[float, float]:
        """Bounds of the seconds until some credential of the target may be tried."""
        low, high = float("inf"), float("inf")
        for key in self._config.providers[event.provider].credentials:
            kept = self._line.kept(event.provider, event.model, key.name)
            sure = [
                (span.step(event.ts, self._line.margin)[1] - event.ts) / MICROS
                for place in kept
                if (span := self._line.resting(place, event.ts)) is not None
            ]
            may = [
                (step[1] - event.ts) / MICROS
                for place in kept
                for span in self._line.may_rest(place, event.ts)
                for step in span.steps
            ]
            low = min(low, max(sure, default=0.0))
            # A place that is just being tested counts as one second.
            high = min(high, max(1.0, *may) if may else 1.0)
        return low, high

    def _ended(self, event: CooldownEnded) -> None:
        place = place_of(event)
        if event.ended is CooldownEnd.OPERATOR:
            self._levels[place] = (0, event.ended_at)
            return
        started = self._starts.get(event.cooldown_id)
        level, over = self._levels.get(place, (0, 0))
        if event.ended is CooldownEnd.SUPERSEDED or started is None:
            return
        stability = self._stability(started)
        if started.level:
            level = started.level
        else:
            level = max(
                0, level - int((started.ts - over) / MICROS / stability.ladder_decay_seconds)
            )
        self._levels[place] = (level, event.ended_at)


def _stated(cause: AttemptFinished, seconds: float, stability: Stability) -> Iterator[str]:
    if cause.stated_seconds is None:
        yield "is stated, and its attempt states nothing"
        return
    hint = min(
        max(cause.stated_seconds, stability.stated_min_seconds), stability.stated_max_seconds
    )
    most = hint + min(STATED_JITTER_SECONDS, STATED_JITTER_SHARE * hint)
    if not hint - SLACK <= seconds <= most + SLACK:
        yield f"rests {seconds} s; stated were {cause.stated_seconds} s"
