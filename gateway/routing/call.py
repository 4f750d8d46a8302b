"""One request's machine: facts in, next step and events out. It never waits and sends nothing.

The relay asks `step`, does what it says, and reports with exactly one of `failed`, `finished` or
`abandoned`, after `committed` once the first content is on its way. `closed` ends the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from types import MappingProxyType

from gateway.events import AttemptOutcome, Event, Failure, RequestFinished, RequestOutcome
from gateway.routing.answer import refuse
from gateway.routing.caps import Caps
from gateway.routing.choosing import Cannot, Skip, Wanted, always_can
from gateway.routing.clocks import (
    LEASE_SLACK_SECONDS,
    attempt_timeouts,
    deadline_seconds,
    deadline_words,
)
from gateway.routing.cooldown import Trigger
from gateway.routing.parts import parts
from gateway.routing.patience import Patience
from gateway.routing.policy import POLICY, RETRY_PAUSE_SECONDS, Blame
from gateway.routing.pool import Pool
from gateway.routing.record import Attempt, Record
from gateway.routing.repairs import Repairs
from gateway.routing.repeating import Repeating
from gateway.routing.resting import Blamed, blamed_scope
from gateway.routing.seating import Seating
from gateway.routing.state import Candidate, RouteState
from gateway.routing.steps import Bad, Facts, GiveUp, Seen, Send, Step, Wait
from gateway.units import Instant, Moment


class Phase(StrEnum):
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


class Call:
    """One request on one route of one pool.

    What only a request in trouble needs is made when it is first asked for.
    """

    def __init__(
        self,
        pool: Pool,
        route: RouteState,
        facts: Facts,
        *,
        now: Moment,
        rng: Random,
        cannot: Cannot = always_can,
    ) -> None:
        self.facts = facts
        self.route = route
        self.phase = Phase.SELECTING
        self.attempt: Attempt | None = None
        """The attempt under way, or the last one."""
        self._pool = pool
        self._rng = rng
        self._stability = route.chain.stability
        self._record = Record(facts, route.chain.label)
        self._seating = Seating(route, facts, now.instant)
        seat, new = self._seating.seat, self._seating.new_session
        self._wanted = Wanted(facts.dialect, facts.body_tokens, facts.request_id, seat, new, cannot)
        pool.arrive(route, cold=seat is None, new_session=new, now=now)
        self._skips: list[Skip] = []
        """Of the last choice, for the answer of one that found nobody."""
        self._capped: Caps | None = None
        self._mended: Repairs | None = None
        self._repeated: Repeating | None = None
        self._waited: Patience | None = None
        self._deadline_seconds = deadline_seconds(
            self._stability,
            stream=facts.stream,
            reasoning=facts.reasoning,
            asked=facts.deadline_seconds,
        )
        self._deadline = Instant(now.instant + self._deadline_seconds)

    # -- steps ---------------------------------------------------------------------------------

    def step(self, now: Moment) -> tuple[Step, list[Event]]:
        """What to do next."""
        assert self.phase is Phase.SELECTING
        bad = self.attempt.bad if self.attempt is not None else None
        if bad is not None and self._final(bad):
            return self._give_up(now, own_fault=True), []
        if now.instant >= self._deadline or (bad and bad.failure is Failure.DEADLINE):
            return self._give_up(now, deadline_passed=True), []
        if bad is not None and self._repairs.cure(bad):
            return self._adapt(bad, now)
        choice = self._pool.choose(self.route, self._wanted, now)
        if choice.candidate is None:
            choice = self._repeating.over(choice, now)
        self._skips = choice.skips
        candidate, probe = choice.candidate, choice.probe
        if self._waited is not None or not self._wanted.fits(choice):
            seconds = self._patience.seconds(choice, now)
            if seconds is not None:
                self._move("wait")
                return Wait(seconds), []
            waited = self._patience.stop(now)
            self._record.waited += waited
            if self.attempt is None:
                self._record.waited_first += waited
        events: list[Event] = [*self._record.skip(self._skips, now)] if self._skips else []
        if candidate is None and self.attempt is None:
            candidate = self._pool.least_bad(self.route, self._wanted, now)
            probe = candidate is not None
        if candidate is not None:
            if self.attempt is not None:
                events += self._leave(candidate, now)
            return self._send(candidate, probe=probe, now=now), events
        if bad is not None and self._repeating.after_pause(self._current().candidate, bad, now):
            self._move("wait")
            return Wait(self._rng.uniform(*RETRY_PAUSE_SECONDS)), events
        return self._give_up(now), events

    # -- deciding ------------------------------------------------------------------------------

    def _final(self, bad: Bad) -> bool:
        """The request itself is at fault: no other candidate would take it either."""
        if self._repairs.cure(bad):
            return False
        if bad.failure is Failure.CONTEXT_TOO_LONG:
            return not self.route.chain.route.fallback_on_context_too_long
        return POLICY[bad.failure].blame is Blame.NOBODY and bad.failure is not Failure.DEADLINE

    def _adapt(self, bad: Bad, now: Moment) -> tuple[Send, list[Event]]:
        """The same candidate once more, with the history adapted. Nobody is to blame."""
        last = self._current()
        self._repairs.made(last.candidate.target.name, bad)
        send = self._send(last.candidate, probe=last.probe, now=now)
        return send, [self._record.adapted_event(self._current(), bad, now)]

    def _send(self, candidate: Candidate, *, probe: bool, now: Moment) -> Send:
        self._move("send")
        hop, credential = candidate.hop, candidate.credential
        target, wanted, facts = hop.target, self._wanted, self.facts
        wanted.tried.add((target.name, credential.name))
        wanted.probed = wanted.probed or probe
        if facts.no_fallback:
            wanted.only = hop
        provider = target.provider.config
        timeouts, by_deadline = attempt_timeouts(
            provider.timeouts,
            stream=facts.stream,
            left=self._deadline - now.instant,
            reasoning=facts.reasoning,
            model_seconds=hop.config.first_content_seconds,
            probe_seconds=self._probe_seconds(candidate) if probe else None,
        )
        span_id = f"{self._rng.getrandbits(64) | 1:016x}"
        attempt = self._record.begin(candidate, span_id=span_id, now=now, probe=probe)
        self.attempt = attempt
        if self._mended is not None:
            attempt.adapted = self._mended.of(target.name)
        lease = timeouts.first_content_seconds + LEASE_SLACK_SECONDS if probe else None
        self._pool.take(self.route, candidate, attempt=attempt.id, probe_seconds=lease, now=now)
        return Send(
            attempt.id,
            span_id,
            provider,
            credential.config,
            target.model,
            probe,
            timeouts,
            by_deadline,
            hop.config.drop,
            bool(attempt.adapted),
        )

    def _probe_seconds(self, candidate: Candidate) -> float | None:
        """The tight limit of a probe that tests a target, where somebody else could serve."""
        tests_target = candidate.hop is not self.route.active or candidate.target.spot.unproven
        if len(self.route.hops) == 1 or not tests_target:
            return None
        return self._stability.probe_first_content_seconds

    def _give_up(
        self, now: Moment, *, own_fault: bool = False, deadline_passed: bool = False
    ) -> GiveUp:
        self._move("give_up")
        self._record.waited += self._patience.stop(now)
        listed = parts(self._record.attempts, self._skips, now.instant)
        bad = self._record.first_bad()
        failure = bad.failure if bad else None
        if deadline_passed:
            failure = self._record.failure = Failure.DEADLINE
        refusal = None
        if not own_fault:
            words = deadline_words(self._deadline_seconds, asked=self.facts.deadline_seconds)
            deadline = words if deadline_passed else ""
            refusal = refuse(self.route.chain.name, listed, deadline=deadline)
        last = self.attempt.bad if self.attempt is not None else None
        return GiveUp(
            failure=failure,
            own_fault=own_fault,
            refusal=refusal,
            parts=listed,
            hand_on=self._hands_on(last) and not deadline_passed,
        )

    def _hands_on(self, last: Bad | None) -> bool:
        if last is None or not self.facts.no_fallback:
            return False
        return last.failure is not Failure.AUTH  # Else it would be taken for the client's own key.

    # -- reports -------------------------------------------------------------------------------

    def failed(self, bad: Bad, now: Moment, seen: Seen) -> list[Event]:
        """The attempt failed, before content or after it."""
        committed = self.phase is Phase.COMMITTED
        self._move("failed")
        attempt = self._current()
        candidate = attempt.candidate
        self._record.failed(attempt, bad)
        scope = blamed_scope(candidate, bad.failure, bad.scope)
        events: list[Event] = [
            self._record.attempt_event(
                attempt, AttemptOutcome.FAILED, scope=scope, now=now, seen=seen
            )
        ]
        events += self._pool.bad(
            self.route,
            candidate,
            Blamed(bad.failure, bad.scope, bad.stated_seconds, alone=self._alone(candidate)),
            probe=attempt.probe,
            now=now,
            trigger=Trigger(bad.failure.value, self.facts.request_id, attempt.id),
        )
        self._pool.give_back(candidate, attempt.id)
        if not self._repairs.cure(bad):
            second = self._repeating.is_second(candidate)
            self._caps.spend(candidate, bad.failure, second=second)
        if POLICY[bad.failure].blame is Blame.CAPACITY:
            if self._caps.allow_another():
                within = self._patience.budget(now)
                self._repeating.limited(candidate, bad, within=within, now=now)
            self._seating.limited(candidate)
        if committed:
            self._record.keep(seen)
            events += self._leave_for_good(attempt, bad, now)
        return events

    def committed(self, now: Moment) -> list[Event]:
        """The first content is about to reach the client: nothing may switch any more."""
        self._move("committed")
        attempt = self._current()
        attempt.content_at = now.instant
        candidate, probe = attempt.candidate, attempt.probe
        trigger = Trigger("", self.facts.request_id, attempt.id)
        events = self._pool.served(
            self.route, candidate, probe=probe, now=now, trigger=trigger, trace=self.facts.trace_id
        )
        return events + self._seating.served(candidate, probe=probe, now=now)

    def finished(self, now: Moment, seen: Seen) -> list[Event]:
        """The whole answer is with the client."""
        self._move("finished")
        attempt, facts = self._current(), self.facts
        candidate = attempt.candidate
        self._pool.give_back(candidate, attempt.id)
        self._record.keep(seen)
        self._seating.finished(seen.usage, now.instant)
        if seen.answer_id:
            self._seating.keeps(seen.answer_id, candidate, now.instant)
        told = self._record.attempt_event(attempt, AttemptOutcome.OK, now=now, seen=seen)
        return [
            told,
            *self._pool.good(
                self.route, candidate, now=now, request=facts.request_id, trace=facts.trace_id
            ),
        ]

    def abandoned(self, now: Moment, seen: Seen) -> list[Event]:
        """The client went away: nobody's fault, whatever the provider was doing."""
        sent = self.phase is not Phase.SELECTING
        self._move("abandoned")
        self._record.waited += self._patience.stop(now)
        if not sent:
            return []
        attempt = self._current()
        self._pool.give_back(attempt.candidate, attempt.id)
        self._record.keep(seen)
        return [self._record.attempt_event(attempt, AttemptOutcome.CANCELLED, now=now, seen=seen)]

    def closed(self, now: Moment, *, outcome: RequestOutcome, status: int) -> RequestFinished:
        """The request is over, one way or another."""
        assert self.phase is Phase.DONE
        return self._record.request_event(now, outcome=outcome, status=status)

    # -- what others may ask -------------------------------------------------------------------

    @property
    def attempts(self) -> int:
        """Attempts so far, the one under way included."""
        return len(self._record.attempts)

    def served(self) -> Candidate | None:
        """Whose content the client gets; None before any has come."""
        attempt = self._record.served()
        return attempt.candidate if attempt is not None else None

    def adapted(self) -> tuple[str, ...]:
        """What of the history was adapted for whoever served."""
        served = self.served() if self._mended is not None else None
        return self._repairs.of(served.target.name) if served is not None else ()

    def fallback(self) -> tuple[str, str]:
        """Target that should have served and why it did not; empty strings without a fallback."""
        return self._record.fallback()

    # -- inside --------------------------------------------------------------------------------

    @property
    def _caps(self) -> Caps:
        if self._capped is None:
            self._capped = Caps(self.route, self._wanted)
        return self._capped

    @property
    def _repairs(self) -> Repairs:
        if self._mended is None:
            self._mended = Repairs()
        return self._mended

    @property
    def _repeating(self) -> Repeating:
        if self._repeated is None:
            allowed = not self.facts.no_fallback
            self._repeated = Repeating(self._pool, self.route, self._wanted, allowed=allowed)
        return self._repeated

    @property
    def _patience(self) -> Patience:
        if self._waited is None:
            pool, route, binding = self._pool, self.route, self._seating.binding
            self._waited = Patience(pool, route, self._wanted, binding, deadline=self._deadline)
        return self._waited

    def _move(self, fact: str) -> None:
        self.phase = MOVES[(self.phase, fact)]

    def _current(self) -> Attempt:
        assert self.attempt is not None
        return self.attempt

    def _alone(self, candidate: Candidate) -> bool:
        """Whether the route has no other provider to go to."""
        own = candidate.target.provider
        return all(hop.target.provider is own for hop in self.route.hops)

    def _leave(self, candidate: Candidate, now: Moment) -> list[Event]:
        """The next attempt is on another target: the targets that failed before it are left."""
        events: list[Event] = []
        for attempt in self._record.attempts:
            left = attempt.candidate.hop
            if attempt.probe and left.index < self.route.active.index:
                continue  # A probe was never at home there; its failure has its own price.
            if attempt.bad is not None and left is not candidate.hop:
                events += self._leave_for_good(attempt, attempt.bad, now)
        return events

    def _leave_for_good(self, attempt: Attempt, bad: Bad, now: Moment) -> list[Event]:
        trigger = Trigger(bad.failure.value, self.facts.request_id, attempt.id)
        left = attempt.candidate.hop
        return self._pool.left(self.route, left, bad.failure, now=now, trigger=trigger)
