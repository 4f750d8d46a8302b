"""In which order a request looks at the targets of its route. Soft rules only: none removes one."""

from __future__ import annotations

from enum import IntEnum
from random import Random

from gateway.config import Dialect
from gateway.routing.affinity import Seat
from gateway.routing.probing import duty
from gateway.routing.readiness import stands_back
from gateway.routing.state import HopState, RouteState
from gateway.units import Instant

RAMP = (0.10, 0.25, 0.50)
"""Shares of new sessions that follow a return at once, one step after another; then all do."""
RAMP_PER_MINUTE = 10
"""Fewer new sessions a minute than this need no ramp: they are no flood."""


class Rank(IntEnum):
    """Why a target stands where it stands."""

    PIN = 0
    """An operator's choice."""
    DUTY = 1
    """It is to be tested, by this request."""
    SEAT = 2
    """The session lives there."""
    RAMP = 3
    """The route has just left it, and this session is not among the first to follow."""
    POINTER = 4
    FREE = 5
    BEHIND = 6
    """Held, or suppressed."""


FREELY = frozenset({Rank.FREE, Rank.BEHIND})
"""Ranks within which nothing but the configured order decides."""
FAMILIES = {Dialect.LITELLM: "openai", Dialect.CODE_ASSIST: "gemini"}
"""Dialects that are another one's in what a conversation holds."""


def ordered(
    route: RouteState,
    *,
    seat: Seat | None,
    now: Instant,
    rng: Random,
    ramped: bool = False,
    coming: int = 0,
) -> list[tuple[Rank, HopState]]:
    """All targets of the route, each once.

    `ramped`: this is a new session, which after a return may have to hold back. Requests without a
    session follow at once: they bring no cache that would have to be built. `coming`: new sessions
    not counted as arrived yet.
    """
    pin = route.pinned(now)
    tested = None if pin is not None else duty(route, cold=seat is None, now=now)
    origin = _not_yet(route, now, rng, coming) if ramped and seat is None else None

    def rank(hop: HopState) -> Rank:
        if hop is pin:
            return Rank.PIN
        if seat is not None and hop is seat.hop:
            return Rank.SEAT
        if hop is tested:
            return Rank.DUTY
        if stands_back(hop, now):
            return Rank.BEHIND
        if hop is origin:
            return Rank.RAMP
        return Rank.POINTER if hop is route.active else Rank.FREE

    family = (
        _family(seat.hop) if seat is not None and route.chain.route.prefer_same_family else None
    )

    def place(each: tuple[Rank, HopState]) -> tuple[Rank, bool, int]:
        far = family is not None and each[0] in FREELY and _family(each[1]) != family
        return each[0], far, each[1].index

    ranked = [(rank(hop), hop) for hop in route.hops]
    ranked.sort(key=place)
    return ranked


def _family(hop: HopState) -> str:
    dialect = hop.target.provider.config.dialect
    return FAMILIES.get(dialect, dialect.value)


def _not_yet(route: RouteState, now: Instant, rng: Random, coming: int) -> HopState | None:
    """The target that the route has left for a better one, for sessions not to follow yet."""
    ramp = route.ramp
    if ramp is None:
        return None
    step = int((now - ramp.since) / max(route.active.stability.ramp_step_seconds, 1e-9))
    if step >= len(RAMP):
        return None
    recent = coming + sum(now - at <= 60.0 for at in route.arrivals)
    if recent <= RAMP_PER_MINUTE or rng.random() < RAMP[step]:
        return None
    return ramp.origin
