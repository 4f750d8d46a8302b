"""One request's machine: facts in, next step and events out. It never waits and sends nothing.

The relay asks `step`, does what it says, and reports with exactly one of `failed`, `finished` or
`abandoned`, after `committed` once the first content is on its way. `closed` ends the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from types import MappingProxyType
from typing import TypeAlias

from gateway.config import Credential, Provider, Timeouts
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    Scope,
    SkipReason,
    Usage,
)
from gateway.routing.answer import Part, Refusal, refuse
from gateway.routing.cooldown import Trigger
from gateway.routing.policy import POLICY, RETRY_PAUSE_SECONDS, Again, Blame, Rule
from gateway.routing.pool import Blamed, Pool, Skip, Wanted
from gateway.routing.state import Candidate, HopState, RouteState
from gateway.units import AttemptId, Instant, Moment, RequestId

SINGLE_ANSWER_SECONDS = 600.0
"""A single answer's first content is its last byte, so the clocks to first content that keep their
defaults are this long for it; a clock the operator set is obeyed for both kinds."""

_DEFAULT_TIMEOUTS = Timeouts()
_DEFAULT_DEADLINE_SECONDS = 90.0


class Phase(Enum):
    SELECTING = "selecting"
    TRYING = "trying"
    COMMITTED = "committed"
    DONE = "done"


MOVES: Mapping[tuple[Phase, str], Phase] = MappingProxyType(
    {
        (Phase.SELECTING, "send"): Phase.TRYING,
        (Phase.SELECTING, "wait"): Phase.SELECTING,
        (Phase.SELECTING, "give_up"): Phase.DONE,
        (Phase.SELECTING, "abandoned"): Phase.DONE,
        (Phase.TRYING, "failed"): Phase.SELECTING,
        (Phase.TRYING, "committed"): Phase.COMMITTED,
        (Phase.TRYING, "abandoned"): Phase.DONE,
        (Phase.COMMITTED, "failed"): Phase.DONE,
        (Phase.COMMITTED, "finished"): Phase.DONE,
        (Phase.COMMITTED, "abandoned"): Phase.DONE,
    }
)
"""(phase, fact) → phase. A missing entry is a programming error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a request before any candidate is looked at."""

    request_id: RequestId
    trace_id: str
    span_id: str
    parent_span_id: str
    session: str
    client: str
    endpoint: str
    dialect: str
    requested_model: str
    stream: bool
    body_tokens: int
    bytes_received: int
    began: Moment
    """When the request's headers were there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Make one attempt."""

    attempt_id: AttemptId
    span_id: str
    provider: Provider
    credential: Credential
    model: str
    probe: bool
    timeouts: Timeouts
    by_deadline: bool
    """The first-content clock is what is left of the request's deadline: its end blames nobody."""


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Answer the client. `own_fault`: hand through the provider's answer to a bad request."""

    failure: Failure | None
    own_fault: bool
    refusal: Refusal | None
    parts: tuple[Part, ...]


