"""Which candidate a request tries next, and why the others before it are not tried. Changes nothing.

Choosing and stickiness are one thing here: the order of the targets (`order`) carries holds,
damping, the pointer and the session's seat, and only what rests, is full or cannot serve at all is
removed. So the soft rules can never remove the last candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from random import Random
from typing import TypeAlias

from msgspec import Struct

from gateway.config import Provider
from gateway.events import SkipReason
from gateway.routing.affinity import Seat
from gateway.routing.answer import UNTRANSLATABLE
from gateway.routing.order import Rank, ordered
from gateway.routing.probing import on_trial
from gateway.routing.readiness import (
    Admission,
    Look,
    all_at_peace,
    at_peace,
    credential_look,
    full,
    has_turn,
    target_look,
)
from gateway.routing.rotation import rotate
from gateway.routing.state import (
    BILLING_RANK,
    Candidate,
    CredentialState,
    HopState,
    RouteState,
    known_end,
)
from gateway.units import Instant, Moment

SKIPS_REPORTED_MAX = 8
"""Skipped credentials reported for one target and request; a pool of 200 would flood the rows."""
NO_FALLBACK = "no_fallback"
"""Cause of a target that is passed over because the client wants only another one's answer."""
ON_TRIAL = "on_trial"
"""Cause of a candidate that is passed over because it is not proved, and others are."""

Speaks: TypeAlias = Callable[[Provider, str], bool]
"""Whether a provider can serve a client's dialect."""
Cannot: TypeAlias = Callable[[Provider, str], str]
"""Why a provider and its model cannot be asked this very request; empty where they can."""


def always_can(provider: Provider, model: str) -> str:
    return ""


class Wanted(Struct):
    """What one request needs of a candidate, and what it has used up."""

    dialect: str
    body_tokens: int = 0
    """A rough guess, for `context_tokens`."""
    request: str = ""
    """Its id: its place in a queue."""
    seat: Seat | None = None
    """Where its session lives; None for a request without a warm cache."""
    new_session: bool = False
    """The first request of a session with a name: after a return it may have to hold back."""
    cannot: Cannot = always_can
    """Asked of targets in their turn only: it may be work to find out."""
    tried: set[tuple[str, str]] = set()
    later: Set[tuple[str, str]] = frozenset()
    """Of those tried: limited for so short that waiting for a second time is worth it."""
    given_up: Set[str] = frozenset()
    """Targets whose failure another credential cannot cure."""
    spent: Set[str] = frozenset()
    """Providers with no attempt left in this request."""
    only: HopState | None = None
    """The client wants nobody else's answer."""
    probed: bool = False
    """It has tested a credential already; one is enough for one request."""
    arrived: bool = True
    """It is counted among the route's arrivals; not so one that somebody only asks about."""

    def fits(self, choice: Choice) -> bool:
        """Whether it is as good as any that a wait could bring: where the session lives, and where
        room was sought first."""
        if choice.candidate is None or choice.full is not None:
            return False
        return self.seat is None or choice.candidate.hop is self.seat.hop


class Skip(Struct, frozen=True, gc=False):
    """A candidate passed over, with the reason."""

    hop: HopState
    credential: str
    """Empty where the whole target was passed over."""
    reason: SkipReason
    cause: str = ""
    until: Instant | None = None
    message: str = ""
    """A sentence for the client, where this is the request's own matter."""


class Choice(Struct, frozen=True, gc=False):
    """The candidate for the next attempt, and those passed over for it, in route order."""

    candidate: Candidate | None
    skips: list[Skip]
    probe: bool = False
    """The attempt tests something."""
    full: HopState | None = None
    """The first target in order has no room: worth a short wait."""


def choose(
    route: RouteState, wanted: Wanted, now: Moment, *, speaks: Speaks, rng: Random
) -> Choice:
    """Proved candidates first; then those on trial, the best target first both times."""
    ranked = ordered(
        route,
        seat=wanted.seat,
        now=now.instant,
        rng=rng,
        ramped=wanted.new_session,
        coming=int(not wanted.arrived),
    )
    picker = _Picker(route, wanted, now.instant, speaks, rng)
    chosen: Candidate | None = None
    rank = Rank.FREE
    for trials in (False, True):
        for rank, hop in ranked:
            chosen = picker.pick(hop, trials=trials or rank <= Rank.POINTER)
            if chosen is not None:
                break
        if chosen is not None:
            break
    skips = picker.reported(chosen, ranked)
    first = ranked[0][1] if ranked else None
    spills = chosen is None or chosen.hop is not first
    no_room = spills and first is not None and first.index in picker.no_room
    probe = chosen is not None and (rank is Rank.DUTY or on_trial(chosen, now.instant))
    return Choice(chosen, skips, probe=probe, full=first if no_room else None)


