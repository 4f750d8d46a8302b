"""Random traffic over the real core: failures, reports in any order, time; and what must hold.

What rests is known here from the events alone, and who is in flight from the steps alone: so the
pool is never asked whether the pool is right.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.config import Fallback, Rotation
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    Scope,
    Switched,
    Usage,
)
from gateway.routing.call import Call, Phase
from gateway.routing.clocks import LEASE_SLACK_SECONDS
from gateway.routing.policy import POLICY, Again, Blame
from gateway.routing.state import RouteState
from gateway.routing.steps import Bad, GiveUp, Seen, Send, Wait
from gateway.units import MICROS
from tests.gateway.routing.building import (
    NOT_SEEN,
    START,
    config,
    credential,
    everything,
    facts,
    provider,
    route,
)
from tests.gateway.routing.comparing import ComparingPool
from tests.gateway.routing.ledger import Ledger, Place

CONFIG = config(
    provider(
        "p", credential("a", max_in_flight=2), credential("b"), quota_groups={"pro": ("m", "n")}
    ),
    provider("q", "a", "b", "c", rotation=Rotation.BALANCED, max_in_flight=3),
    provider("r", rotation=Rotation.LEAST_IN_FLIGHT),
    routes=[
        route("coder", "p/m", "q/m", "r/m", fallback_on_context_too_long=True),
        route("writer", "q/m", "p/n"),
        route("alone", "r/m"),
    ],
    fallback=Fallback(compatible={"p": ("r",)}),
)
NAMES = ("coder", "writer", "alone", "p/n", "p/x")
LONG = 60 * 86_400.0
BEFORE_CONTENT = [
    each for each in Failure if each not in {Failure.STREAM_BROKEN, Failure.CANCELLED}
]
AFTER_CONTENT = [Failure.STREAM_BROKEN, Failure.IDLE_TIMEOUT]

SESSIONS = ("", "", "one", "two", "three")

WHICH = st.integers(0, 11)
"""Which of the open requests in the right phase; nothing happens where there is none."""


@dataclass(slots=True)
class Asked:
    """One request, and what this test knows of it by itself."""

    call: Call
    on: Send | None = None
    """The attempt under way."""
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[Failure] = field(default_factory=list)
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    """Failed attempts by provider, those of limited keys left out."""
    numbers: list[int] = field(default_factory=list)
    waits_until: float | None = None
    """When its patience ends at the latest; None before its first wait."""
    sent: float = 0.0
    tests: set[Place] = field(default_factory=set)
    """What is not proved of the attempt's candidate."""

    def probes(self, now: float) -> bool:
        """Its probe is under way, and the lease of it runs."""
        if self.on is None or not self.on.probe or self.call.phase is not Phase.TRYING:
            return False
        return now < self.sent + self.on.timeouts.first_content_seconds + LEASE_SLACK_SECONDS


