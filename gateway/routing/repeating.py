"""The one time that a request may ask the same candidate again: where nobody else is left for it.

After ill health it does so after a short pause, in the hope of a better moment. After a limit with
a stated end it waits until that is over, which is no hope: before it the key is left alone.
"""

from __future__ import annotations

from collections.abc import Set

from msgspec.structs import replace

from gateway.config import Stability
from gateway.routing.choosing import Choice, Wanted
from gateway.routing.policy import POLICY, Again
from gateway.routing.pool import Pool
from gateway.routing.state import Candidate, RouteState
from gateway.routing.steps import Bad
from gateway.units import Moment


class Repeating:
    """Belongs to one `Call`; `wanted` is the call's own."""

    def __init__(self, pool: Pool, route: RouteState, wanted: Wanted, *, allowed: bool) -> None:
        self._pool = pool
        self._route = route
        self._wanted = wanted
        self._allowed = allowed
        """Once a request, and not where its client wants the first answer, whatever it is."""
        self._repeated: tuple[str, str] | None = None

    def is_second(self, candidate: Candidate) -> bool:
        """Whether this candidate was asked again."""
        return candidate.key == self._repeated

    def limited(self, candidate: Candidate, bad: Bad, *, within: float, now: Moment) -> None:
        """The attempt was refused. Worth a second one is a limit that ends `within` so many seconds."""
        if not self._allowed or POLICY[bad.failure].again is not Again.WHEN_OVER:
            return
        if bad.stated_seconds is None or bad.stated_seconds > within:
            return
        if self._pool.budget.allows(self._stability, now.instant):
            self._wanted.later |= {candidate.key}

    def over(self, choice: Choice, now: Moment) -> Choice:
        """`choice` found nobody: instead of it a limited candidate whose stated rest is over."""
        later = self._wanted.later
        if not later:
            return choice
        found = self._offered(later, now)
        if found.candidate is None:
            return choice
        if not self._take(found.candidate, now):
            return choice
        # What else is passed over is what it was without the second chance.
        return replace(found, skips=choice.skips)

    def after_pause(self, candidate: Candidate, bad: Bad, now: Moment) -> bool:
        """Whether `candidate`, the last one, is to be asked again; by what follows from `bad`."""
        again = POLICY[bad.failure].again
        if not self._allowed or again in {Again.NO, Again.WHEN_OVER}:
            return False
        if again is Again.IF_UNPROCESSED and bad.processed:
            return False
        found = self._offered({candidate.key}, now)
        if found.candidate is None or not self._take(found.candidate, now):
            return False
        self._wanted.tried.discard(candidate.key)
        return True

    @property
    def _stability(self) -> Stability:
        return self._route.chain.stability

    def _offered(self, keys: Set[tuple[str, str]], now: Moment) -> Choice:
        """What would be chosen if these had not been tried."""
        fresh = replace(self._wanted, tried=self._wanted.tried - keys)
        return self._pool.choose(self._route, fresh, now)

    def _take(self, candidate: Candidate, now: Moment) -> bool:
        """Uses up the one time, and a token of the budget."""
        self._wanted.later = frozenset()
        if not self._pool.budget.retry(self._stability, now.instant):
            return False
        self._allowed = False
        self._repeated = candidate.key
        return True
