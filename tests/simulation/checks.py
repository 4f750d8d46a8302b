"""The promises of docs/stability.md, each as a watcher of the simulation. None asks the pool whether
the pool is right: what was well is known from the weather, what rests from the events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from msgspec.structs import replace

from gateway.config import Stability
from gateway.events import (
    CandidateSkipped,
    CooldownEnd,
    CooldownEnded,
    Event,
    Failure,
    LocalNetwork,
    PoolWideFailure,
    Switched,
    SwitchKind,
)
from gateway.routing.choosing import Wanted
from gateway.routing.policy import POLICY, RETRY_PAUSE_SECONDS, Blame
from gateway.routing.readiness import candidate_spots
from gateway.routing.resting import NETWORK
from gateway.routing.state import Candidate, RouteState
from gateway.routing.steps import Send
from tests.simulation.attempts import earlier, is_second, spent, target_of
from tests.simulation.books import ROUNDING, Books, Place, places
from tests.simulation.photograph import photograph
from tests.simulation.world import (
    Asked,
    Choosing,
    Content,
    Ended,
    Fact,
    GaveUp,
    Reported,
    Reporting,
    Restarted,
    Sent,
    Told,
    Waited,
    World,
)

SOFT_EVERY = 11
"""Each so-many-th choice is compared with one without soft rules."""

PHOTOGRAPH_EVERY = 2
"""Each so-many-th report of nobody's fault is looked at from before and after."""


def places_of(world: World, send: Send) -> tuple[Place, ...]:
    return places(world.config, send.provider.name, send.model, send.credential.name)


@dataclass(slots=True)
class VoluntaryMoves:
    """Returns of a route in any window T: at most burst + T / refill."""

    problems: list[str] = field(default_factory=list)
    returns: dict[str, list[float]] = field(default_factory=dict)

    def saw(self, world: World, fact: Fact) -> None:
        if isinstance(fact, Restarted) and world.wall:
            self.returns.clear()  # A process that sees another time cannot know what was used up.
        if not isinstance(fact, Told) or not isinstance(fact.event, Switched):
            return
        event = fact.event
        if event.switch is not SwitchKind.RETURN:
            return
        stability = _route(world, event.route).chain.stability
        times = self.returns.setdefault(event.route, [])
        times.append(world.now)
        for index, since in enumerate(times):
            window = world.now - since
            allowed = stability.moves_burst + window / stability.moves_refill_seconds
            if len(times) - index > allowed + ROUNDING:
                self.problems.append(f"{len(times) - index} returns in {window:.0f} s")


@dataclass(slots=True)
class Serves:
    """No request is refused while a candidate that it has not tried is ready and truly well."""

    books: Books
    problems: list[str] = field(default_factory=list)

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, GaveUp) or fact.step.own_fault:
            return
        asked = fact.asked
        if fact.step.failure is Failure.DEADLINE:
            return
        for candidate in self._healthy(world, asked):
            self.problems.append(f"{asked.name} is refused, and {candidate} was well")

    def _healthy(self, world: World, asked: Asked) -> list[str]:
        stability: Stability = asked.call.route.chain.stability
        tried = Counter((target_of(each), each.credential.name) for each in asked.sends)
        counted = spent(asked)
        if counted.total() >= stability.max_attempts:
            return []
        given_up = {
            target_of(send)
            for send, bad in zip(asked.sends, asked.bads, strict=False)
            if not POLICY[bad.failure].next_credential
        }
        found = []
        for hop in asked.call.route.hops:
            name, provider = hop.target.name, hop.target.provider
            own = world.config.providers[provider.name]
            full = own.max_in_flight is not None and provider.in_flight >= own.max_in_flight
            limit = hop.config.context_tokens
            unable = limit is not None and asked.facts.body_tokens > limit
            if unable or full or provider.queue or name in given_up:
                continue
            if hop.target.drained(world.moment.instant) or hop.target.probed(world.moment.instant):
                continue
            if counted[provider.name] >= stability.max_attempts_per_provider:
                continue
            for key in provider.credentials:
                keeping = places(world.config, provider.name, hop.target.model, key.name)
                cap = key.config.max_in_flight
                if cap is not None and key.in_flight >= cap:
                    continue
                if tried[name, key.name] or any(self.books.running(p, world.now) for p in keeping):
                    continue
                if any(self.books.tested(place) for place in keeping):
                    continue
                if world.providers[provider.name].well(key.name, asked.began, world.now):
                    found.append(f"{name} {key.name}")
        return found


