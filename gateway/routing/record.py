"""What happened to one request: its attempts and skips in order, told as events. Decides nothing.

The two events that every request has are made with positional arguments, in the order of `events.py`:
with named ones they would cost nine times as much. test_record compares every field.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    Failure,
    HistoryAdapted,
    RequestFinished,
    RequestOutcome,
    Scope,
    SkipReason,
    StreamEnd,
)
from gateway.routing.choosing import Skip
from gateway.routing.excerpt import EXCERPT_MAX
from gateway.routing.state import Candidate
from gateway.routing.steps import Bad, Facts, Seen
from gateway.units import AttemptId, Instant, Moment

UNABLE = frozenset(
    {
        SkipReason.DIALECT,
        SkipReason.CONTEXT_SIZE,
        SkipReason.BILLING_CLASS,
        SkipReason.DISABLED,
    }
)
"""A target passed over for these could never have served the request: no fallback from it."""
"""Characters of a provider's words that explain a failure of no known class."""
STREAM_ENDS = {
    RequestOutcome.OK: StreamEnd.COMPLETE,
    RequestOutcome.UPSTREAM_ERROR: StreamEnd.BROKEN,
    RequestOutcome.CANCELLED: StreamEnd.CLIENT_GONE,
}


class Attempt(Struct, gc=False):
    """The attempt under way, or one that has ended."""

    candidate: Candidate
    id: AttemptId
    span_id: str
    n: int
    started: Moment
    probe: bool = False
    adapted: tuple[str, ...] = ()
    """What of the history was adapted for it."""
    content_at: Instant | None = None
    bad: Bad | None = None


NOTHING = Seen()