class _Picker:
    """One look over the targets, with what was found on the way."""

    def __init__(
        self, route: RouteState, wanted: Wanted, now: Instant, speaks: Speaks, rng: Random
    ) -> None:
        self._route = route
        self._wanted = wanted
        self._now = now
        self._speaks = speaks
        self._rng = rng
        self._skips: dict[int, list[Skip]] = {}
        self.no_room: set[int] = set()
        """Indexes of targets that only want room."""

    def pick(self, hop: HopState, *, trials: bool) -> Candidate | None:
        blocked = unable(self._route, hop, self._wanted, self._now, speaks=self._speaks)
        if blocked is None:
            blocked = self._blocked(hop, trials=trials)
        if blocked is not None:
            self._skips[hop.index] = [blocked]
            return None
        credential, passed = self._credential(hop, trials=trials)
        self._skips[hop.index] = passed
        return None if credential is None else Candidate(hop, credential)

    def reported(self, chosen: Candidate | None, ranked: list[tuple[Rank, HopState]]) -> list[Skip]:
        """What was passed over, and why better targets than the chosen one were not looked at."""
        found = dict(self._skips)
        if chosen is not None:
            for _, hop in ranked:
                if hop.index < chosen.hop.index and hop.index not in found:
                    found[hop.index] = [self._behind(hop)]
        return [skip for index in sorted(found) for skip in found[index]]

    def _behind(self, hop: HopState) -> Skip:
        """Why a better target was not even looked at."""
        blocked = unable(self._route, hop, self._wanted, self._now, speaks=self._speaks)
        if blocked is not None:
            return blocked
        hold = hop.hold.running(self._now)
        if hold is not None:
            return Skip(hop, "", SkipReason.HELD, hold.reason, hold.until)
        look = target_look(hop.target, self._now)
        if look.rest is not None:
            return _resting(hop, "", look)
        if hop.penalty.suppresses(hop.stability):
            until = hop.penalty.latest_end(hop.stability, self._now)
            return Skip(hop, "", SkipReason.SUPPRESSED, "flapping", until)
        return Skip(hop, "", SkipReason.NOT_PREFERRED)

    def _blocked(self, hop: HopState, *, trials: bool) -> Skip | None:
        target, wanted, now = hop.target, self._wanted, self._now
        look = target_look(target, now, recheck=wanted.seat is None)
        if look.admission is Admission.RESTING:
            return _resting(hop, "", look)
        if target.name in wanted.given_up:
            return Skip(hop, "", SkipReason.SAME_FAULT)
        if target.provider.name in wanted.spent:
            return Skip(hop, "", SkipReason.ATTEMPTS_SPENT)
        if look.admission is Admission.PROBING:
            return Skip(hop, "", SkipReason.PROBING)
        if look.admission is Admission.TRIAL and target.probed(now):
            return Skip(hop, "", SkipReason.PROBING)
        if look.admission is Admission.TRIAL and not trials:
            return Skip(hop, "", SkipReason.NOT_PREFERRED, ON_TRIAL)
        if not has_turn(target.provider, wanted.request):
            self.no_room.add(hop.index)
            return Skip(hop, "", SkipReason.AT_CAPACITY)
        return None

    def _credential(
        self, hop: HopState, *, trials: bool
    ) -> tuple[CredentialState | None, list[Skip]]:
        """A credential of the target, and those before it that may not be tried."""
        target, wanted, now = hop.target, self._wanted, self._now
        provider = target.provider
        if not wanted.tried and not provider.capped and all_at_peace(target):
            self.no_room.discard(hop.index)
            return self._among(hop, provider.credentials, [], trials=trials), []
        ready: list[CredentialState] = []
        trial: list[CredentialState] = []
        skips: list[tuple[int, Skip]] = []
        limit_name = provider.limit_name(target.model)
        for key in provider.credentials:
            if wanted.tried and (target.name, key.name) in wanted.tried:
                continue
            if full(key.in_flight, key.config.max_in_flight):
                self.no_room.add(hop.index)
                skips.append((key.order, Skip(hop, key.name, SkipReason.AT_CAPACITY)))
                continue
            if at_peace(key, limit_name):
                ready.append(key)
                continue
            look = credential_look(target, key, now, recheck=wanted.seat is None)
            if look.admission is Admission.READY:
                ready.append(key)
            elif look.admission is Admission.TRIAL and not target.probed(now):
                trial.append(key)
            else:
                skips.append((key.order, _resting(hop, key.name, look)))
        if ready or skips == []:
            self.no_room.discard(hop.index)
        chosen = self._among(hop, ready, trial, trials=trials)
        if chosen is None:
            skips += [
                (key.order, Skip(hop, key.name, SkipReason.NOT_PREFERRED, ON_TRIAL))
                for key in trial
            ]
            return None, _soonest(skips)
        return chosen, _soonest([each for each in skips if each[0] < chosen.order])

    def _among(
        self,
        hop: HopState,
        ready: list[CredentialState],
        trial: list[CredentialState],
        *,
        trials: bool,
    ) -> CredentialState | None:
        """The session's own key, one that shares its cache, a key to be tested, or the next one."""
        seat = self._wanted.seat
        if seat is not None and seat.hop is hop:
            if seat.credential in ready or seat.credential in trial:
                return seat.credential
            domain = seat.credential.config.cache_domain
            near = [key for key in ready if domain and key.config.cache_domain == domain]
            if near:
                return rotate(hop.target, near, rng=self._rng)
        if trial and seat is None and not self._wanted.probed:
            return trial[0]
        if ready:
            return rotate(hop.target, ready, rng=self._rng)
        return trial[0] if trial and trials else None


