"""The offline checker: derives every recorded decision anew from the stored events, and says which it
cannot. It shares no code with the deciding modules but the table of failures and the configuration.

`check(config, events)` takes events in commit order; `from_items` makes them from the rows of a
history (`Queries.events_after`). An empty answer means that nothing unexplained remains.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.config import Config, Route, Stability
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    Event,
    OperatorActed,
    RequestFinished,
    RequestOutcome,
    Scope,
    SkipReason,
    Stamped,
    Switched,
)
from gateway.routing.policy import POLICY, Blame
from storage import rows
from tests.simulation.durations import Durations
from tests.simulation.flapping import Flapping
from tests.simulation.timeline import MARGIN, RestSpan, Timeline, by_request

ON_TRIAL = "on_trial"
DIRECT = "direct"
"""Requests for `provider/model` share this label; their many pointers cannot be told apart."""


def from_items(items: Iterable[Mapping[str, Any]]) -> list[Stamped]:
    """The events of a history, as `Queries.events_after` returns their rows."""
    return [rows.stamped(dict(each)) for each in items]


def check_stamped(config: Config, stamped: Sequence[Stamped], *, margin: int = MARGIN) -> list[str]:
    """`check`, and the numbers of the events: within one boot there is no gap."""
    problems: list[str] = []
    last: dict[str, int] = {}
    for each in stamped:
        before = last.get(each.boot_id)
        if before is not None and each.seq != before + 1:
            problems.append(f"boot {each.boot_id}: after {before} comes {each.seq}")
        last[each.boot_id] = each.seq
    return problems + check(config, [each.event for each in stamped], margin=margin)


def check(config: Config, events: Sequence[Event], *, margin: int = MARGIN) -> list[str]:
    """What of the log cannot be explained; in the order of the checks, then of time.

    `margin`: the microseconds within which the order of things is not known.
    """
    checker = Checker(config, events, margin=margin)
    checker.run()
    return checker.problems


class Checker:
    def __init__(self, config: Config, events: Sequence[Event], *, margin: int) -> None:
        self._config = config
        self._margin = margin
        self._events = events
        self._line = Timeline(config, events, margin=margin)
        self._requests = by_request(events)
        self._routes: dict[str, Route] = {each.name: each for each in config.routes}
        self._flapping = Flapping(config, events, margin=margin)
        self.problems: list[str] = []
        self._pointers: dict[str, list[tuple[int, str]]] = {
            each.name: [(0, self._first(each))] for each in config.routes
        }
        self._pinned = {
            event.route
            for event in events
            if isinstance(event, OperatorActed) and event.action == "pin"
        }
        self._goods: dict[str, list[int]] = defaultdict(list)
        """When a target gave whole good answers since its last failure."""

    def run(self) -> None:
        self.problems += self._line.problems
        self.problems += Durations(self._config, self._events, self._line).problems()
        for event in self._events:
            match event:
                case Switched():
                    self._switch(event)
                case AttemptFinished():
                    self._answered(event)
                case _:
                    pass
        self.problems += self._flapping.problems
        for event in self._events:
            match event:
                case AttemptFinished():
                    self._attempt(event)
                case CandidateSkipped():
                    self._skip(event)
                case RequestFinished():
                    self._request(event)
                case _:
                    pass

    # -- the pointer ---------------------------------------------------------------------------

    def _first(self, route: Route) -> str:
        able = [each for each in route.targets if self._config.providers[each.provider].credentials]
        return (able or list(route.targets))[0].target

    def _switch(self, event: Switched) -> None:
        if event.route == DIRECT:
            return
        chain = self._pointers[event.route]
        since, pointer = chain[-1]
        if event.from_target != pointer:
            self._say(event, f"leaves {event.from_target}; the pointer is on {pointer}")
        if event.to_target == pointer:
            self._say(event, "goes nowhere")
        if since and abs(event.dwell_seconds * 1e6 - (event.ts - since)) > 1000 + self._margin:
            self._say(
                event, f"stayed {event.dwell_seconds} s, by the log {(event.ts - since) / 1e6}"
            )
        undone = len(chain) > 1 and chain[-2][1] == event.to_target
        if event.reversal is not undone:
            self._say(event, f"reversal {event.reversal}, by the log {undone}")
        match event.switch.value:
            case "forced":
                self._forced(event)
            case "return":
                self._returned(event)
            case _:
                pass
        chain.append((event.ts, event.to_target))

    def _forced(self, event: Switched) -> None:
        """What was left was held, rested, or had no credential for long."""
        provider, _, model = event.from_target.partition("/")
        held = self._line.may_rest((Scope.TARGET, provider, model, "", event.route), event.ts)
        if not held and self._stability(event.route).cooldown_min_seconds > 0:
            self._say(event, f"{event.from_target} is left without a hold")
        if event.request_id not in self._requests:
            self._say(event, "is forced by no request")

    def _returned(self, event: Switched) -> None:
        stability = self._stability(event.route)
        good = self._goods[event.to_target]
        if len(good) < stability.return_good_answers:
            self._say(event, f"returns on {len(good)} good answers")
        elif (good[-1] - good[0]) / 1e6 + 1e-3 + self._margin / 1e6 < min(
            stability.return_good_seconds, stability.return_good_max_seconds
        ):
            self._say(event, f"returns on good answers within {(good[-1] - good[0]) / 1e6} s")
        provider, _, model = event.to_target.partition("/")
        place = (Scope.TARGET, provider, model, "", event.route)
        if self._line.resting(place, event.ts) is not None:
            self._say(event, f"returns to {event.to_target}, which is held")
        if self._flapping.suppressed(event.route, event.to_target, event.ts):
            self._say(event, f"returns to {event.to_target}, which is suppressed")

    def _answered(self, event: AttemptFinished) -> None:
        name = f"{event.provider}/{event.model}"
        if event.outcome is AttemptOutcome.OK:
            self._goods[name].append(event.ts)
        elif event.failure is not None and POLICY[event.failure].blame is Blame.HEALTH:
            self._goods[name].clear()

    def _pointer_at(self, route: str, ts: int) -> set[str]:
        """Where the pointer may have been; two places at the moment of a switch."""
        chain = self._pointers.get(route, [])
        found = {target for at, target in chain if at <= ts - self._margin}
        last = [target for at, target in chain if at <= ts - self._margin][-1:]
        return (
            set(last) | {target for at, target in chain if abs(at - ts) <= self._margin}
            if found
            else ({target for _, target in chain})
        )

    # -- attempts ------------------------------------------------------------------------------

    def _attempt(self, event: AttemptFinished) -> None:
        kept = self._line.kept(event.provider, event.model, event.credential)
        resting = [place for place in kept if self._line.resting(place, event.started)]
        trial = [place for place in kept if self._line.on_trial(place, event.started)]
        if not event.probe:
            if resting or trial:
                self._say(event, f"is no probe of {resting or trial}")
            if not self._in_order(event):
                self._say(event, "goes by the pointer's target for no reason")
            return
        may = any(
            self._line.may_rest(place, event.started)
            or self._line.may_be_on_trial(place, event.started)
            for place in kept
        )
        if not may and not self._better(event):
            self._say(event, "is a probe of what was proved")

    def _in_order(self, event: AttemptFinished) -> bool:
        """On the pointer's target, or that one was passed over; sessions and pins go their own way."""
        mine = f"{event.provider}/{event.model}"
        pointers = self._pointer_at(event.route, event.started)
        if event.session or event.route in self._pinned or not pointers or mine in pointers:
            return True
        passed = {
            f"{each.provider}/{each.model}"
            for each in self._requests[event.request_id]
            if isinstance(each, AttemptFinished | CandidateSkipped) and each.n < event.n
        }
        return any(
            each in passed or self._stands_back(event.route, each, event.started)
            for each in pointers
        )

    def _stands_back(self, route: str, target: str, ts: int) -> bool:
        provider, _, model = target.partition("/")
        held = self._line.may_rest((Scope.TARGET, provider, model, "", route), ts)
        return bool(held) or self._flapping.suppressed(route, target, ts)

    def _better(self, event: AttemptFinished) -> bool:
        """Better than where the pointer was: a probe for the sake of a return."""
        route = self._routes.get(event.route)
        if route is None:
            return True
        order = [each.target for each in route.targets]
        pointers = self._pointer_at(event.route, event.started)
        mine = f"{event.provider}/{event.model}"
        return any(order.index(mine) < order.index(each) for each in pointers)

    # -- skips ---------------------------------------------------------------------------------

    def _skip(self, event: CandidateSkipped) -> None:
        explained = {
            SkipReason.COOLING: self._cooling,
            SkipReason.HELD: self._held,
            SkipReason.SUPPRESSED: self._suppressed,
            SkipReason.PROBING: self._probing,
            SkipReason.AT_CAPACITY: self._full,
            SkipReason.SAME_FAULT: self._same_fault,
            SkipReason.ATTEMPTS_SPENT: self._spent,
            SkipReason.NOT_PREFERRED: self._not_preferred,
            SkipReason.DISABLED: self._disabled,
            SkipReason.CONTEXT_SIZE: self._too_long,
        }.get(event.reason)
        if explained is not None and not explained(event):
            self._say(event, f"is unexplained: {event.reason} {event.cause}".rstrip())

    def _cooling(self, event: CandidateSkipped) -> bool:
        kept = self._line.kept(event.provider, event.model, event.credential)
        near = kept[2:] if event.credential else kept[:2]
        return any(
            self._is_rest(span, event)
            for place in near
            for span in self._line.may_rest(place, event.ts)
        )

    def _is_rest(self, span: RestSpan, event: CandidateSkipped) -> bool:
        _, until, reason, _ = span.step(event.ts, self._margin)
        known = any(
            each[2] == event.cause
            and event.until is not None
            and abs(each[1] - event.until) < 1000 + self._margin
            for each in span.steps
        )
        told = event.until is not None and abs(until - event.until) < 1000 + self._margin
        return known or (reason == event.cause and told)

    def _held(self, event: CandidateSkipped) -> bool:
        place = (Scope.TARGET, event.provider, event.model, "", event.route)
        if event.route == DIRECT:
            return True
        return any(self._is_rest(span, event) for span in self._line.may_rest(place, event.ts))

    def _suppressed(self, event: CandidateSkipped) -> bool:
        target = f"{event.provider}/{event.model}"
        return self._flapping.suppressed(event.route, target, event.ts)

    def _probing(self, event: CandidateSkipped) -> bool:
        keys = [key.name for key in self._config.providers[event.provider].credentials]
        mine = [event.credential] if event.credential else keys
        return self._line.probed(
            event.ts, target=f"{event.provider}/{event.model}", credentials=mine
        ) or self._provider_probed(event)

    def _provider_probed(self, event: CandidateSkipped) -> bool:
        """The provider itself is tested through another of its models."""
        names = {each.target for route in self._config.routes for each in route.targets}
        near = [name for name in names if name.partition("/")[0] == event.provider]
        return any(self._line.probed(event.ts, target=name, credentials=()) for name in near)

    def _full(self, event: CandidateSkipped) -> bool:
        provider = self._config.providers[event.provider]
        caps = [
            key.max_in_flight
            for key in provider.credentials
            if event.credential in ("", key.name)  # The queue for one key is the provider's.
        ]
        return provider.max_in_flight is not None or any(cap is not None for cap in caps)

    def _tried(self, event: CandidateSkipped) -> list[AttemptFinished]:
        """The request's attempts before it."""
        return [
            each
            for each in self._requests[event.request_id]
            if isinstance(each, AttemptFinished) and each.n < event.n
        ]

    def _same_fault(self, event: CandidateSkipped) -> bool:
        return any(
            (each.provider, each.model) == (event.provider, event.model)
            and each.failure is not None
            and not POLICY[each.failure].next_credential
            for each in self._tried(event)
        )

    def _spent(self, event: CandidateSkipped) -> bool:
        stability = self._stability(event.route)
        counted = Counter(
            each.provider
            for each in self._tried(event)
            if each.failure is not None and POLICY[each.failure].blame is not Blame.CAPACITY
        )
        enough = counted[event.provider] >= stability.max_attempts_per_provider
        return enough or counted.total() >= stability.max_attempts

    def _not_preferred(self, event: CandidateSkipped) -> bool:
        if event.cause == ON_TRIAL:
            keys = [key.name for key in self._config.providers[event.provider].credentials]
            return any(
                self._line.may_be_on_trial(place, event.ts)
                for key in ([event.credential] if event.credential else keys)
                for place in self._line.kept(event.provider, event.model, key)
            )
        if event.route == DIRECT or event.session:
            return True
        return self._pointer_at(event.route, event.ts) != {f"{event.provider}/{event.model}"}

    def _disabled(self, event: CandidateSkipped) -> bool:
        return not self._config.providers[event.provider].credentials

    def _too_long(self, event: CandidateSkipped) -> bool:
        route = self._routes.get(event.route)
        limits = [each.context_tokens for each in route.targets] if route is not None else [0]
        return any(limit is not None for limit in limits)

    # -- requests ------------------------------------------------------------------------------

    def _request(self, event: RequestFinished) -> None:
        mine = self._requests[event.request_id]
        tried = [each for each in mine if isinstance(each, AttemptFinished)]
        passed = [each for each in mine if isinstance(each, CandidateSkipped)]
        numbers = sorted([*(each.n for each in tried), *(each.n for each in passed)])
        if numbers != list(range(1, len(numbers) + 1)):
            self._say(event, f"has candidates {numbers}")
        if (event.attempts, event.skipped) != (len(tried), len(passed)):
            self._say(event, f"tells of {event.attempts} attempts; the log of {len(tried)}")
        well = bool(tried) and tried[-1].outcome is AttemptOutcome.OK
        if (event.outcome is RequestOutcome.OK) is not well and (
            event.outcome is not RequestOutcome.CANCELLED
        ):
            self._say(event, f"ends {event.outcome}; its last attempt was {well}")

    # -- inside --------------------------------------------------------------------------------

    def _stability(self, route: str) -> Stability:
        known = self._routes.get(route)
        return self._config.stability if known is None else self._config.route_stability(known)

    def _say(self, event: Any, what: str) -> None:
        name = getattr(event, "attempt_id", "") or getattr(event, "request_id", "")
        self.problems.append(f"{event.ts} {event.kind} {name}: {what}")