class Record:
    """The list of one request's candidates, tried and skipped, numbered from 1."""

    __slots__ = (
        "_facts",
        "_label",
        "_n",
        "_passed_over",
        "_seen",
        "_skipped",
        "_skips_told",
        "attempts",
        "failure",
        "waited",
        "waited_first",
    )

    def __init__(self, facts: Facts, label: str) -> None:
        self.attempts: list[Attempt] = []
        self.failure: Failure | None = None
        """Of a request that failed before any attempt did."""
        self._facts = facts
        self._label = label
        self._n = 0
        self._skipped = 0
        self._skips_told: set[tuple[str, str]] | None = None
        self._passed_over: list[tuple[str, str]] = []
        """Targets that would have come first, with the reason each did not serve."""
        self._seen = NOTHING
        self.waited_first = 0.0
        """Seconds it waited before its first attempt: no work of the gateway's."""
        self.waited = 0.0
        """All waits for a candidate together."""

    def begin(
        self, candidate: Candidate, *, span_id: str, now: Moment, probe: bool = False
    ) -> Attempt:
        self._n += 1
        name = AttemptId(f"{self._facts.request_id}.{self._n}")
        attempt = Attempt(candidate, name, span_id, self._n, now, probe)
        self.attempts.append(attempt)
        return attempt

    def failed(self, attempt: Attempt, bad: Bad) -> None:
        attempt.bad = bad
        self._passed_over.append((attempt.candidate.target.name, bad.failure.value))

    def keep(self, seen: Seen) -> None:
        """What of an attempt reached the client."""
        self._seen = seen

    def skip(self, skips: list[Skip], now: Moment) -> list[CandidateSkipped]:
        """One event for each candidate passed over, once a request.

        A target with an attempt on record needs none that says it is not tried again.
        """
        tried = {attempt.candidate.target.name for attempt in self.attempts}
        told = self._skips_told = self._skips_told or set()
        events = []
        for skip in skips:
            key = (skip.hop.target.name, skip.credential)
            if key in told or (not skip.credential and key[0] in tried):
                continue
            told.add(key)
            self._skipped += 1
            if skip.reason not in UNABLE:
                self._passed_over.append((key[0], skip.cause or skip.reason.value))
            events.append(self._skip_event(skip, now))
        return events

    def served(self) -> Attempt | None:
        """The attempt whose content the client got; it is the last one."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.content_at is not None else None

    def fallback(self) -> tuple[str, str]:
        """Target that should have served and why it did not; empty strings without a fallback."""
        served = self.served()
        if served is None or not self._passed_over:
            return "", ""
        for target, reason in self._passed_over:
            if target != served.candidate.target.name:
                return target, reason
        return "", ""

    def first_bad(self) -> Bad | None:
        for attempt in self.attempts:
            if attempt.bad is not None:
                return attempt.bad
        return None

    # -- events --------------------------------------------------------------------------------

    def attempt_event(
        self,
        attempt: Attempt,
        outcome: AttemptOutcome,
        *,
        scope: Scope | None = None,
        now: Moment,
        seen: Seen,
    ) -> AttemptFinished:
        candidate, facts, bad = attempt.candidate, self._facts, attempt.bad
        target, started = candidate.hop.target, attempt.started
        cancelled = Failure.CANCELLED if outcome is AttemptOutcome.CANCELLED else None
        return AttemptFinished(
            now.timestamp,
            facts.request_id,
            attempt.id,
            facts.trace_id,
            attempt.span_id,
            attempt.n,
            self._label,
            target.provider.name,
            target.model,
            candidate.credential.name,
            facts.session,
            outcome,
            bad.failure if bad else cancelled,
            bad.reason if bad else "",
            seen.status,
            scope,
            bad.stated_seconds if bad else None,
            attempt.probe,
            started.timestamp,
            now.instant - started.instant,
            _since(attempt.content_at, started.instant),
            seen.bytes_sent,
            seen.upstream_request_id,
            seen.usage,
            seen.cost_usd,
            target.provider.config.billing,
            _changes(attempt, seen),
            _excerpt(bad) if bad else "",
            seen.quota_remaining,
        )

    def adapted_event(self, attempt: Attempt, bad: Bad, now: Moment) -> HistoryAdapted:
        """`attempt` is made with an adapted history, because of `bad`."""
        candidate, facts = attempt.candidate, self._facts
        return HistoryAdapted(
            ts=now.timestamp,
            request_id=facts.request_id,
            attempt_id=attempt.id,
            trace_id=facts.trace_id,
            route=self._label,
            provider=candidate.target.provider.name,
            model=candidate.target.model,
            credential=candidate.credential.name,
            session=facts.session,
            adapted=bad.repairs,
            reason=bad.reason,
        )

    def request_event(
        self, now: Moment, *, outcome: RequestOutcome, status: int
    ) -> RequestFinished:
        facts, seen, served, bad = self._facts, self._seen, self.served(), self.first_bad()
        origin, why = self.fallback()
        began = facts.began
        sent = self.attempts[0].started.instant if self.attempts else now.instant
        candidate = served.candidate if served else None
        target = candidate.hop.target if candidate else None
        return RequestFinished(
            now.timestamp,
            facts.request_id,
            facts.trace_id,
            facts.span_id,
            facts.parent_span_id,
            self._label,
            facts.session,
            facts.client,
            facts.endpoint,
            facts.requested_model,
            facts.stream,
            outcome,
            status,
            bad.failure if bad else self.failure,
            bad.reason if bad else "",
            target.provider.name if target else "",
            target.model if target else "",
            candidate.credential.name if candidate else "",
            len(self.attempts),
            self._skipped,
            origin,
            why,
            began.timestamp,
            now.instant - began.instant,
            _since(served.content_at if served else None, began.instant),
            max(0.0, sent - began.instant - self.waited_first),
            facts.bytes_received,
            seen.bytes_sent,
            seen.usage,
            seen.cost_usd,
            target.provider.config.billing if target else "",
            _since(served.started.instant if served else None, sent),
            self.waited,
            STREAM_ENDS.get(outcome) if served else None,
            facts.client_retries,
            facts.body_tokens,
            facts.first_turn,
            facts.reasoning,
            facts.no_fallback,
            facts.deadline_seconds,
            facts.conversation,
            facts.continued,
        )

    def _skip_event(self, skip: Skip, now: Moment) -> CandidateSkipped:
        self._n += 1
        target = skip.hop.target
        return CandidateSkipped(
            ts=now.timestamp,
            request_id=self._facts.request_id,
            trace_id=self._facts.trace_id,
            n=self._n,
            route=self._label,
            provider=target.provider.name,
            model=target.model,
            credential=skip.credential,
            session=self._facts.session,
            reason=skip.reason,
            cause=skip.cause,
            until=None if skip.until is None else now.at(skip.until),
        )


def _excerpt(bad: Bad) -> str:
    if bad.failure is not Failure.UNKNOWN:
        return ""
    return (bad.excerpt or bad.message)[:EXCERPT_MAX]


def _changes(attempt: Attempt, seen: Seen) -> str:
    """What the request was changed in for this target, in words that stay the same."""
    if not (seen.translated or attempt.adapted or seen.dropped):
        return ""
    words = [f"translated:{seen.translated}"] if seen.translated else []
    words += [f"adapted:{part}" for part in attempt.adapted]
    words += [f"dropped:{part}" for part in seen.dropped]
    return " ".join(words)


def _since(instant: Instant | None, start: Instant) -> float | None:
    return None if instant is None else instant - start
