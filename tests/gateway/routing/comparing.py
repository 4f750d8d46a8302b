"""A pool that looks at every candidate besides, at each choice, and finds the same."""

from __future__ import annotations

from random import Random

from gateway.routing import choosing
from gateway.routing.choosing import Choice, Wanted
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import Moment


class ComparingPool(Pool):
    """Fails where `usual` chooses otherwise than `choosing`, or draws other lots."""

    def explain(self, route: RouteState, wanted: Wanted, now: Moment, rng: Random) -> Choice:
        before = rng.getstate()
        found = super().explain(route, wanted, now, rng)
        after = rng.getstate()
        rng.setstate(before)
        looked = choosing.choose(route, wanted, now, speaks=self._speaks, rng=rng)
        assert found == looked
        assert rng.getstate() == after
        return found