Step: TypeAlias = Send | Wait | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A failed attempt, classified."""

    failure: Failure
    reason: str
    scope: Scope | None = None
    stated_seconds: float | None = None
    message: str = ""
    processed: bool = True
    """False where the provider surely did nothing with the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the relay saw of an attempt."""

    status: int | None = None
    upstream_request_id: str = ""
    bytes_sent: int = 0
    usage: Usage | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class _Attempt:
    """The attempt under way, or the one just ended."""

    candidate: Candidate
    id: AttemptId
    span_id: str
    n: int
    started: Moment
    probe: bool = False
    content_at: Instant | None = None
    bad: Bad | None = None


@dataclass(slots=True)
class _Tally:
    """What `closed` needs in the end."""

    attempts: int = 0
    skipped: int = 0
    first_sent: Instant | None = None
    waited: float = 0.0
    content_at: Instant | None = None
    bytes_sent: int = 0
    usage: Usage | None = None
    cost_usd: float | None = None
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    """Targets that would have come first, with the reason each did not serve."""


class Call:
    """One request on one route of one pool."""

    def __init__(
        self, pool: Pool, route: RouteState, facts: Facts, *, now: Moment, rng: Random
    ) -> None:
        self.facts = facts
        self.route = route
        self.phase = Phase.SELECTING
        self.attempt: _Attempt | None = None
        self._pool = pool
        self._rng = rng
        self._n = 0
        self._wanted = Wanted(dialect=facts.dialect, body_tokens=facts.body_tokens)
        self._attempts: list[_Attempt] = []
        self._by_provider: dict[str, int] = {}
        self._counted = 0
        self._reported: set[tuple[str, str]] = set()
        self._skips: list[Skip] = []
        self._tally = _Tally()
        self._repeated = False
        self._deadline = Instant(now.instant + self._deadline_seconds())

    # -- steps ---------------------------------------------------------------------------------

    def step(self, now: Moment) -> tuple[Step, list[Event]]:
        """What to do next."""
        assert self.phase is Phase.SELECTING
        last = self._attempts[-1] if self._attempts else None
        if last is not None and last.bad is not None and self._final(last, last.bad):
            return self._give_up(now, own_fault=True), []
        if now.instant >= self._deadline or _ran_out(last):
            return self._give_up(now, deadline_passed=True), []
        candidate, skips = self._next(now)
        events = self._report_skips(skips, now)
        if candidate is not None:
            events += self._leave(candidate, now)
            return self._send(candidate, now), events
        again = self._again(last, now)
        if again is None:
            return self._give_up(now), events
        return again, events

    def _next(self, now: Moment) -> tuple[Candidate | None, list[Skip]]:
        if self._counted >= self.route.chain.stability.max_attempts:
            spent = [Skip(hop, "", SkipReason.ATTEMPTS_SPENT) for hop in self._untried()]
            return None, spent
        return self._pool.choose(self.route, self._wanted, now)

    def _untried(self) -> list[HopState]:
        tried = {target for target, _ in self._wanted.tried}
        return [hop for hop in self.route.hops if hop.target.name not in tried]

    def _final(self, last: _Attempt, bad: Bad) -> bool:
        """The request itself is at fault: no other candidate would take it either."""
        if bad.failure is Failure.CONTEXT_TOO_LONG:
            return not self.route.chain.route.fallback_on_context_too_long
        return POLICY[bad.failure].blame is Blame.NOBODY and bad.failure is not Failure.DEADLINE

    def _again(self, last: _Attempt | None, now: Moment) -> Step | None:
        """The same candidate once more, when no other is left and its failure allows it."""
        if last is None or last.bad is None or self._repeated:
            return None
        rule = POLICY[last.bad.failure]
        allowed = rule.again is Again.ONCE or (
            rule.again is Again.IF_UNPROCESSED and not last.bad.processed
        )
        if not allowed or self._counted >= self.route.chain.stability.max_attempts:
            return None
        self._repeated = True
        self._wanted.tried.discard(last.candidate.key)
        self._wanted.spent.discard(last.candidate.target.provider.name)
        candidate, _ = self._pool.choose(self.route, self._wanted, now)
        if candidate is None:
            self._wanted.tried.add(last.candidate.key)
            return None
        seconds = self._rng.uniform(*RETRY_PAUSE_SECONDS)
        self._tally.waited += seconds
        return Wait(seconds)

    def _send(self, candidate: Candidate, now: Moment) -> Send:
        self._move("send")
        self._pool.take(candidate)
        self._n += 1
        self._wanted.tried.add(candidate.key)
        if self._tally.first_sent is None:
            self._tally.first_sent = now.instant
        self._tally.attempts += 1
        timeouts, by_deadline = self._timeouts(candidate, now)
        attempt = _Attempt(
            candidate=candidate,
            id=AttemptId(f"{self.facts.request_id}.{self._n}"),
            span_id=f"{self._rng.getrandbits(64) | 1:016x}",
            n=self._n,
            started=now,
        )
        self.attempt = attempt
        self._attempts.append(attempt)
        return Send(
            attempt_id=attempt.id,
            span_id=attempt.span_id,
            provider=candidate.target.provider.config,
            credential=candidate.credential.config,
            model=candidate.target.model,
            probe=False,
            timeouts=timeouts,
            by_deadline=by_deadline,
        )

    def _give_up(
        self, now: Moment, *, own_fault: bool = False, deadline_passed: bool = False
    ) -> GiveUp:
        self._move("give_up")
        parts = self._parts(now)
        failure = Failure.DEADLINE if deadline_passed else self._first_failure()
        refusal = None
        if not own_fault:
            label = self.route.chain.name
            refusal = refuse(label, parts, deadline_passed=deadline_passed)
        return GiveUp(failure=failure, own_fault=own_fault, refusal=refusal, parts=parts)

    # -- reports -------------------------------------------------------------------------------

    def failed(self, bad: Bad, now: Moment, seen: Seen) -> list[Event]:
        """The attempt failed, before content or after it."""
        committed = self.phase is Phase.COMMITTED
        self._move("failed")
        attempt = self._current()
        attempt.bad = bad
        candidate = attempt.candidate
        rule = POLICY[bad.failure]
        self._pool.give_back(candidate)
        events: list[Event] = [self._finished_event(attempt, AttemptOutcome.FAILED, now, seen)]
        events += self._pool.bad(
            candidate,
            Blamed(bad.failure, bad.scope, bad.stated_seconds),
            now=now,
            request=self.facts.request_id,
            attempt=attempt.id,
        )
        self._count(candidate, rule)
        if not rule.next_credential:
            self._wanted.given_up.add(candidate.target.name)
        self._passed_over(candidate.target.name, bad.failure.value)
        if committed:
            self._tally.bytes_sent = seen.bytes_sent
            self._tally.usage = seen.usage
            events += self._leave_for_good(attempt, bad, now)
        return events

    def committed(self, now: Moment) -> list[Event]:
        """The first content is about to reach the client: nothing may switch any more."""
        self._move("committed")
        attempt = self._current()
        attempt.content_at = now.instant
        self._tally.content_at = now.instant
        return self._pool.served(
            self.route,
            attempt.candidate.hop,
            now=now,
            request=self.facts.request_id,
            trace=self.facts.trace_id,
        )

    def finished(self, now: Moment, seen: Seen) -> list[Event]:
        """The whole answer is with the client."""
        self._move("finished")
        attempt = self._current()
        self._pool.give_back(attempt.candidate)
        self._pool.good(attempt.candidate, now)
        self._keep(seen)
        return [self._finished_event(attempt, AttemptOutcome.OK, now, seen)]

    def abandoned(self, now: Moment, seen: Seen) -> list[Event]:
        """The client went away: nobody's fault, whatever the provider was doing."""
        trying = self.phase is not Phase.SELECTING
        self._move("abandoned")
        if not trying:
            return []
        attempt = self._current()
        self._pool.give_back(attempt.candidate)
        self._keep(seen)
        return [self._finished_event(attempt, AttemptOutcome.CANCELLED, now, seen)]

    def closed(self, now: Moment, *, outcome: RequestOutcome, status: int) -> RequestFinished:
        """The request is over, one way or another."""
        assert self.phase is Phase.DONE
        facts, tally = self.facts, self._tally
        served = self._served()
        origin, why = self.fallback()
        began = facts.began
        overhead = (tally.first_sent or now.instant) - began.instant - tally.waited
        return RequestFinished(
            ts=now.timestamp,
            request_id=facts.request_id,
            trace_id=facts.trace_id,
            span_id=facts.span_id,
            parent_span_id=facts.parent_span_id,
            route=self.route.chain.label,
            session=facts.session,
            client=facts.client,
            endpoint=facts.endpoint,
            requested_model=facts.requested_model,
            stream=facts.stream,
            outcome=outcome,
            status=status,
            failure=self._first_failure(),
            reason=self._first_reason(),
            provider=served.candidate.target.provider.name if served else "",
            model=served.candidate.target.model if served else "",
            credential=served.candidate.credential.name if served else "",
            attempts=tally.attempts,
            skipped=tally.skipped,
            fallback_from=origin,
            fallback_reason=why,
            started=began.timestamp,
            duration_seconds=now.instant - began.instant,
            first_content_seconds=_since(tally.content_at, began.instant),
            overhead_seconds=max(0.0, overhead),
            bytes_received=facts.bytes_received,
            bytes_sent=tally.bytes_sent,
            usage=tally.usage,
            cost_usd=tally.cost_usd,
        )

    # -- what others may ask -------------------------------------------------------------------

    @property
    def attempts(self) -> int:
        return self._tally.attempts

    def fallback(self) -> tuple[str, str]:
        """Target that should have served and why it did not; empty strings without a fallback."""
        served = self._served()
        if served is None:
            return "", ""
        for target, reason in self._tally.passed_over:
            if target != served.candidate.target.name:
                return target, reason
        return "", ""

    # -- inside --------------------------------------------------------------------------------

    def _move(self, fact: str) -> None:
        self.phase = MOVES[(self.phase, fact)]

    def _current(self) -> _Attempt:
        assert self.attempt is not None
        return self.attempt

    def _served(self) -> _Attempt | None:
        """The attempt whose content the client got."""
        attempt = self.attempt
        return attempt if attempt is not None and attempt.content_at is not None else None

    def _keep(self, seen: Seen) -> None:
        self._tally.bytes_sent = seen.bytes_sent
        self._tally.usage = seen.usage
        self._tally.cost_usd = seen.cost_usd

    def _count(self, candidate: Candidate, rule: Rule) -> None:
        """Attempts that count against the caps: walking a pool of keys does not."""
        if rule.blame is Blame.CAPACITY:
            return
        self._counted += 1
        provider = candidate.target.provider.name
        self._by_provider[provider] = self._by_provider.get(provider, 0) + 1
        if self._by_provider[provider] >= self.route.chain.stability.max_attempts_per_provider:
            self._wanted.spent.add(provider)

    def _leave(self, candidate: Candidate, now: Moment) -> list[Event]:
        """The next attempt is on another target: the targets that failed before it are left."""
        events: list[Event] = []
        for attempt in self._attempts:
            left = attempt.candidate.hop
            if attempt.bad is not None and left is not candidate.hop:
                events += self._leave_for_good(attempt, attempt.bad, now)
        return events

    def _leave_for_good(self, attempt: _Attempt, bad: Bad, now: Moment) -> list[Event]:
        if len(self.route.hops) == 1:
            return []
        trigger = Trigger(bad.failure.value, self.facts.request_id, attempt.id)
        hop = attempt.candidate.hop
        return self._pool.left(self.route, hop, bad.failure, now=now, trigger=trigger)

    def _report_skips(self, skips: list[Skip], now: Moment) -> list[Event]:
        """One event for each candidate passed over, once a request."""
        self._skips = skips
        events: list[Event] = []
        for skip in skips:
            target = skip.hop.target
            key = (target.name, skip.credential)
            if key in self._reported or _is_known(skip, self._wanted):
                continue
            self._reported.add(key)
            self._n += 1
            self._tally.skipped += 1
            self._passed_over(target.name, skip.cause or skip.reason.value)
            events.append(
                CandidateSkipped(
                    ts=now.timestamp,
                    request_id=self.facts.request_id,
                    trace_id=self.facts.trace_id,
                    n=self._n,
                    route=self.route.chain.label,
                    provider=target.provider.name,
                    model=target.model,
                    credential=skip.credential,
                    session=self.facts.session,
                    reason=skip.reason,
                    cause=skip.cause,
                    until=None if skip.until is None else now.at(skip.until),
                )
            )
        return events

    def _passed_over(self, target: str, reason: str) -> None:
        self._tally.passed_over.append((target, reason))

    def _finished_event(
        self, attempt: _Attempt, outcome: AttemptOutcome, now: Moment, seen: Seen
    ) -> AttemptFinished:
        candidate, facts, bad = attempt.candidate, self.facts, attempt.bad
        cancelled = Failure.CANCELLED if outcome is AttemptOutcome.CANCELLED else None
        return AttemptFinished(
            ts=now.timestamp,
            request_id=facts.request_id,
            attempt_id=attempt.id,
            trace_id=facts.trace_id,
            span_id=attempt.span_id,
            n=attempt.n,
            route=self.route.chain.label,
            provider=candidate.target.provider.name,
            model=candidate.target.model,
            credential=candidate.credential.name,
            session=facts.session,
            outcome=outcome,
            failure=bad.failure if bad else cancelled,
            reason=bad.reason if bad else "",
            status=seen.status,
            scope=(bad.scope or POLICY[bad.failure].scope) if bad else None,
            stated_seconds=bad.stated_seconds if bad else None,
            probe=attempt.probe,
            started=attempt.started.timestamp,
            duration_seconds=now.instant - attempt.started.instant,
            first_content_seconds=_since(attempt.content_at, attempt.started.instant),
            bytes_sent=seen.bytes_sent,
            upstream_request_id=seen.upstream_request_id,
            usage=seen.usage,
            cost_usd=seen.cost_usd,
        )

    def _first_failure(self) -> Failure | None:
        return next((each.bad.failure for each in self._attempts if each.bad), None)

    def _first_reason(self) -> str:
        return next((each.bad.reason for each in self._attempts if each.bad), "")

    def _parts(self, now: Moment) -> tuple[Part, ...]:
        """Every candidate's part in a refusal: attempts first, then those passed over."""
        parts: dict[tuple[str, str], Part] = {}
        for attempt in self._attempts:
            if attempt.bad is None:
                continue
            key = attempt.candidate.key
            parts[key] = Part(
                target=key[0],
                credential=key[1],
                reason=attempt.bad.failure.value,
                ready_in_seconds=self._pool.ready_in(attempt.candidate.hop, now),
                message=attempt.bad.message,
            )
        tried = {target for target, _ in parts}
        for skip in self._skips:
            key = (skip.hop.target.name, skip.credential)
            if key in parts or (not skip.credential and key[0] in tried):
                continue
            until = skip.until
            parts[key] = Part(
                target=key[0],
                credential=key[1],
                reason=skip.cause or skip.reason.value,
                ready_in_seconds=None if until is None else max(0.0, until - now.instant),
            )
        return tuple(parts.values())

    def _deadline_seconds(self) -> float:
        deadline = self.route.chain.stability.deadline_seconds
        if self.facts.stream or deadline != _DEFAULT_DEADLINE_SECONDS:
            return deadline
        return SINGLE_ANSWER_SECONDS

    def _timeouts(self, candidate: Candidate, now: Moment) -> tuple[Timeouts, bool]:
        """The attempt's four clocks: the target's own, cut by what is left of the deadline."""
        own = candidate.target.provider.config.timeouts
        left = self._deadline - now.instant
        headers, content = own.headers_seconds, own.first_content_seconds
        if not self.facts.stream:
            headers = _single(headers, _DEFAULT_TIMEOUTS.headers_seconds)
            content = _single(content, _DEFAULT_TIMEOUTS.first_content_seconds)
        cut = left < content
        clocks = Timeouts(
            connect_seconds=min(own.connect_seconds, left),
            headers_seconds=min(headers, left),
            first_content_seconds=min(content, left),
            idle_seconds=own.idle_seconds,
        )
        return clocks, cut


def _ran_out(last: _Attempt | None) -> bool:
    return last is not None and last.bad is not None and last.bad.failure is Failure.DEADLINE


def _single(seconds: float, default: float) -> float:
    return SINGLE_ANSWER_SECONDS if seconds == default else seconds


def _since(instant: Instant | None, start: Instant) -> float | None:
    return None if instant is None else instant - start


def _is_known(skip: Skip, wanted: Wanted) -> bool:
    """A target whose attempt is on record already needs no row that says it is not tried again."""
    if skip.credential:
        return False
    return any(target == skip.hop.target.name for target, _ in wanted.tried)