@dataclass(slots=True)
class SoftRules:
    """Holds, penalties, pins, sessions and probes reorder: without them the same candidates can be
    reached."""

    problems: list[str] = field(default_factory=list)
    seen: int = 0

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Choosing):
            return
        self.seen += 1
        if self.seen % SOFT_EVERY:
            return
        call = fact.asked.call
        wanted = call._wanted
        with_rules = self._reachable(world, call.route, wanted)
        undo = _soften(call.route)
        without = self._reachable(world, call.route, replace(wanted, seat=None))
        undo.apply(call.route)
        if with_rules != without:
            self.problems.append(f"{fact.asked.name}: {with_rules} with soft rules, else {without}")

    def _reachable(
        self, world: World, route: RouteState, wanted: Wanted
    ) -> frozenset[tuple[str, str]]:
        """All that could be tried one after another, without what rests and is only looked at."""
        now = world.moment
        wanted = replace(wanted, tried=set(wanted.tried))
        found: set[tuple[str, str]] = set()
        while True:
            candidate = world.pool.explain(route, wanted, now, Random(1)).candidate
            if candidate is None:
                return frozenset(found)
            wanted.tried.add(candidate.key)
            if not _rests(candidate, world):
                found.add(candidate.key)


def _rests(candidate: Candidate, world: World) -> bool:
    return any(spot.rests(world.moment.instant) for spot in candidate_spots(candidate))


@dataclass(frozen=True, slots=True)
class _Soft:
    """The soft state of a route, to be put back."""

    active: object
    pin: object
    ramp: object
    hops: tuple[tuple[object, object, float], ...]

    def apply(self, route: RouteState) -> None:
        route.active, route.pin, route.ramp = self.active, self.pin, self.ramp  # type: ignore[assignment]
        for hop, (hold, since, probe) in zip(route.hops, self.hops, strict=True):
            hop.hold.cooldown = hold  # type: ignore[assignment]
            hop.penalty.suppressed_since = since  # type: ignore[assignment]
            hop.evidence.next_probe = probe  # type: ignore[assignment]


def _soften(route: RouteState) -> _Soft:
    kept = _Soft(
        route.active,
        route.pin,
        route.ramp,
        tuple(
            (hop.hold.cooldown, hop.penalty.suppressed_since, hop.evidence.next_probe)
            for hop in route.hops
        ),
    )
    route.active, route.pin, route.ramp = route.hops[0], None, None
    for hop in route.hops:
        hop.hold.cooldown = None
        hop.penalty.suppressed_since = None
    return kept


@dataclass(slots=True)
class OneProbe:
    """What is not proved is tried by one probe at a time, and by nobody else."""

    books: Books
    problems: list[str] = field(default_factory=list)
    running: dict[str, Asked] = field(default_factory=dict)
    """By target, the probes that are not decided yet."""

    def saw(self, world: World, fact: Fact) -> None:
        match fact:
            case Sent():
                self._sent(world, fact.asked, fact.send)
            case Content() | Reporting():
                self._decided(world, fact.asked, content=isinstance(fact, Content))
            case Restarted():
                self.running.clear()
            case _:
                pass

    def _sent(self, world: World, asked: Asked, send: Send) -> None:
        keeping = places_of(world, send)
        resting = [place for place in keeping if self.books.running(place, world.now)]
        trial = [place for place in keeping if place in self.books.trials]
        if not send.probe:
            if resting or trial:
                self.problems.append(
                    f"{send.attempt_id} is no probe, and {resting or trial} is bad"
                )
            return
        route, name = asked.call.route, target_of(send)
        better = asked.last.hop.index < route.active.index
        if not (resting or trial or better):
            self.problems.append(f"{send.attempt_id} probes {name}, which is proved")
        other = self.running.get(name)
        if other is not None:
            self.problems.append(f"{send.attempt_id} probes {name} beside {other.name}")
        self.running[name] = asked
        self.books.probing(send.attempt_id, keeping)

    def _decided(self, world: World, asked: Asked, *, content: bool) -> None:
        if not asked.sends or not asked.sends[-1].probe:
            return
        send = asked.sends[-1]
        if self.running.get(target_of(send)) is asked:
            del self.running[target_of(send)]
            self.books.undecided.discard(send.attempt_id)
            if content:
                self.books.proved(send.attempt_id, places_of(world, send))


@dataclass(slots=True)
class RestsEnd:
    """A rest ends at its time, or says by what else: a probe's content, an operator, one cause."""

    books: Books
    problems: list[str] = field(default_factory=list)
    cause: str = ""
    """The request whose report has just told of one cause behind many failures."""
    contents: str = ""

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Told):
            return
        self.books.read(fact.event, world.now)
        event, asked = fact.event, fact.asked
        if isinstance(event, PoolWideFailure | LocalNetwork):
            self.cause = event.request_id
        if not isinstance(event, CooldownEnded):
            return
        name = asked.name if asked is not None else ""
        if event.ended is CooldownEnd.PROBE and not (
            asked is not None and asked.content and asked.sends[-1].probe
        ):
            self.problems.append(f"{event.cooldown_id} ends by a probe that {name} is not")
        back = event.reason == NETWORK  # Somebody has answered: the network is there again.
        known = self.books.restarting or (name and (back or self.cause == name))
        if event.ended is CooldownEnd.SUPERSEDED and not known:
            self.problems.append(f"{event.cooldown_id} is superseded by nothing")
        if event.ended is CooldownEnd.OPERATOR and not event.actor:
            self.problems.append(f"{event.cooldown_id} is ended by no operator")


