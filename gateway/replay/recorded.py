"""What was recorded, as a replay needs it: made from the rows of the history, in any order.

A row is an item of the history API, whether it came over HTTP or from the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gateway.events import (
    AttemptOutcome,
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    CooldownStarted,
    Failure,
    FlappingStarted,
    OperatorActed,
    RequestOutcome,
    Scope,
    Usage,
)
from gateway.routing.steps import Facts
from gateway.units import MICROS, Moment, RequestId, Timestamp

Item = Mapping[str, Any]

DIALECTS = {"/v1/messages": "anthropic", "/v1/responses": "responses", "/v1beta/": "gemini"}
"""Endpoint's beginning → what its clients speak; all others speak OpenAI's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One recorded attempt: an observation of the weather at its candidate."""

    started: Timestamp
    target: str
    credential: str
    outcome: AttemptOutcome
    failure: Failure | None
    reason: str
    status: int | None
    scope: Scope | None
    stated_seconds: float | None
    duration_seconds: float
    first_content_seconds: float | None
    changes: str

    @property
    def ended(self) -> Timestamp:
        return Timestamp(self.started + round(self.duration_seconds * MICROS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One recorded request, with its attempts in order."""

    request_id: str
    trace_id: str
    route: str
    requested_model: str
    session: str
    client: str
    endpoint: str
    stream: bool
    outcome: RequestOutcome
    started: Timestamp
    duration_seconds: float
    overhead_seconds: float
    usage: Usage | None
    bytes_received: int
    body_tokens: int
    first_turn: bool
    reasoning: bool
    no_fallback: bool
    deadline_seconds: float | None
    conversation: str
    continued: str
    tried: tuple[Tried, ...]

    @property
    def ended(self) -> Timestamp:
        return Timestamp(self.started + round(self.duration_seconds * MICROS))

    @property
    def dialect(self) -> str:
        found = (name for path, name in DIALECTS.items() if self.endpoint.startswith(path))
        return next(found, "openai")

    def facts(self, began: Moment) -> Facts:
        return Facts(
            request_id=RequestId(self.request_id),
            trace_id=self.trace_id,
            span_id="",
            parent_span_id="",
            session=self.session,
            client=self.client,
            endpoint=self.endpoint,
            dialect=self.dialect,
            requested_model=self.requested_model,
            stream=self.stream,
            body_tokens=self.body_tokens,
            bytes_received=self.bytes_received,
            began=began,
            conversation=self.conversation,
            continued=self.continued,
            first_turn=self.first_turn,
            reasoning=self.reasoning,
            deadline_seconds=self.deadline_seconds,
            no_fallback=self.no_fallback,
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """A length of time that chance had a part in: a rest, a hold, a pause before a retry."""

    ts: Timestamp
    seconds: float


@dataclass(frozen=True, slots=True)
class Move:
    """A recorded or replayed switch."""

    ts: Timestamp
    route: str
    from_target: str
    to_target: str
    kind: str
    reversal: bool


@dataclass(slots=True, kw_only=True)
class Recorded:
    """A window of the history; everything in the order of time."""

    since: Timestamp
    until: Timestamp
    requests: list[Asked] = field(default_factory=list)
    observed: list[Tried] = field(default_factory=list)
    """All attempts, also of requests that are not in the window whole."""
    moves: list[Move] = field(default_factory=list)
    acts: list[Item] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    noticed: list[Timestamp] = field(default_factory=list)
    """When the gateway looked and saw that a rest was over."""
    cooldowns: int = 0
    flapping: int = 0
    restarts: int = 0
    config_versions: tuple[str, ...] = ()
    left_out: int = 0
    """Requests that the gateway refused before it looked at any candidate."""
    before: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    """What stood at `since`: `cooldowns`, `switches`, `flapping`, `acts`, as a restart reads it."""


def read(
    *,
    since: Timestamp,
    until: Timestamp,
    requests: Iterable[Item],
    attempts: Iterable[Item],
    switches: Iterable[Item],
    events: Iterable[Item],
    before: Mapping[str, Sequence[Item]] | None = None,
) -> Recorded:
    """The window from `since` to `until`, the second excluded; the part of it that has requests."""
    found = Recorded(since=since, until=until, before=before or {})
    by_request: dict[str, list[tuple[int, Tried]]] = defaultdict(list)
    for row in attempts:
        if row["attempt_id"] is None:
            continue  # It was passed over.
        tried = _tried(row)
        by_request[row["request_id"]].append((row["n"], tried))
        found.observed.append(tried)
    found.observed.sort(key=lambda each: each.started)
    versions: dict[str, None] = {}
    for row in requests:
        if row["started"] < since:
            continue
        if not row["route"] or row["outcome"] == RequestOutcome.SHED:
            found.left_out += 1
            continue
        versions[row["config_version"]] = None
        in_order = sorted(by_request.pop(row["request_id"], ()), key=lambda each: each[0])
        found.requests.append(_asked(row, tuple(each for _, each in in_order)))
    found.requests.sort(key=lambda each: (each.started, each.request_id))
    if found.requests:
        found.since = max(since, found.requests[0].started)
        found.until = min(until, Timestamp(max(each.ended for each in found.requests) + 1))
    found.config_versions = tuple(versions)
    found.moves = sorted((_move(row) for row in switches), key=lambda each: each.ts)
    _take_events(found, events)
    found.draws += (pause for each in found.requests for pause in _pauses(each.tried))
    found.draws.sort(key=lambda each: each.ts)
    return found


def _tried(row: Item) -> Tried:
    scope = Scope(row["scope"]) if row["scope"] else None
    return Tried(
        started=Timestamp(row["started"]),
        target=f"{row['provider']}/{row['model']}",
        credential=row["credential"],
        outcome=AttemptOutcome(row["outcome"]),
        failure=Failure(row["failure"]) if row["failure"] else None,
        reason=row["reason"],
        status=row["status"],
        # Which models share a quota is the configuration's to say.
        scope=Scope.CREDENTIAL_MODEL if scope is Scope.QUOTA_GROUP else scope,
        stated_seconds=row["stated_seconds"],
        duration_seconds=row["duration_seconds"],
        first_content_seconds=row["first_content_seconds"],
        changes=row.get("changes") or "",
    )


def _asked(row: Item, tried: tuple[Tried, ...]) -> Asked:
    tokens = {name: row[name] for name in ("input_tokens", "cached_tokens", "output_tokens")}
    known = any(value is not None for value in tokens.values())
    return Asked(
        request_id=row["request_id"],
        trace_id=row["trace_id"],
        route=row["route"],
        requested_model=row["requested_model"],
        session=row["session"],
        client=row["client"],
        endpoint=row["endpoint"],
        stream=row["stream"],
        outcome=RequestOutcome(row["outcome"]),
        started=Timestamp(row["started"]),
        duration_seconds=row["duration_seconds"],
        overhead_seconds=row["overhead_seconds"],
        usage=Usage(**tokens) if known else None,
        bytes_received=row["bytes_received"],
        body_tokens=row.get("body_tokens") or tokens["input_tokens"] or 0,
        first_turn=bool(row.get("first_turn")),
        reasoning=bool(row.get("reasoning")),
        no_fallback=bool(row.get("no_fallback")),
        deadline_seconds=row.get("deadline_seconds"),
        conversation=row.get("conversation") or "",
        continued=row.get("continued") or "",
        tried=tried,
    )


def _move(row: Item) -> Move:
    return Move(
        Timestamp(row["ts"]), row["route"], row["from"], row["to"], row["kind"], row["reversal"]
    )


def _take_events(found: Recorded, events: Iterable[Item]) -> None:
    for row in events:
        match row["kind"]:
            case "cooldown_started" | "cooldown_extended":
                seconds = row["duration_seconds"]
                if row["kind"] == "cooldown_extended":
                    seconds = (row["until"] - row["ts"]) / MICROS
                found.draws.append(Draw(Timestamp(row["ts"]), seconds))
                begun = row["kind"] == CooldownStarted.kind
                found.cooldowns += begun and row["source"] != CooldownSource.HOLD
            case CooldownEnded.kind if row["ended"] == CooldownEnd.EXPIRED:
                found.noticed.append(Timestamp(row["ts"]))
            case OperatorActed.kind:
                found.acts.append(row)
            case FlappingStarted.kind:
                found.flapping += 1
            case "process_started":
                found.restarts += 1
            case _:
                pass
    found.noticed.sort()
    found.acts.sort(key=lambda row: row["ts"])


def _pauses(tried: Sequence[Tried]) -> Iterable[Draw]:
    """The waits before the same candidate was asked again."""
    for before, after in pairwise(tried):
        if (before.target, before.credential) == (after.target, after.credential):
            yield Draw(before.ended, (after.started - before.ended) / MICROS)
