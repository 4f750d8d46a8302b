"""What was true about the simulated providers, whatever the gateway believed: asked by the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.config import Config, Provider, Weather
from gateway.routing.pool import Pool
from gateway.routing.readiness import full
from gateway.units import MICROS, Timestamp
from gateway.upstream.simulated import SimulatedUpstream


@dataclass(frozen=True, slots=True)
class Sky:
    """The weather of a provider at one moment, only fair or foul."""

    foul: bool
    since: Timestamp
    """Since when it has been so without a break."""
    changes: bool
    """It has been otherwise before."""


class Truth:
    """About the providers of one configuration, from `began` on, when their weather begins."""

    def __init__(
        self, config: Config, pool: Pool, upstream: SimulatedUpstream, *, began: Timestamp
    ) -> None:
        self._config = config
        self._pool = pool
        self._upstream = upstream
        self._began = began

    def primary(self, route: str) -> str:
        """The first target of the route; empty for a name that is none."""
        known = self._pool.routes.get(route)
        return known.hops[0].target.name if known is not None else ""

    def sky(self, target: str, *, at: Timestamp) -> Sky:
        provider = self._config.providers.get(target.partition("/")[0])
        weather = provider.simulated.weather if provider is not None else ()
        age = (at - self._began) / MICROS
        foul, since = foul_since(weather, age)
        return Sky(foul, Timestamp(self._began + round(since * MICROS)), changes=since > 0)

    def somebody_was_well(self, route: str, *, since: Timestamp) -> bool:
        """Whether a target of the route had fair weather all the time from `since` to now, is not
        drained, and has a credential with room that the provider would admit now."""
        state = self._pool.routes.get(route)
        now = self._upstream.now()
        for hop in state.hops if state is not None else ():
            target = hop.target
            sky = self.sky(target.name, at=now.timestamp)
            if sky.foul or sky.since > since or target.drained(now.instant):
                continue
            if self._has_room(target.provider.config, target.provider.name):
                return True
        return False

    def _has_room(self, config: Provider, name: str) -> bool:
        provider = self._pool.providers[name]
        if full(provider.in_flight, config.max_in_flight):
            return False
        return any(
            self._upstream.admits(config, key.name)
            and not full(key.in_flight, key.config.max_in_flight)
            for key in provider.credentials
        )


def foul_since(weather: Sequence[Weather], age_seconds: float) -> tuple[bool, float]:
    """Whether a failure reigns at that age, and the age since which it has been so."""
    foul, since = False, 0.0
    for start, spell in spells(weather):
        if start > age_seconds:
            break
        if (spell.failure is not None) is not foul:
            foul, since = not foul, start
    return foul, since


def spells(weather: Sequence[Weather]) -> Iterator[tuple[float, Weather]]:
    """Every spell with its start, in order; endless where they come again."""
    start = 0.0
    again = bool(weather) and all(spell.for_seconds > 0 for spell in weather)
    while True:
        for spell in weather:
            yield start, spell
            if spell.for_seconds <= 0:
                return
            start += spell.for_seconds
        if not again:
            return
