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
)
from gateway.routing.call import Call, Phase
from gateway.routing.policy import POLICY, Again, Blame
from gateway.routing.pool import Pool
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
    counted: Counter[str] = field(default_factory=Counter)
    """Failed attempts by provider, those of limited keys left out."""
    numbers: list[int] = field(default_factory=list)


class Traffic(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.rng = Random(7)
        self.pool = Pool(CONFIG, rng=self.rng, now=self.now, speaks=everything)
        self.ledger = Ledger()
        self.open: list[Asked] = []
        self.number = 0
        self.pointers: dict[str, str] = {}

    # -- what happens --------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), stream=st.booleans())
    def ask(self, name: str, stream: bool) -> None:
        self.number += 1
        route = self.pool.route(name, self.now)
        assert route is not None
        self.pointers.setdefault(name, route.hops[0].target.name)
        mine = facts(self.number, began=self.now, stream=stream)
        call = Call(self.pool, route, mine, now=self.now, rng=self.rng)
        self.open.append(Asked(call))

    @rule(which=WHICH)
    def step(self, which: int) -> None:
        asked = _pick(self._in(Phase.SELECTING), which)
        if asked is None:
            return
        self._expire()
        late = self.now.instant >= asked.call._deadline
        free = self._free(asked)
        step, events = asked.call.step(self.now)
        self._read(asked, events)
        match step:
            case Send():
                self._sent(asked, step, free)
            case Wait():
                assert not free
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
        name = asked.call.route.chain.name
        moved = [event for event in events if isinstance(event, Switched)]
        assert len(moved) <= 1
        for event in moved:
            assert event.from_target == self.pointers[name]
            assert event.to_target != event.from_target
            self.pointers[name] = event.to_target
        self._read(asked, events)

    @rule(which=WHICH)
    def finish(self, which: int) -> None:
        asked = _pick(self._in(Phase.COMMITTED), which)
        if asked is None:
            return
        self._read(asked, asked.call.finished(self.now, Seen(status=200, bytes_sent=1)))
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
        assert all(state.in_flight == 0 for state in self.pool.providers.values())
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

    def _read(self, asked: Asked, events: list[Event]) -> None:
        for event in events:
            self.ledger.read(event)
            if isinstance(event, CandidateSkipped):
                asked.numbers.append(event.n)

    def _sent(self, asked: Asked, step: Send, free: set[tuple[str, str]]) -> None:
        name = f"{step.provider.name}/{step.model}"
        candidate = (name, step.credential.name)
        assert candidate in free or asked.tried[candidate] == 1
        assert not self._held(asked, name) or all(self._held(asked, each) for each, _ in free)
        asked.on = step
        asked.tried[candidate] += 1
        asked.numbers.append(int(step.attempt_id.rpartition(".")[2]))
        assert asked.numbers == list(range(1, len(asked.numbers) + 1))
        repeated = [key for key, times in asked.tried.items() if times > 1]
        assert len(repeated) <= 1
        assert all(asked.tried[key] == 2 for key in repeated)
        if asked.tried[candidate] == 2:
            assert POLICY[asked.faults[-1]].again is not Again.NO
        assert asked.counted.total() < CONFIG.stability.max_attempts
        most = CONFIG.stability.max_attempts_per_provider
        assert asked.counted[step.provider.name] < most
        assert 0 <= step.timeouts.first_content_seconds <= asked.call._deadline - self.now.instant

    def _fail(
        self, asked: Asked, failure: Failure, stated: float | None, *, processed: bool
    ) -> None:
        send = asked.on
        assert send is not None
        asked.on = None
        asked.faults.append(failure)
        asked.counted[send.provider.name] += POLICY[failure].blame is not Blame.CAPACITY
        fault = Bad(failure=failure, reason="code", stated_seconds=stated, processed=processed)
        before = (dict(self.ledger.running), self._outcomes())
        events = asked.call.failed(fault, self.now, NOT_SEEN)
        self._read(asked, events)
        rests = [event for event in events if isinstance(event, CooldownStarted | CooldownExtended)]
        if POLICY[failure].blame is Blame.NOBODY:
            assert (self.ledger.running, self._outcomes()) == before
        elif stated is not None:
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
        (rest,) = [each for each in self.ledger.running.values() if each.place == place]
        until = self.now.timestamp + round(max(0.5, stated) * MICROS)
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
        name, _, model = target.partition("/")
        place = (Scope.TARGET, name, model, "", asked.call.route.chain.name)
        return self.ledger.rests(self.now, place)

    def _free(self, asked: Asked) -> set[tuple[str, str]]:
        """Candidates that neither rest nor are excluded for this request."""
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
            if full or name in wanted.given_up or state.name in wanted.spent:
                continue
            for key in state.credentials:
                places = self._places(state.name, hop.target.model, key.name)
                room = key.config.max_in_flight is None or key.in_flight < key.config.max_in_flight
                fresh = not asked.tried[name, key.name]
                if fresh and room and not self.ledger.rests(self.now, *places):
                    found.add((name, key.name))
        return found

    def _close(self, asked: Asked, outcome: RequestOutcome) -> None:
        event = asked.call.closed(self.now, outcome=outcome, status=200)
        assert isinstance(event, RequestFinished)
        assert event.attempts == sum(asked.tried.values())
        assert event.attempts + event.skipped == len(asked.numbers)
        self.open.remove(asked)


def _pick(open_requests: list[Asked], which: int) -> Asked | None:
    return open_requests[which % len(open_requests)] if open_requests else None
