"""A pool that looks at every candidate and key besides, at each choice, and finds the same."""

from __future__ import annotations

from random import Random
from typing import Any

from gateway.routing import choosing
from gateway.routing.choosing import Choice, Wanted
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import Moment


class ComparingPool(Pool):
    """Fails where a short way chooses otherwise than the long one, or draws other lots."""

    def choose(self, route: RouteState, wanted: Wanted, now: Moment) -> Choice:
        before = self._rng.getstate()
        found = super().choose(route, wanted, now)
        self._compare(found, route, wanted, now, self._rng, before)
        return found

    def explain(self, route: RouteState, wanted: Wanted, now: Moment, rng: Random) -> Choice:
        before = rng.getstate()
        found = super().explain(route, wanted, now, rng)
        self._compare(found, route, wanted, now, rng, before)
        return found

    def _compare(
        self,
        found: Choice,
        route: RouteState,
        wanted: Wanted,
        now: Moment,
        rng: Random,
        before: tuple[Any, ...],
    ) -> None:
        """Once more by the long way: told that no key is at peace, it looks at each of them."""
        after, targets = rng.getstate(), [hop.target for hop in route.hops]
        known = [target.at_peace for target in targets]
        for target in targets:
            target.at_peace = (target.provider.unrest.changes, False)
        rng.setstate(before)
        looked = choosing.choose(route, wanted, now, speaks=self._speaks, rng=rng)
        for target, peace in zip(targets, known, strict=True):
            target.at_peace = peace
        assert found == looked
        assert rng.getstate() == after