@dataclass(slots=True)
class Pointers:
    """Each move of a pointer is exactly one event, and the chain of moves has no gap."""

    books: Books
    problems: list[str] = field(default_factory=list)
    firsts: dict[str, str] = field(default_factory=dict)

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Content | Reported | Ended):
            return
        for name, route in world.pool.routes.items():
            first = self.firsts.setdefault(name, route.hops[0].target.name)
            told = self.books.pointers.get(name, first)
            if route.active.target.name != told:
                self.problems.append(f"{name} stands on {route.active.target.name}, told: {told}")


@dataclass(slots=True)
class NobodysFault:
    """A client that goes away, or is at fault itself, changes nothing that is remembered."""

    problems: list[str] = field(default_factory=list)
    before: object = None
    seen: int = 0

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Reporting | Reported):
            return
        if fact.bad is not None and POLICY[fact.bad.failure].blame is not Blame.NOBODY:
            return
        if isinstance(fact, Reporting):
            self.seen += 1
        if self.seen % PHOTOGRAPH_EVERY:
            return
        now = photograph(world.pool)
        if isinstance(fact, Reporting):
            self.before = now
        elif now != self.before:
            self.problems.append(f"{fact.asked.name} has changed the pool by nobody's fault")


@dataclass(slots=True)
class Waits:
    """Every wait is short, and ends."""

    problems: list[str] = field(default_factory=list)

    def saw(self, world: World, fact: Fact) -> None:
        match fact:
            case Waited():
                if not 0 < fact.seconds < float("inf"):
                    self.problems.append(f"{fact.asked.name} waits {fact.seconds} s")
            case Ended():
                waited = world.now - fact.asked.began
                stability = fact.asked.call.route.chain.stability
                longest = stability.wait_max_seconds + RETRY_PAUSE_SECONDS[1] + ROUNDING
                if not fact.asked.sends and waited > longest:
                    self.problems.append(f"{fact.asked.name} has waited {waited} s for nothing")
                if fact.asked.name in world.pool.waiting._routes:
                    self.problems.append(f"{fact.asked.name} is over and waits")
            case _:
                pass

    def over(self, world: World) -> None:
        """Nothing is planned any more."""
        left = list(world.open)
        if left or len(world.pool.waiting):
            self.problems.append(f"{left} never end")
        queues = [each.name for each in world.pool.providers.values() if each.queue]
        routes = [name for name, each in world.pool.routes.items() if each.waiting]
        if queues or routes:
            self.problems.append(f"places in the queues of {queues + routes} are lost")


@dataclass(slots=True)
class Permits:
    """In flight is who is in flight, and never more than the caps allow."""

    problems: list[str] = field(default_factory=list)

    def saw(self, world: World, fact: Fact) -> None:
        if not isinstance(fact, Sent | Ended):
            return
        under_way = [
            asked.sends[-1]
            for asked in world.open.values()
            if asked.outcome is None and asked.call.phase.value in {"trying", "committed"}
        ]
        on = Counter((each.provider.name, each.credential.name) for each in under_way)
        for provider in world.pool.providers.values():
            total = sum(on[provider.name, key.name] for key in provider.credentials)
            cap = provider.config.max_in_flight
            wrong = [
                key.name
                for key in provider.credentials
                if key.in_flight != on[provider.name, key.name]
                or _above(key.in_flight, key.config.max_in_flight)
            ]
            if wrong or provider.in_flight != total or _above(total, cap):
                self.problems.append(f"in flight at {provider.name}: {on}, {wrong}")


@dataclass(slots=True)
class Census:
    """What has happened at all: a property that never met its case proves nothing."""

    seen: Counter[str] = field(default_factory=Counter)

    def saw(self, world: World, fact: Fact) -> None:
        match fact:
            case Told():
                self._told(fact.event)
            case Sent():
                self.seen["probe" if fact.send.probe else "attempt"] += 1
                if is_second(fact.asked) and earlier(fact.asked).failure is Failure.RATE_LIMITED:
                    self.seen["asked again when its limit was over"] += 1
                if fact.send.probe and _rests(fact.asked.last, world):
                    self.seen["recheck"] += 1
            case Waited():
                self.seen["wait"] += 1
            case GaveUp():
                self.seen[f"refused: {fact.step.failure}"] += 1
            case Reported():
                self.seen[fact.bad.failure.value if fact.bad is not None else "cancelled"] += 1
            case _:
                pass

    def _told(self, event: Event) -> None:
        match event:
            case Switched():
                self.seen[f"switch: {event.switch}"] += 1
            case CooldownEnded():
                self.seen[f"rest ended: {event.ended}"] += 1
            case CandidateSkipped():
                self.seen[f"skipped: {event.reason}"] += 1
            case _:
                self.seen[event.kind] += 1


def _route(world: World, label: str) -> RouteState:
    return world.pool.routes[label]


def _above(count: int, limit: int | None) -> bool:
    return limit is not None and count > limit
