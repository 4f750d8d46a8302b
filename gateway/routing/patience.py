"""One request's patience: whether it is worth waiting for something better than what there is now.

Worth a wait is room at the target that comes first, the session's own seat, and anything at all
where nothing can be tried. Nobody waits longer than w of docs/stability.md, once a request.
"""

from __future__ import annotations

from gateway.routing.affinity import Binding, patience
from gateway.routing.choosing import Choice, Wanted
from gateway.routing.pool import Pool
from gateway.routing.readiness import being_probed, credential_ready_in
from gateway.routing.state import CredentialState, HopState, ProviderState, RouteState
from gateway.units import Instant, Moment

INFINITE = float("inf")
MOMENT_SECONDS = 0.02
"""The shortest wait: rounding must not turn a wait into a busy loop."""


class Patience:
    """Belongs to one `Call`; `wanted` is the call's own."""

    def __init__(
        self,
        pool: Pool,
        route: RouteState,
        wanted: Wanted,
        binding: Binding | None,
        *,
        deadline: Instant,
    ) -> None:
        self._pool = pool
        self._route = route
        self._wanted = wanted
        self._binding = binding
        self._deadline = deadline
        self._until: Instant | None = None
        """When it stops waiting; None before its first wait."""
        self._since: Instant | None = None

    def seconds(self, choice: Choice, now: Moment) -> float | None:
        """To wait before choosing again; None if it is time to act on `choice`."""
        worth = self.worth(choice, now)
        if worth is None:
            return None
        seconds, provider = worth
        if not self._pool.waiting.join(self._wanted.request, self._route, provider):
            return None
        if self._since is None:
            self._since = now.instant
        return seconds

    def worth(self, choice: Choice, now: Moment) -> tuple[float, ProviderState | None] | None:
        """The wait that would be worth it, and whose room it is for; joins no queue."""
        full = choice.full
        if full is not None and not self._pool.able(self._route, full, self._wanted, now):
            full = None
        soonest = self._seat_ready_in(choice, now)
        if choice.candidate is None:
            soonest = min(soonest, self._soonest(now))
        if full is None and soonest == INFINITE:
            return None
        left = self._left(now)
        if choice.candidate is None and soonest > left > 0 and self._probed(now):
            soonest = left  # What is being probed may be usable at any moment.
        if left <= 0 or (full is None and soonest > left):
            return None
        provider = full.target.provider if full is not None else None
        return min(left, max(soonest, MOMENT_SECONDS)), provider

    def budget(self, now: Moment) -> float:
        """Seconds that the request may still wait; begins no wait."""
        return self._full(now) if self._until is None else self._until - now.instant

    def stop(self, now: Moment) -> float:
        """The wait is over, if there was one. The seconds it took."""
        self._pool.waiting.leave(self._wanted.request)
        since, self._since = self._since, None
        return 0.0 if since is None else now.instant - since

    def _left(self, now: Moment) -> float:
        if self._until is None:
            self._until = Instant(now.instant + self._full(now))
        return self._until - now.instant

    def _full(self, now: Moment) -> float:
        left = self._deadline - now.instant
        return patience(self._binding, self._route.chain.stability, left)

    def _seat_ready_in(self, choice: Choice, now: Moment) -> float:
        """When the session's own seat is usable, if another one would be taken now."""
        seat = self._wanted.seat
        if seat is None or (choice.candidate is not None and choice.candidate.hop is seat.hop):
            return INFINITE
        if (seat.hop.target.name, seat.credential.name) in self._wanted.tried:
            return INFINITE
        if not self._pool.able(self._route, seat.hop, self._wanted, now):
            return INFINITE
        return credential_ready_in(seat.hop.target, seat.credential, now.instant) or INFINITE

    def _soonest(self, now: Moment) -> float:
        """When the first candidate that may be tried, or tried again, becomes usable by itself."""
        able = (
            hop for hop in self._route.hops if self._pool.able(self._route, hop, self._wanted, now)
        )
        return min((self._hop_ready_in(hop, now) for hop in able), default=INFINITE)

    def _probed(self, now: Moment) -> bool:
        """Whether another request's probe is all that keeps some candidate away."""
        return any(
            being_probed(hop.target, key, now.instant)
            for hop in self._route.hops
            if self._pool.able(self._route, hop, self._wanted, now)
            for key in self._keys(hop)
        )

    def _keys(self, hop: HopState) -> list[CredentialState]:
        """The target's credentials that may be tried, or tried again."""
        target, out = hop.target, self._wanted.tried - self._wanted.later
        return [key for key in target.provider.credentials if (target.name, key.name) not in out]

    def _hop_ready_in(self, hop: HopState, now: Moment) -> float:
        keys = self._keys(hop)
        found = (credential_ready_in(hop.target, key, now.instant) or INFINITE for key in keys)
        return min(found, default=INFINITE)
