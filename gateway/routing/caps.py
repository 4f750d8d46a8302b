"""What a request's failures use up: attempts in all, attempts on one provider, targets as a whole."""

from __future__ import annotations

from gateway.events import Failure
from gateway.routing.choosing import Wanted
from gateway.routing.policy import POLICY, Blame
from gateway.routing.state import Candidate, RouteState


class Caps:
    """Belongs to one `Call`; `wanted` is the call's own, and learns what may not be tried any more."""

    __slots__ = ("_by_provider", "_counted", "_route", "_stability", "_wanted")

    def __init__(self, route: RouteState, wanted: Wanted) -> None:
        self._route = route
        self._stability = route.chain.stability
        self._wanted = wanted
        self._counted = 0
        self._by_provider: dict[str, int] = {}

    def allow_another(self) -> bool:
        """Whether there could be one more attempt after one that counts."""
        return self._counted + 1 < self._stability.max_attempts

    def spend(self, candidate: Candidate, failure: Failure, *, second: bool) -> None:
        """An attempt has failed. Walking a pool of limited keys counts against no cap, but for the
        `second` time on the same one."""
        rule, provider = POLICY[failure], candidate.target.provider.name
        if not rule.next_credential:
            self._wanted.given_up |= {candidate.target.name}
        if rule.blame is Blame.CAPACITY and not second:
            return
        self._counted += 1
        self._by_provider[provider] = self._by_provider.get(provider, 0) + 1
        if self._by_provider[provider] >= self._stability.max_attempts_per_provider:
            self._wanted.spent |= {provider}
        if self._counted >= self._stability.max_attempts:
            self._wanted.spent |= {hop.target.provider.name for hop in self._route.hops}
