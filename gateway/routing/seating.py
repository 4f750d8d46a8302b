"""One request's session: the seat it looks for, and what becomes of the binding when it is served."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.config import ReturnPolicy, Stability
from gateway.events import Event, SessionMoved, Usage
from gateway.routing.affinity import Binding, Seat
from gateway.routing.readiness import Admission, credential_look, stands_back, target_look
from gateway.routing.state import Candidate, HopState, RouteState
from gateway.routing.steps import Facts
from gateway.units import Instant, Moment

SHARE_OF_GOOD = 0.98
OUTCOMES_MIN = 20
"""Of home's last outcomes, before a session on a detour goes back to it with a warm cache to lose."""

DETOUR, REBIND, REHOME = "detour", "rebind", "rehome"


def session_key(facts: Facts) -> str:
    """Within one client's keys; empty for a request that is no part of any session."""
    return _key(facts, facts.session or facts.continued or facts.conversation)


def _key(facts: Facts, name: str) -> str:
    return f"{facts.client}\x1f{name}" if name else ""


class Seating:
    """`seat` is where the request should go; None if it has no warm cache anywhere."""

    __slots__ = (
        "_facts",
        "_going_home",
        "_key",
        "_limited",
        "_opened_as",
        "_route",
        "_stability",
        "binding",
        "seat",
    )

    def __init__(
        self, route: RouteState, facts: Facts, now: Instant, *, look_only: bool = False
    ) -> None:
        self._route = route
        self._facts = facts
        self._stability: Stability = route.chain.stability
        self._key = session_key(facts)
        self.binding: Binding | None = None
        if self._key and not (facts.first_turn and not facts.session):
            self.binding = self._find(self._key, now, look_only=look_only)
        self._opened_as = ""
        """Key of the binding of its first turn, until its second one has a key of its own."""
        if self.binding is None and facts.continued and not facts.session:
            opened_as = _key(facts, facts.conversation)
            self.binding = self._find(opened_as, now, look_only=look_only)
            self._opened_as = opened_as if self.binding is not None else ""
        self._limited = False
        self._going_home = self.binding is not None and self._may_go_home(self.binding, now)
        self.seat: Seat | None = None
        if self.binding is not None:
            self.seat = self.binding.home if self._going_home else self.binding.seat

    def _find(self, key: str, now: Instant, *, look_only: bool) -> Binding | None:
        sessions, tokens = self._route.sessions, self._facts.body_tokens
        return sessions.find(key, tokens, self._stability, now, look_only=look_only)

    @property
    def new_session(self) -> bool:
        """A session with a name of its own that lives nowhere yet."""
        return bool(self._facts.session) and self.binding is None

    def limited(self, candidate: Candidate) -> None:
        """`candidate` has refused the request for a limit. Where it is the session's own seat, the
        session stays with whoever serves it instead, however soon the limit is over: its prompt is
        cached there now, and one fewer presses on the limit."""
        self._limited = self._limited or (self.seat is not None and self.seat.holds(candidate))

    def served(self, candidate: Candidate, *, probe: bool, now: Moment) -> list[Event]:
        """Content comes from `candidate`.

        A session that was sent to look at a better target stays there: it has paid with its cache
        already, and its next turns are the evidence for the others.
        """
        if not self._key or candidate.hop not in self._route.hops:
            return []
        binding = self.binding
        if binding is None:
            return self._bind(candidate, now)
        if self._opened_as:
            self._route.sessions.rename(self._opened_as, self._key)
            self._opened_as = ""
        binding.last = now.instant
        home = binding.home.holds(candidate)
        returns = home and self._going_home
        if binding.seat.holds(candidate):
            return []
        scout = probe and candidate.hop.index < binding.seat.hop.index
        stays = not self._limited and self._stays(binding.seat, now.instant)
        if not returns and not scout and stays:
            return []  # One rescued request is no move, nor is a probe of a key.
        if home:
            if not scout:
                self._bounce(binding, now.instant)
            return self._moved(binding, None, REHOME, now)
        return self._moved(binding, Seat(candidate.hop, candidate.credential), DETOUR, now)

    def finished(self, usage: Usage | None, now: Instant) -> None:
        """The whole answer is out: what it read from the cache is what a move would lose."""
        binding = self._route.sessions.peek(self._key) if self._key else None
        if binding is None:
            return
        binding.cached_tokens = (usage.cached_tokens or 0) if usage is not None else 0
        sessions = self._route.sessions
        sessions.touch(self._key, binding, body_tokens=self._facts.body_tokens, now=now)

    def keeps(self, answer_id: str, candidate: Candidate, now: Instant) -> None:
        """The account holds on to an answer that a later request may go on from by its id alone:
        nobody else could serve that request, so that the id is a session of its own."""
        if answer_id and candidate.hop in self._route.hops:
            self._route.sessions.bind(_key(self._facts, answer_id), candidate, self._stability, now)

    # -- inside --------------------------------------------------------------------------------

    def _bind(self, candidate: Candidate, now: Moment) -> list[Event]:
        before = self._route.sessions.peek(self._key)
        seat = before.seat if before is not None else None
        binding = self._route.sessions.bind(self._key, candidate, self._stability, now.instant)
        binding.body_tokens = self._facts.body_tokens
        anonymous = self._facts.first_turn and not self._facts.session
        if seat is None or anonymous or seat.holds(candidate):
            return []  # Two conversations that begin alike are no session that moved.
        return [self._event(seat.hop, candidate.hop, REBIND, now, seat, binding.home)]

    def _stays(self, seat: Seat, now: Instant) -> bool:
        """The seat is as good as before, though another one served this time."""
        if stands_back(seat.hop, now) or seat.hop.target.drained(now):
            return False
        target = seat.hop.target
        looks = (target_look(target, now), credential_look(target, seat.credential, now))
        return all(look.admission is not Admission.RESTING for look in looks)

    def _may_go_home(self, binding: Binding, now: Instant) -> bool:
        if binding.detour is None or self._route.chain.route.returns is not ReturnPolicy.AUTO:
            return False
        if not self._stays(binding.home, now):
            return False
        stability, health = self._stability, binding.home.hop.target.health
        last_bad = health.last_bad
        calm = last_bad is None or now - last_bad >= stability.session_stable_seconds
        proved = len(health.outcomes) >= OUTCOMES_MIN and health.share() >= SHARE_OF_GOOD
        old = now - binding.since >= binding.age_asked
        moved = self._route.sessions.moved_at
        turn = moved is None or now - moved >= stability.session_stagger_seconds
        return calm and proved and old and turn

    def _bounce(self, binding: Binding, now: Instant) -> None:
        """It goes home; should it have to leave again, it will stay away twice as long."""
        self._route.sessions.moved_at = now
        binding.age_asked *= 2

    def _moved(self, binding: Binding, detour: Seat | None, kind: str, now: Moment) -> list[Event]:
        before = binding.seat
        binding.detour = detour
        binding.since = now.instant
        after = binding.seat
        moved = self._event(before.hop, after.hop, kind, now, before, after)
        return [replace(moved, cached_tokens=binding.cached_tokens)]

    def _event(
        self, origin: HopState, to: HopState, kind: str, now: Moment, before: Seat, after: Seat
    ) -> SessionMoved:
        rest = before.hop.hold.running(now.instant) or before.hop.target.spot.running(now.instant)
        reason = rest.reason if rest is not None else before.credential.why_resting(now.instant)
        return SessionMoved(
            ts=now.timestamp,
            request_id=self._facts.request_id,
            route=self._route.chain.label,
            session=self._facts.session or self._facts.conversation,
            from_target=origin.target.name,
            to_target=to.target.name,
            from_credential=before.credential.name,
            to_credential=after.credential.name,
            move=kind,
            reason=reason or kind,
        )
