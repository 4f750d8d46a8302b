"""What a day came to, recorded or replayed: its decisions, and the figures that sum them up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.events import AttemptOutcome, RequestOutcome
from gateway.replay.recorded import Move, Recorded
from gateway.units import MICROS, Timestamp

EXAMPLES_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One request: which candidates were tried, in order, and how it ended."""

    request_id: str
    outcome: RequestOutcome
    tried: tuple[tuple[str, str, AttemptOutcome], ...]
    """Target, credential, outcome."""
    added_seconds: float | None
    """From its beginning to the start of the attempt that served; None if nobody did."""

    def same(self, other: Decision) -> bool:
        """The same candidates in the same order, and the same end."""
        mine = [each[:2] for each in self.tried]
        return self.outcome is other.outcome and mine == [each[:2] for each in other.tried]


@dataclass(slots=True, kw_only=True)
class Told:
    """All that is compared of one run."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    cooldowns: int = 0
    flapping: int = 0
    first: dict[str, str] = field(default_factory=dict)
    """Route → the target on which it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    requests: int = 0
    served: int = 0
    rescued: int = 0
    """Served after at least one failed attempt."""
    failed: int = 0
    """Answered with an error that was not the client's fault, or broken off."""
    cancelled: int = 0
    attempts: int = 0
    wasted_attempts: int = 0
    """That failed, whatever came of the request."""
    switches: int = 0
    returns: int = 0
    reversals: int = 0
    flapping: int = 0
    cooldowns: int = 0
    """Holds not counted."""
    added_seconds: float = 0.0
    """Of all served requests together: from the beginning to the attempt that served."""
    added_max_seconds: float = 0.0
    target_seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Route → target → how long it was the one that serves."""


def figures(told: Told, *, since: Timestamp, until: Timestamp) -> Figures:
    counted: dict[str, int] = defaultdict(int)
    added: list[float] = []
    for each in told.decisions.values():
        wasted = sum(outcome is AttemptOutcome.FAILED for _, _, outcome in each.tried)
        served = each.outcome is RequestOutcome.OK
        counted["served"] += served
        counted["rescued"] += served and wasted > 0
        counted["failed"] += each.outcome in (
            RequestOutcome.EXHAUSTED,
            RequestOutcome.UPSTREAM_ERROR,
        )
        counted["cancelled"] += each.outcome is RequestOutcome.CANCELLED
        counted["attempts"] += len(each.tried)
        counted["wasted_attempts"] += wasted
        if served and each.added_seconds is not None:
            added.append(each.added_seconds)
    for move in told.moves:
        counted["returns"] += move.kind == "return"
        counted["reversals"] += move.reversal
    return Figures(
        requests=len(told.decisions),
        switches=len(told.moves),
        flapping=told.flapping,
        cooldowns=told.cooldowns,
        added_seconds=sum(added),
        added_max_seconds=max(added, default=0.0),
        target_seconds=_target_seconds(told, since=since, until=until),
        **counted,
    )


def _target_seconds(
    told: Told, *, since: Timestamp, until: Timestamp
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    by_route: dict[str, list[Move]] = defaultdict(list)
    for move in told.moves:
        by_route[move.route].append(move)
    for route, first in told.first.items():
        on, at = first, since
        spent: dict[str, float] = defaultdict(float)
        for move in by_route[route]:
            spent[move.from_target] += (move.ts - at) / MICROS
            on, at = move.to_target, move.ts
        spent[on] += (until - at) / MICROS
        found[route] = dict(spent)
    return found


def happened(recorded: Recorded, first: Mapping[str, str]) -> Told:
    """What the record itself comes to. `first`: where routes stood that never moved."""
    told = Told(
        moves=list(recorded.moves), cooldowns=recorded.cooldowns, flapping=recorded.flapping
    )
    told.first = dict(first)
    for move in reversed(recorded.moves):
        if move.route in told.first:
            told.first[move.route] = move.from_target
    for asked in recorded.requests:
        served = next((each for each in asked.tried if each.outcome is AttemptOutcome.OK), None)
        added = None
        if served is not None:
            added = (served.started - asked.started) / MICROS - asked.overhead_seconds
        told.decisions[asked.request_id] = Decision(
            request_id=asked.request_id,
            outcome=asked.outcome,
            tried=tuple((each.target, each.credential, each.outcome) for each in asked.tried),
            added_seconds=None if added is None else max(0.0, added),
        )
    return told


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a run reproduces another."""

    decisions: int
    same: int
    examples: tuple[tuple[Decision, Decision], ...]
    """Some that differ, as they were first."""

    @property
    def share(self) -> float:
        return self.same / self.decisions if self.decisions else 1.0


def agreement(before: Iterable[Decision], after: Mapping[str, Decision]) -> Agreement:
    total = same = 0
    examples: list[tuple[Decision, Decision]] = []
    for each in before:
        total += 1
        other = after.get(each.request_id)
        if other is not None and each.same(other):
            same += 1
        elif other is not None and len(examples) < EXAMPLES_MAX:
            examples.append((each, other))
    return Agreement(total, same, tuple(examples))
