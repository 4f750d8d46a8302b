"""Penalties and flapping, computed anew from switches and failed probes; a part of the checker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gateway.config import Config, Damping, Stability
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    Event,
    FlappingEnded,
    FlappingStarted,
    OperatorActed,
    Switched,
    SwitchKind,
)
from gateway.routing.policy import POLICY, Blame
from gateway.units import MICROS
from tests.simulation.timeline import NEVER, Span

Key = tuple[str, str]
"""Route, target."""
TOLERANCE = 1e-6
"""Of a penalty, relative: a decay over microseconds."""


class Flapping:
    def __init__(self, config: Config, events: Sequence[Event], *, margin: int) -> None:
        self._margin = margin
        self.problems: list[str] = []
        self._config = config
        self._routes = {each.name: each for each in config.routes}
        self._values: dict[Key, tuple[float, int]] = {}
        self._spans: dict[Key, list[Span]] = defaultdict(list)
        self._pointers = {each.name: each.targets[0].target for each in config.routes}
        self._told: dict[Key, FlappingStarted] = {}
        self._waiting: tuple[Key, int, bool] | None = None
        """A crossing whose event comes behind the failed probe that caused it; whether it must come,
        which so near to the line is not always known."""
        for event in events:
            self._overdue(event.ts)
            self._read(event)
        self._overdue(NEVER)
        for key, event in self._told.items():
            self.problems.append(f"{event.ts}: {key} flaps for no departure and no probe")

    def suppressed(self, route: str, target: str, ts: int) -> bool:
        stability = self._stability(route, target)
        spans = self._spans[route, target]
        return stability.damping is Damping.ENFORCE and any(
            span.may(ts, self._margin) for span in spans
        )

    def _read(self, event: Event) -> None:
        match event:
            case FlappingStarted():
                self._started(event)
            case FlappingEnded():
                self._ended(event)
            case Switched():
                self._switched(event)
            case AttemptFinished(probe=True, outcome=AttemptOutcome.FAILED):
                self._probe_failed(event)
            case OperatorActed(action="clear_penalty"):
                for key in [key for key in self._values if key[0] == event.route]:
                    del self._values[key]
            case _:
                pass

    def _switched(self, event: Switched) -> None:
        if event.route not in self._routes:
            return
        self._pointers[event.route] = event.to_target
        if event.switch is not SwitchKind.FORCED:
            return
        key = (event.route, event.from_target)
        stability = self._stability(*key)
        value = self._add(key, stability.penalty_departure, event.ts)
        if abs(value - event.penalty) > self._tolerance(key) * max(1.0, value):
            self.problems.append(f"{event.ts}: {key} has {event.penalty}, by the log {value}")

    def _probe_failed(self, event: AttemptFinished) -> None:
        route = self._routes.get(event.route)
        if route is None or event.failure is None:
            return
        order = [each.target for each in route.targets]
        mine = f"{event.provider}/{event.model}"
        better = order.index(mine) < order.index(self._pointers[event.route])
        if better and POLICY[event.failure].blame is not Blame.NOBODY:
            key = (event.route, mine)
            self._add(key, self._stability(*key).penalty_probe, event.ts)

    def _add(self, key: Key, amount: float, ts: int) -> float:
        stability = self._stability(*key)
        if stability.damping is Damping.OFF:
            return 0.0
        most = stability.reuse_at * 2.0 ** (
            stability.suppress_max_seconds / stability.half_life_seconds
        )
        value = float(min(most, self._value(key, ts) + amount))
        self._values[key] = (value, ts)
        told = self._told.pop(key, None)
        running = bool(self._spans[key]) and self._spans[key][-1].end > ts
        if told is not None and abs(told.penalty - value) > self._tolerance(key) * value:
            self.problems.append(f"{ts}: {key} flaps at {told.penalty}, by the log {value}")
        near = stability.suppress_at * self._tolerance(key)
        if value >= stability.suppress_at - near and told is None and not running:
            self._waiting = (key, ts, value >= stability.suppress_at + near)
        return value

    def _overdue(self, ts: int) -> None:
        if self._waiting is not None and ts > self._waiting[1] + self._margin:
            key, at, must = self._waiting
            self._waiting = None
            if must:
                self.problems.append(f"{at}: {key} flaps untold")

    def _started(self, event: FlappingStarted) -> None:
        key = (event.route, event.target)
        if event.route not in self._routes:
            return
        waiting, self._waiting = self._waiting, None
        self._spans[key].append(Span(event.ts))
        behind = waiting is not None and waiting[0] == key
        if not behind:
            self._told[key] = event  # A departure's switch is told right behind it.

    def _ended(self, event: FlappingEnded) -> None:
        key = (event.route, event.target)
        if event.route not in self._routes:
            return
        spans = self._spans[key]
        if not spans or spans[-1].end <= event.ts:
            self.problems.append(f"{event.ts}: {key} calms down and did not flap")
            return
        stability = self._stability(*key)
        value = self._value(key, event.ts)
        long = (
            event.ts - spans[-1].start
        ) / MICROS >= stability.suppress_max_seconds - self._margin / MICROS - 1e-3
        if value > stability.reuse_at * (1 + self._tolerance(key)) and not long:
            self.problems.append(f"{event.ts}: {key} calms down at {value}")
        if long:
            self._values[key] = (min(value, stability.reuse_at), event.ts)
        spans[-1].end = event.ts

    def _value(self, key: Key, ts: int) -> float:
        value, at = self._values.get(key, (0.0, 0))
        half_life = self._stability(*key).half_life_seconds
        return float(value * 2.0 ** (-(ts - at) / MICROS / half_life))

    def _tolerance(self, key: Key) -> float:
        return TOLERANCE + 2 * self._margin / MICROS / self._stability(*key).half_life_seconds

    def _stability(self, route: str, target: str) -> Stability:
        known = self._routes.get(route)
        if known is None:
            return self._config.stability
        return self._config.hold_stability(known, target.partition("/")[0])