def unable(
    route: RouteState, hop: HopState, wanted: Wanted, now: Instant, *, speaks: Speaks
) -> Skip | None:
    """Why the target could not serve this request even at its best; None if it could."""
    target = hop.target
    provider = target.provider
    if wanted.only is not None and wanted.only is not hop:
        return Skip(hop, "", SkipReason.NOT_PREFERRED, NO_FALLBACK)
    if not provider.credentials:
        return Skip(hop, "", SkipReason.DISABLED)
    if target.drained(now):
        return Skip(hop, "", SkipReason.DRAINED, "operator", known_end(target.drained_until))
    if not speaks(provider.config, wanted.dialect):
        return Skip(hop, "", SkipReason.DIALECT)
    limit = hop.config.context_tokens
    if limit is not None and wanted.body_tokens > limit:
        return Skip(hop, "", SkipReason.CONTEXT_SIZE)
    first = route.hops[0].target.provider.config.billing
    dearer = BILLING_RANK[provider.config.billing] > BILLING_RANK[first]
    if dearer and not route.chain.route.allow_metered_fallback:
        return Skip(hop, "", SkipReason.BILLING_CLASS)
    if why := wanted.cannot(provider.config, target.model):
        return Skip(hop, "", SkipReason.DIALECT, UNTRANSLATABLE, message=why)
    return None


def least_bad(
    route: RouteState, wanted: Wanted, now: Moment, *, speaks: Speaks
) -> Candidate | None:
    """When everything rests: the candidate whose *guessed* rests may be cut short by a probe."""
    found: list[tuple[float, Candidate]] = []
    for hop in route.hops:
        target = hop.target
        if unable(route, hop, wanted, now.instant, speaks=speaks) is not None:
            continue
        if target.probed(now.instant) or target.name in wanted.given_up:
            continue
        if target.provider.name in wanted.spent or not has_turn(target.provider, wanted.request):
            continue
        for key in target.provider.credentials:
            if (target.name, key.name) in wanted.tried:
                continue
            if full(key.in_flight, key.config.max_in_flight):
                continue
            until = _guess(hop, key, now.instant)
            if until is not None:
                found.append((until, Candidate(hop, key)))
    return min(found, key=lambda each: each[0])[1] if found else None


def _guess(hop: HopState, key: CredentialState, now: Instant) -> float | None:
    """When this candidate's guessed rests end; None if one is stated, or too fresh to doubt."""
    target, stability = hop.target, hop.stability
    gap, gap_max = stability.probe_gap_seconds, stability.probe_gap_max_seconds
    limit = key.models.get(target.provider.limit_name(target.model))
    until = float(now)
    for spot in (target.provider.spot, target.spot, key.spot, limit):
        rest = spot.running(now) if spot is not None else None
        if spot is None or rest is None:
            continue
        if spot.probed(now) or not spot.guess_due(gap, gap_max, now):
            return None
        until = max(until, rest.until)
    return until


def _soonest(skips: list[tuple[int, Skip]]) -> list[Skip]:
    """Those to report, in the provider's order: of too many, the ones that are ready first."""
    if len(skips) > SKIPS_REPORTED_MAX:
        by_end = sorted(skips, key=lambda each: each[1].until or 0.0)
        skips = by_end[:SKIPS_REPORTED_MAX]
    return [skip for _, skip in sorted(skips, key=lambda each: each[0])]


def _resting(hop: HopState, credential: str, look: Look) -> Skip:
    if look.rest is None:
        return Skip(hop, credential, SkipReason.PROBING)
    return Skip(hop, credential, SkipReason.COOLING, look.rest.reason, look.rest.until)
