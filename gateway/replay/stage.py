"""Plays a recorded window through the real core and relay, in virtual time, under a configuration.

Every client asks when it did, and hangs up when it did; providers answer as the weather of then
says; operators do what they did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.config import Config, Dialect
from gateway.dry_run import virtual_time
from gateway.dry_run.traffic import Heard
from gateway.dry_run.virtual_time import VirtualClock
from gateway.events import (
    AttemptFinished,
    CooldownSource,
    CooldownStarted,
    Event,
    FlappingStarted,
    RequestFinished,
    RequestOutcome,
    Switched,
)
from gateway.relay.loop import Relay
from gateway.replay.chance import Chance
from gateway.replay.figures import Decision, Told
from gateway.replay.operators import play_act
from gateway.replay.passage import Passage, RecordedUpstream
from gateway.replay.recorded import Asked, Move, Recorded
from gateway.replay.weather import Known, Unseen, Weather
from gateway.routing.choosing import Speaks
from gateway.routing.hands import Hands
from gateway.routing.pool import Pool
from gateway.routing.restoring import restore
from gateway.units import MICROS, Timestamp

TICK_SECONDS = 1.0
"""How often the gateway tells of rests that are over when no request comes by."""
REPORTS = 200
"""How often in a run its progress is told."""

Progress = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of one run."""

    told: Told
    known: dict[Known, int]
    """How many attempts were answered from where."""
    without_route: int
    """Requests for a model that this configuration does not offer."""
    acts_missed: int
    """Acts of operators on what this configuration does not have."""
    guessed: int
    """Lengths that no record told."""


def replay(
    recorded: Recorded,
    config: Config,
    *,
    speaks: Speaks,
    unseen: Unseen = Unseen.GOOD,
    progress: Progress | None = None,
) -> Replayed:
    """Hours in seconds. `progress` may be None."""

    async def play() -> Replayed:
        stage = _Stage(recorded, config, speaks=speaks, unseen=unseen)
        return await stage.run(progress)

    return virtual_time.run(play)


class _Stage:
    def __init__(
        self, recorded: Recorded, config: Config, *, speaks: Speaks, unseen: Unseen
    ) -> None:
        self._recorded = recorded
        self._clock = VirtualClock(recorded.since)
        now = self._clock.now()
        chance = self._chance = Chance(recorded.draws, now=self._clock.now)
        self._upstream = RecordedUpstream(
            Weather(recorded.observed, unseen=unseen), clock=self._clock, chance=chance
        )
        self._pool = Pool(config, rng=chance, now=now, speaks=speaks)
        self._hands = Hands(self._pool, rng=chance)
        self._relay = Relay(
            pool=self._pool,
            upstreams=dict.fromkeys(Dialect, self._upstream),
            emit=self._emit,
            clock=self._clock,
            rng=chance,
        )
        self._told = Told()
        self._tried: dict[str, list[AttemptFinished]] = {}
        self._without_route = 0
        self._acts_missed = 0
        before = recorded.before
        restore(
            self._pool,
            before.get("cooldowns", ()),
            before.get("switches", ()),
            now,
            flapping=before.get("flapping", ()),
            acts=before.get("acts", ()),
        )
        self._told.first = {
            name: route.active.target.name for name, route in self._pool.routes.items()
        }

    async def run(self, progress: Progress | None) -> Replayed:
        """Until the last request has its answer."""
        async with asyncio.TaskGroup() as behind:
            background = [behind.create_task(self._tick())]
            background.append(behind.create_task(self._operate()))
            async with asyncio.TaskGroup() as group:
                await self._ask_all(group, progress)
            for task in background:
                task.cancel()
        return Replayed(
            told=self._told,
            known=self._upstream.known,
            without_route=self._without_route,
            acts_missed=self._acts_missed,
            guessed=self._chance.guessed,
        )

    async def _ask_all(self, group: asyncio.TaskGroup, progress: Progress | None) -> None:
        requests = self._recorded.requests
        step = max(1, len(requests) // REPORTS)
        for number, asked in enumerate(requests):
            # Between its headers and its choice the gateway had to read its body.
            await self._until(asked.started + round(asked.overhead_seconds * MICROS))
            group.create_task(self._ask(asked))
            if progress is not None and number % step == 0:
                progress(number / len(requests))

    async def _until(self, ts: int) -> None:
        left = (ts - self._clock.now().timestamp) / MICROS
        if left > 0:
            await self._clock.sleep(left)

    async def _ask(self, asked: Asked) -> None:
        now = self._clock.now()
        route = self._pool.route(asked.requested_model, now)
        if route is None:
            self._without_route += 1
            return
        passage = Passage(asked, route, asked.dialect, unused=list(asked.tried))
        self._upstream.passages[asked.request_id] = passage
        hangs_up = asked.outcome is RequestOutcome.CANCELLED
        patience = asked.duration_seconds - asked.overhead_seconds if hangs_up else None
        passage.foretell(self._chance)
        try:
            async with asyncio.timeout(patience):
                await self._relay.serve(passage.inbound(now), route, Heard())
        except TimeoutError:
            pass  # Its client has hung up.
        finally:
            del self._upstream.passages[asked.request_id]

    async def _tick(self) -> None:
        """Also at the moments at which the gateway is known to have looked: its own rhythm."""
        known = iter(self._recorded.noticed)
        coming = next(known, None)
        while True:
            now = self._clock.now().timestamp
            while coming is not None and coming <= now:
                coming = next(known, None)
            at = now + round(TICK_SECONDS * MICROS)
            await self._until(at if coming is None else min(at, coming))
            self._tell(self._pool.expire(self._clock.now()))

    async def _operate(self) -> None:
        for act in self._recorded.acts:
            await self._until(act["ts"])
            events = play_act(self._hands, act, self._clock.now())
            self._acts_missed += events is None
            self._tell(events or [])

    def _tell(self, events: Sequence[Event]) -> None:
        self._emit(events)
        self._relay.wake(self._pool)

    def _emit(self, events: Sequence[Event]) -> None:
        told = self._told
        for event in events:
            match event:
                case AttemptFinished():
                    self._tried.setdefault(event.request_id, []).append(event)
                case RequestFinished():
                    tried = self._tried.pop(event.request_id, [])
                    told.decisions[event.request_id] = _decision(event, tried)
                case Switched():
                    told.moves.append(_move(event))
                case CooldownStarted():
                    told.cooldowns += event.source is not CooldownSource.HOLD
                case FlappingStarted():
                    told.flapping += 1
                case _:
                    pass


def _decision(event: RequestFinished, tried: Sequence[AttemptFinished]) -> Decision:
    served = tried[-1] if tried and event.provider else None
    added = None if served is None else (served.started - event.started) / MICROS
    return Decision(
        request_id=event.request_id,
        outcome=event.outcome,
        tried=tuple(
            (f"{each.provider}/{each.model}", each.credential, each.outcome) for each in tried
        ),
        added_seconds=added,
    )


def _move(event: Switched) -> Move:
    return Move(
        Timestamp(event.ts),
        event.route,
        event.from_target,
        event.to_target,
        event.switch.value,
        event.reversal,
    )
