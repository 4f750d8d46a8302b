"""What came of a dry run, as numbers, counted from the events alone and from the truth about the weather.

`Tally` takes events one by one; `Figures` is its sum. Their names are what scenarios expect by.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from gateway.dry_run.truth import Truth
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CooldownSource,
    CooldownStarted,
    Event,
    FlappingStarted,
    LocalNetwork,
    PoolWideFailure,
    RequestFinished,
    RequestOutcome,
    SessionMoved,
    Switched,
    SwitchKind,
)
from gateway.routing.affinity import COMPACTED
from gateway.units import MICROS, Timestamp
from gateway.upstream.simulated import CACHE_SECONDS

HOUR_SECONDS = 3600.0
SLOW_SHARE = 0.95
"""Of the answers; the first content of the others came later than `first_content_p95_seconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """None: there was nothing to measure."""

    requests: int = 0
    served: int = 0
    rescued: int = 0
    """Served after at least one failed attempt."""
    failed: int = 0
    """Answered with an error that was not the client's fault."""
    failed_with_healthy: int = 0
    """Failed although a target of the route was well all the time and had a key with room."""
    broken: int = 0
    """Broke off after content: nobody can rescue those. Not among the failed."""
    cancelled: int = 0
    served_share: float = 1.0
    """Of the requests that were neither cancelled nor broken."""
    primary_share: float = 0.0
    """Of the served requests, by the first target of their route."""
    primary_attempts_share: float = 0.0
    """Attempts on the first target, of all requests."""
    wasted_attempts: int = 0
    """That failed, whatever came of the request."""
    wasted_per_request: float = 0.0
    probes: int = 0
    failed_probes: int = 0
    switches: int = 0
    forced: int = 0
    returns: int = 0
    reversals: int = 0
    flapping: int = 0
    """How often a route began to flap."""
    cooldowns: int = 0
    holds: int = 0
    pool_wide: int = 0
    local_network: int = 0
    session_moves: int = 0
    session_moves_per_hour: float = 0.0
    """Of one session."""
    session_switches_per_hour: float = 0.0
    """Of one session: answers from another target than the answer before, though its prompt was
    still cached there. What a compacted or long idle session does costs nothing."""
    time_to_leave_seconds: float | None = None
    """The longest that a route stayed on its first target in bad weather before it left it."""
    time_to_return_seconds: float | None = None
    """The longest that a route stayed away from its first target in fair weather."""
    first_content_p95_seconds: float | None = None
    first_content_max_seconds: float | None = None


FIGURES: tuple[str, ...] = tuple(each.name for each in fields(Figures))


@dataclass(frozen=True, slots=True)
class _LastAnswer:
    """Of one session."""

    target: str
    ts: Timestamp
    bytes_received: int

    def warm_for(self, event: RequestFinished) -> bool:
        """Whether that request found the prompt of this one in its target's cache, or would have."""
        idle = (event.started - self.ts) / MICROS
        grown = event.bytes_received >= COMPACTED * self.bytes_received
        return idle <= CACHE_SECONDS and grown


class Tally:
    """Counts events as they come. `session_hours`: of all sessions together."""

    def __init__(self, truth: Truth, *, session_hours: float) -> None:
        self._truth = truth
        self._session_hours = session_hours
        self._counts: Counter[str] = Counter()
        self._sessions: dict[str, _LastAnswer] = {}
        self._first_content: list[float] = []
        self._leaving: list[float] = []
        self._returning: list[float] = []

    def take(self, event: Event) -> None:
        counts = self._counts
        match event:
            case RequestFinished():
                self._request(event)
            case AttemptFinished():
                self._attempt(event)
            case Switched():
                self._switched(event)
            case CooldownStarted():
                counts["holds" if event.source is CooldownSource.HOLD else "cooldowns"] += 1
            case FlappingStarted():
                counts["flapping"] += 1
            case SessionMoved():
                counts["session_moves"] += 1
            case PoolWideFailure():
                counts["pool_wide"] += 1
            case LocalNetwork():
                counts["local_network"] += 1
            case _:
                pass

    def figures(self) -> Figures:
        counts, hours = self._counts, self._session_hours
        requests = counts["requests"]
        lasting = requests - counts["cancelled"] - counts["broken"]
        content = sorted(self._first_content)
        whole = {name: counts[name] for name in FIGURES if name in counts}
        return Figures(
            **whole,
            served_share=_share(counts["served"], lasting, of_nothing=1.0),
            primary_share=_share(counts["served by primary"], counts["served"]),
            primary_attempts_share=_share(counts["attempts on primary"], requests),
            wasted_per_request=_share(counts["wasted_attempts"], requests),
            session_moves_per_hour=_share(counts["session_moves"], hours),
            session_switches_per_hour=_share(counts["session switches"], hours),
            time_to_leave_seconds=max(self._leaving, default=None),
            time_to_return_seconds=max(self._returning, default=None),
            first_content_p95_seconds=content[int(SLOW_SHARE * len(content))] if content else None,
            first_content_max_seconds=content[-1] if content else None,
        )

    def _request(self, event: RequestFinished) -> None:
        counts = self._counts
        counts["requests"] += 1
        if event.outcome is RequestOutcome.OK:
            self._answered(event)
        elif event.outcome is RequestOutcome.CANCELLED:
            counts["cancelled"] += 1
        elif event.bytes_sent > 0:
            counts["broken"] += 1
        elif event.outcome is not RequestOutcome.CLIENT_ERROR:
            counts["failed"] += 1
            if self._truth.somebody_was_well(event.route, since=event.started):
                counts["failed_with_healthy"] += 1

    def _answered(self, event: RequestFinished) -> None:
        counts, target = self._counts, f"{event.provider}/{event.model}"
        counts["served"] += 1
        counts["rescued"] += event.attempts > 1
        counts["served by primary"] += target == self._truth.primary(event.route)
        if event.first_content_seconds is not None:
            self._first_content.append(event.first_content_seconds)
        if event.session:
            before = self._sessions.get(event.session)
            if before is not None and before.warm_for(event):
                counts["session switches"] += before.target != target
            self._sessions[event.session] = _LastAnswer(target, event.ts, event.bytes_received)

    def _attempt(self, event: AttemptFinished) -> None:
        counts, failed = self._counts, event.outcome is AttemptOutcome.FAILED
        target = f"{event.provider}/{event.model}"
        counts["attempts on primary"] += target == self._truth.primary(event.route)
        counts["wasted_attempts"] += failed
        counts["probes"] += event.probe
        counts["failed_probes"] += event.probe and failed

    def _switched(self, event: Switched) -> None:
        counts, truth = self._counts, self._truth
        counts["switches"] += 1
        counts["reversals"] += event.reversal
        counts["forced"] += event.switch is SwitchKind.FORCED
        counts["returns"] += event.switch is SwitchKind.RETURN
        primary = truth.primary(event.route)
        sky = truth.sky(primary, at=event.ts)
        passed = min((event.ts - sky.since) / MICROS, event.dwell_seconds)
        if event.from_target == primary and sky.foul:
            self._leaving.append(passed)
        elif event.to_target == primary and not sky.foul and sky.changes:
            self._returning.append(passed)


def _share(part: float, whole: float, *, of_nothing: float = 0.0) -> float:
    return part / whole if whole else of_nothing
