"""Plays a script: the real core and relay between scripted clients and simulated providers.

In virtual time, in one process, with nothing written anywhere: what happened is in the events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

from gateway.config import Dialect, Provider
from gateway.dry_run import virtual_time
from gateway.dry_run.expecting import faults
from gateway.dry_run.figures import HOUR_SECONDS, Figures, Tally
from gateway.dry_run.scenario import Act, Deed, Script
from gateway.dry_run.timeline import Happened, Timeline
from gateway.dry_run.traffic import Clients, Gateway
from gateway.dry_run.truth import Truth
from gateway.dry_run.virtual_time import VirtualClock
from gateway.events import Event
from gateway.relay.loop import Relay
from gateway.routing import hands
from gateway.routing.hands import Hands, Place
from gateway.routing.pool import Pool
from gateway.routing.state import RouteState
from gateway.units import Instant, Moment, Seconds
from gateway.upstream.simulated import SimulatedUpstream

TICK_SECONDS = 1.0
"""How often rests that are over are told of when no request comes by; the gateway does it likewise."""
REPORTS = 200
"""How often in a run its progress is told."""
ACTOR = "scenario"

Progress = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""
Hear = Callable[[Event], None]
"""Told each event, as a sink would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of one run."""

    name: str
    seed: int
    duration_seconds: float
    figures: Figures
    faults: tuple[str, ...]
    """Expectations that do not hold, one line each."""
    happened: tuple[Happened, ...]


def play(
    script: Script,
    *,
    timeline: bool = True,
    progress: Progress | None = None,
    hear: Hear | None = None,
) -> Played:
    """Hours in seconds. Without `timeline` only the figures are kept."""
    return virtual_time.run(lambda: _play(script, Timeline(kept=timeline), progress, hear))


async def _play(
    script: Script, timeline: Timeline, progress: Progress | None, hear: Hear | None
) -> Played:
    scenario = script.scenario
    stage = _Stage(script, timeline, hear)
    await stage.run(progress)
    figures = stage.tally.figures()
    return Played(
        name=scenario.name,
        seed=scenario.seed,
        duration_seconds=scenario.duration_seconds,
        figures=figures,
        faults=tuple(faults(script.expected, figures)),
        happened=timeline.all(),
    )


class _Stage:
    def __init__(self, script: Script, timeline: Timeline, hear: Hear | None) -> None:
        self._script = script
        self._hear = hear
        scenario, config = script.scenario, script.config
        self._clock = VirtualClock()
        self._began = now = self._clock.now()
        self._until = Instant(now.instant + scenario.duration_seconds)
        rng = Random(f"{scenario.seed} gateway")
        upstream = SimulatedUpstream(clock=self._clock, rng=Random(f"{scenario.seed} upstream"))
        self._pool = Pool(config, rng=rng, now=now, speaks=_speaks)
        self._hands = Hands(self._pool, rng=rng)
        self._relay = Relay(
            pool=self._pool,
            upstreams={Dialect.SIMULATED: upstream},
            emit=self._emit,
            clock=self._clock,
            rng=rng,
        )
        self._timeline = timeline
        timeline.begin(now, config, duration_seconds=scenario.duration_seconds)
        sessions = sum(traffic.sessions for traffic in scenario.traffic)
        self.tally = Tally(
            Truth(config, self._pool, upstream, began=now.timestamp),
            session_hours=sessions * scenario.duration_seconds / HOUR_SECONDS,
        )

    async def run(self, progress: Progress | None) -> None:
        """Until everybody has their answer."""
        scenario = self._script.scenario
        gateway = Gateway(
            relay=self._relay, route=self._route, clock=self._clock, until=self._until
        )
        async with asyncio.TaskGroup() as behind:
            background = [behind.create_task(self._tick())]
            if progress is not None:
                background.append(behind.create_task(self._report(progress)))
            async with asyncio.TaskGroup() as group:
                for deed in scenario.operator:
                    group.create_task(self._do(deed))
                for number, traffic in enumerate(scenario.traffic):
                    name = chr(ord("a") + number % 26)
                    Clients(traffic, gateway, name=name, seed=scenario.seed).begin(group)
            for task in background:
                task.cancel()

    def _route(self, name: str, now: Moment) -> RouteState:
        route = self._pool.route(name or self._first(), now)
        assert route is not None
        return route

    def _first(self) -> str:
        return self._script.config.routes[0].name

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_SECONDS)
            self._tell(self._pool.expire(self._clock.now()))

    async def _report(self, progress: Progress) -> None:
        duration = self._until - self._began.instant
        while True:
            await self._clock.sleep(duration / REPORTS)
            progress(min(1.0, (self._clock.now().instant - self._began.instant) / duration))

    async def _do(self, deed: Deed) -> None:
        await self._clock.sleep(Seconds(deed.at_seconds))
        self._tell(_act(self._hands, deed, self._clock.now(), route=deed.route or self._first()))

    def _tell(self, events: Sequence[Event]) -> None:
        self._emit(events)
        self._relay.wake(self._pool)

    def _emit(self, events: Sequence[Event]) -> None:
        for event in events:
            self.tally.take(event)
            self._timeline.take(event)
            if self._hear is not None:
                self._hear(event)


def _act(operator: Hands, deed: Deed, now: Moment, *, route: str) -> list[Event]:
    act = hands.Act(actor=ACTOR, note=deed.note, expires_seconds=deed.for_seconds)
    match deed.act:
        case Act.RESET:
            place = Place(target=deed.target, provider=deed.provider, credential=deed.credential)
            return operator.reset(place, act, now)
        case Act.REST:
            return operator.rest(deed.target, act, now)
        case Act.DRAIN:
            return operator.drain(deed.target, act, now)
        case Act.ENABLE:
            return operator.enable(deed.target, act, now)
        case Act.PIN:
            return operator.pin(route, deed.target, act, now)
        case Act.UNPIN:
            return operator.unpin(route, act, now)
        case Act.CLEAR_PENALTY:
            return operator.clear_penalty(route, act, now)
        case _:
            assert_never(deed.act)


def _speaks(provider: Provider, client: str) -> bool:
    return provider.dialect is Dialect.SIMULATED