class Traffic(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.rng = Random(7)
        self.pool = ComparingPool(CONFIG, rng=self.rng, now=self.now, speaks=everything)
        self.ledger = Ledger()
        self.open: list[Asked] = []
        self.number = 0
        self.pointers: dict[str, str] = {}

    # -- what happens --------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), stream=st.booleans(), session=st.sampled_from(SESSIONS))
    def ask(self, name: str, stream: bool, session: str) -> None:
        self.number += 1
        route = self.pool.route(name, self.now)
        assert route is not None
        self.pointers.setdefault(name, route.hops[0].target.name)
        mine = facts(self.number, began=self.now, stream=stream, session=session)
        call = Call(self.pool, route, mine, now=self.now, rng=self.rng)
        self.open.append(Asked(call))

    @rule(which=WHICH)
    def step(self, which: int) -> None:
        asked = _pick(self._in(Phase.SELECTING), which)
        if asked is None:
            return
        self._expire()
        late = self.now.instant >= asked.call._deadline
        free, allowed = self._free(asked, sure=True), self._free(asked, sure=False)
        step, events = asked.call.step(self.now)
        self._read(asked, events)
        match step:
            case Send():
                self._sent(asked, step, free, allowed)
            case Wait():
                self._waits(asked, step.seconds, free)
            case GiveUp():
                if step.own_fault:
                    assert POLICY[asked.faults[-1]].blame is Blame.NOBODY
                    assert step.refusal is None
                else:
                    ran_out = bool(asked.faults) and asked.faults[-1] is Failure.DEADLINE
                    assert late or ran_out or not free, free
                    assert step.refusal is not None
                    assert step.refusal.status in {400, 404, 429, 503, 504}
                self._close(asked, RequestOutcome.EXHAUSTED)

    @rule(
        which=WHICH,
        failure=st.sampled_from(BEFORE_CONTENT),
        stated=st.none() | st.sampled_from([0.1, 5.0, 120.0, 86_400.0]),
        processed=st.booleans(),
    )
    def fail(self, which: int, failure: Failure, stated: float | None, processed: bool) -> None:
        asked = _pick(self._in(Phase.TRYING), which)
        if asked is None:
            return
        self._fail(asked, failure, stated, processed=processed)

    @rule(which=WHICH, failure=st.sampled_from(AFTER_CONTENT))
    def fail_after_content(self, which: int, failure: Failure) -> None:
        asked = _pick(self._in(Phase.COMMITTED), which)
        if asked is None:
            return
        self._fail(asked, failure, None, processed=True)
        self._close(asked, RequestOutcome.UPSTREAM_ERROR)

    @rule(which=WHICH)
    def commit(self, which: int) -> None:
        asked = _pick(self._in(Phase.TRYING), which)
        if asked is None:
            return
        events = asked.call.committed(self.now)
        assert asked.on is not None
        if asked.on.probe:
            self.ledger.prove(*asked.tests)
        self._read(asked, events)

    @rule(which=WHICH)
    def finish(self, which: int) -> None:
        asked = _pick(self._in(Phase.COMMITTED), which)
        if asked is None:
            return
        cached = Usage(input_tokens=90_000, cached_tokens=40_000)
        seen = Seen(status=200, bytes_sent=1, usage=cached)
        self._read(asked, asked.call.finished(self.now, seen))
        self._close(asked, RequestOutcome.OK)

    @rule(which=WHICH)
    def abandon(self, which: int) -> None:
        asked = _pick(self.open, which)
        if asked is None:
            return
        events = asked.call.abandoned(self.now, NOT_SEEN)
        assert all(isinstance(event, AttemptFinished) for event in events)
        self._read(asked, events)
        self._close(asked, RequestOutcome.CANCELLED)

    @rule(seconds=st.sampled_from([0.01, 1.0, 7.0, 31.0, 150.0, 400.0, 4000.0, 100_000.0]))
    def wait(self, seconds: float) -> None:
        self.now = self.now.later(seconds)

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def places_in_flight_are_those_of_the_open_attempts(self) -> None:
        on = Counter(
            (asked.on.provider.name, asked.on.credential.name)
            for asked in self.open
            if asked.on is not None
        )
        for state in self.pool.providers.values():
            for key in state.credentials:
                assert key.in_flight == on[state.name, key.name]
                assert key.config.max_in_flight is None or key.in_flight <= key.config.max_in_flight
            total = sum(key.in_flight for key in state.credentials)
            assert state.in_flight == total
            assert state.config.max_in_flight is None or total <= state.config.max_in_flight

    @invariant()
    def the_pointer_is_where_the_last_switch_said(self) -> None:
        for name, target in self.pointers.items():
            route = self.pool.route(name, self.now)
            assert route is not None
            assert route.active.target.name == target

    @invariant()
    def the_pool_lists_what_the_events_say_rests(self) -> None:
        listed = {spot.cooldown.id for spot in self.pool.resting() if spot.cooldown}
        assert listed == set(self.ledger.running)

    @invariant()
    def one_probe_at_most_is_under_way_on_a_target(self) -> None:
        probing = Counter(
            (asked.on.provider.name, asked.on.model)
            for asked in self.open
            if asked.on is not None and asked.probes(self.now.instant)
        )
        assert all(count == 1 for count in probing.values())

    @invariant()
    def nobody_waits_but_open_requests_that_were_told_to(self) -> None:
        waiting = {asked.call.facts.request_id for asked in self.open if asked.waits_until}
        queued = [each for state in self.pool.providers.values() for each in state.queue]
        assert len(queued) == len(set(queued))
        assert set(queued) <= waiting
        assert sum(self._route(name).waiting for name in NAMES) == len(self.pool.waiting)

    @invariant()
    def the_configured_order_is_never_rewritten(self) -> None:
        for configured in CONFIG.routes:
            hops = self.pool.routes[configured.name].hops
            assert [hop.target.name for hop in hops] == [each.target for each in configured.targets]
            assert [hop.index for hop in hops] == list(range(len(hops)))

    def teardown(self) -> None:
        for asked in list(self.open):
            self._read(asked, asked.call.abandoned(self.now, NOT_SEEN))
            self._close(asked, RequestOutcome.CANCELLED)
        self.places_in_flight_are_those_of_the_open_attempts()
        for state in self.pool.providers.values():
            assert (state.in_flight, state.queue, state.spot.lease) == (0, {}, None)
            for key in state.credentials:
                assert all(spot.lease is None for spot in (key.spot, *key.models.values()))
        for target in self.pool.targets():
            assert (target.lease, target.spot.lease) == (None, None)
        assert len(self.pool.waiting) == 0
        self.now = self.now.later(LONG)
        self._expire()
        assert self.ledger.running == {}
        assert list(self.pool.resting()) == []

    # -- inside --------------------------------------------------------------------------------

    def _in(self, phase: Phase) -> list[Asked]:
        return [asked for asked in self.open if asked.call.phase is phase]

    def _expire(self) -> None:
        for event in self.pool.expire(self.now):
            self.ledger.read(event)

    def _route(self, name: str) -> RouteState:
        route = self.pool.route(name, self.now)
        assert route is not None
        return route

    def _read(self, asked: Asked, events: list[Event]) -> None:
        assert sum(isinstance(event, Switched) for event in events) <= 1
        for event in events:
            self.ledger.read(event)
            if isinstance(event, CandidateSkipped):
                asked.numbers.append(event.n)
            if isinstance(event, Switched):
                name = asked.call.route.chain.name
                assert event.from_target == self.pointers[name]
                assert event.to_target != event.from_target
                self.pointers[name] = event.to_target

    def _waits(self, asked: Asked, seconds: float, free: set[tuple[str, str]]) -> None:
        """Nobody waits for nothing, or past its patience (a pause before a repetition excepted)."""
        for_room = any(hop.target.provider.queue for hop in asked.call.route.hops)
        assert not free or for_room or asked.call.facts.session
        now = self.now.instant
        if asked.waits_until is None:
            asked.waits_until = now + (20.0 if asked.call.facts.session else 2.0)
        assert now + seconds <= max(asked.waits_until, now + 1.0) + 1e-6

    def _sent(
        self,
        asked: Asked,
        step: Send,
        free: set[tuple[str, str]],
        allowed: set[tuple[str, str]],
    ) -> None:
        name = f"{step.provider.name}/{step.model}"
        candidate = (name, step.credential.name)
        assert candidate in allowed or self._looks(asked, step)
        self._stands_in_order(asked, step, free)
        asked.on, asked.sent = step, self.now.instant
        asked.tried[candidate] += 1
        asked.numbers.append(int(step.attempt_id.rpartition(".")[2]))
        assert asked.numbers == list(range(1, len(asked.numbers) + 1))
        repeated = [key for key, times in asked.tried.items() if times > 1]
        assert len(repeated) <= 1
        assert all(asked.tried[key] == 2 for key in repeated)
        if asked.tried[candidate] == 2:
            assert POLICY[asked.failed[candidate]].again is not Again.NO
        assert asked.counted.total() < CONFIG.stability.max_attempts
        most = CONFIG.stability.max_attempts_per_provider
        assert asked.counted[step.provider.name] < most
        assert 0 <= step.timeouts.first_content_seconds <= asked.call._deadline - self.now.instant

    def _looks(self, asked: Asked, step: Send) -> bool:
        """A repetition, or a probe of a place whose rest is long enough to be doubted."""
        name = f"{step.provider.name}/{step.model}"
        if asked.tried[name, step.credential.name] == 1:
            return True
        assert step.probe
        for place in self._places(*_names(step)):
            rest = self.ledger.rest(place, self.now)
            if rest is not None:
                gap = 900.0 if rest.source is CooldownSource.STATED else 15.0
                assert self.now.timestamp - rest.started >= round(gap * MICROS) - 2
        return True

    def _stands_in_order(self, asked: Asked, step: Send, free: set[tuple[str, str]]) -> None:
        """What is on trial is sent to as a probe; a held target only where no proved one is free."""
        name = f"{step.provider.name}/{step.model}"
        places = self._places(*_names(step))
        asked.tests = self.ledger.unproven.intersection(places)
        assert step.probe or not asked.tests
        for other in self.open:
            if other is not asked:  # Whose lease has run out: it proves nothing any more.
                other.tests -= asked.tests
        if step.probe and self._doubted(step):
            return
        if self._held(asked, name) and not asked.call.facts.session:
            for target, key in free:
                provider, _, model = target.partition("/")
                trial = self.ledger.unproven.intersection(self._places(provider, model, key))
                assert trial or self._held(asked, target)

    def _doubted(self, step: Send) -> bool:
        """Some key of the target rests long enough to be looked at, whatever hold it led to."""
        keys = [key.name for key in step.provider.credentials]
        places = {
            each for key in keys for each in self._places(step.provider.name, step.model, key)
        }
        rests = (self.ledger.rest(place, self.now) for place in places)
        return any(rest is not None for rest in rests)

    def _fail(
        self, asked: Asked, failure: Failure, stated: float | None, *, processed: bool
    ) -> None:
        send = asked.on
        assert send is not None
        asked.on = None
        asked.faults.append(failure)
        candidate = (f"{send.provider.name}/{send.model}", send.credential.name)
        asked.failed[candidate] = failure
        walked = POLICY[failure].blame is Blame.CAPACITY and asked.tried[candidate] == 1
        asked.counted[send.provider.name] += not walked
        fault = Bad(failure=failure, reason="code", stated_seconds=stated, processed=processed)
        before = (dict(self.ledger.running), self._outcomes())
        events = asked.call.failed(fault, self.now, NOT_SEEN)
        self._read(asked, events)
        rests = [event for event in events if isinstance(event, CooldownStarted | CooldownExtended)]
        if POLICY[failure].blame is Blame.NOBODY:
            assert (self.ledger.running, self._outcomes()) == before
        elif stated is not None:
            # Who cannot be connected to states nothing.
            if failure is not Failure.CONNECT:
                self._keep_stated(send, failure, stated)
        else:
            assert all(event.source is not CooldownSource.STATED for event in rests)

    def _outcomes(self) -> dict[str, tuple[int, int]]:
        """What the breakers have counted."""
        now, stability = self.now.instant, CONFIG.stability
        return {
            target.name: target.breaker.window(stability=stability, now=now)
            for target in self.pool.targets()
        }

    def _keep_stated(self, send: Send, failure: Failure, stated: float) -> None:
        """From now on nothing may end this place's rest before what was stated."""
        place = self._blamed(failure, send.provider.name, send.model, send.credential.name)
        pool = (Scope.PROVIDER, send.provider.name, "", "", "")
        until = self.now.timestamp + round(max(0.5, stated) * MICROS)
        # A refusal of the whole pool is kept by its provider.
        rest = max(
            (each for each in self.ledger.running.values() if each.place in (place, pool)),
            key=lambda each: each.until,
        )
        assert rest.until >= until - 2
        rest.stated_until = max(rest.stated_until, until)

    def _blamed(self, failure: Failure, name: str, model: str, key: str) -> Place:
        _, target, credential, limit = self._places(name, model, key)
        if POLICY[failure].blame is not Blame.CAPACITY:
            return target
        grouped = limit[0] is Scope.QUOTA_GROUP
        whole_key = failure is Failure.AUTH or (failure is Failure.QUOTA_EXHAUSTED and not grouped)
        return credential if whole_key else limit

    def _places(self, name: str, model: str, key: str) -> tuple[Place, Place, Place, Place]:
        """All that may keep this candidate away, the widest first."""
        limit = (Scope.CREDENTIAL_MODEL, name, model, key, "")
        if name == "p" and model in {"m", "n"}:
            limit = (Scope.QUOTA_GROUP, name, "pro", key, "")
        return (
            (Scope.PROVIDER, name, "", "", ""),
            (Scope.TARGET, name, model, "", ""),
            (Scope.CREDENTIAL, name, "", key, ""),
            limit,
        )

    def _held(self, asked: Asked, target: str) -> bool:
        """Held, or suppressed for flapping."""
        name, _, model = target.partition("/")
        chain = asked.call.route.chain
        place = (Scope.TARGET, name, model, "", chain.name)
        return self.ledger.rests(self.now, place) or (chain.label, target) in self.ledger.flapping

    def _probed(self, provider: str) -> bool:
        """Something of the provider is being probed: what of it is on trial may be taken."""
        return any(
            asked.on is not None
            and asked.on.provider.name == provider
            and asked.probes(self.now.instant)
            for asked in self.open
        )

    def _free(self, asked: Asked, *, sure: bool) -> set[tuple[str, str]]:
        """Candidates that neither rest nor are excluded for this request.

        `sure`: without those that it may have to leave to others who probe, or wait longer.
        """
        if asked.faults and (
            POLICY[asked.faults[-1]].blame is Blame.NOBODY
            and asked.faults[-1] is not Failure.CONTEXT_TOO_LONG
        ):
            return set()
        wanted = asked.call._wanted
        found = set()
        for hop in asked.call.route.hops:
            state, name = hop.target.provider, hop.target.name
            cap = state.config.max_in_flight
            full = cap is not None and state.in_flight >= cap
            queued = sure and set(state.queue) - {asked.call.facts.request_id}
            if full or queued or name in wanted.given_up or state.name in wanted.spent:
                continue
            for key in state.credentials:
                places = self._places(state.name, hop.target.model, key.name)
                room = key.config.max_in_flight is None or key.in_flight < key.config.max_in_flight
                fresh = not asked.tried[name, key.name]
                if sure and self.ledger.unproven.intersection(places) and self._probed(state.name):
                    continue
                if fresh and room and not self.ledger.rests(self.now, *places):
                    found.add((name, key.name))
        return found

    def _close(self, asked: Asked, outcome: RequestOutcome) -> None:
        event = asked.call.closed(self.now, outcome=outcome, status=200)
        assert isinstance(event, RequestFinished)
        assert event.attempts == sum(asked.tried.values())
        assert event.attempts + event.skipped == len(asked.numbers)
        self.open.remove(asked)


def _names(send: Send) -> tuple[str, str, str]:
    return send.provider.name, send.model, send.credential.name


def _pick(open_requests: list[Asked], which: int) -> Asked | None:
    return open_requests[which % len(open_requests)] if open_requests else None
