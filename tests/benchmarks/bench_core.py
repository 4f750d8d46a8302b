"""What deciding costs, without any I/O: the routing core, and handing an event to the sinks.

Microseconds a call: the best of several repetitions, since everything that disturbs only adds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import perf_counter

from gateway.clock import SystemClock
from gateway.events import Event, RequestOutcome, Stamped
from gateway.routing.choosing import Wanted
from gateway.routing.cooldown import Trigger
from gateway.routing.pool import Pool
from gateway.routing.steps import Send
from gateway.spine import Spine
from tests.benchmarks.report import show
from tests.gateway.routing.building import SEEN, Play, at, bad, config, provider, route

REPETITIONS = 7
CALLS = 400
FRESH_POOLS = 40
TARGETS = 3
CREDENTIALS = (5, 200)
SINKS = 4
MICROS = 1e6


def core() -> None:
    figures: dict[str, dict[str, list[float]]] = {}
    for credentials in CREDENTIALS:
        fresh = partial(_play, credentials)
        figures[f"{TARGETS} x {credentials}"] = {
            "choose us": [_best(_choose, [fresh()] * CALLS)],
            "choose + report us": [_best(_decide, [fresh()] * CALLS)],
            "good request us": [_best(_good, [fresh()] * CALLS)],
            "one failure us": [_best(_failing, [fresh() for _ in range(FRESH_POOLS)])],
        }
    note = (
        "targets x credentials; choose + report: the pool's part of one good request; a good request:"
        " that, its own machine, and the making of its events"
    )
    show("The core", note, figures, base="")


def emit() -> None:
    told = _good(_play(5))
    cost = asyncio.run(_emit(told))
    figures = {"spine": {"us/event": [cost]}}
    show("Emit", f"one event to {SINKS} sinks, their own work left out", figures, base="")


def _play(credentials: int) -> Play:
    keys = [f"key-{number}" for number in range(credentials)]
    names = [f"p{number}" for number in range(TARGETS)]
    return Play(
        config(
            *(provider(name, *keys) for name in names),
            routes=[route("coder", *(f"{name}/model" for name in names))],
        ),
        pool_kind=Pool,
    )


def _best(call: Callable[[Play], object], plays: Sequence[Play]) -> float:
    """Of one call, each play being used once a repetition."""
    best = float("inf")
    for _ in range(REPETITIONS):
        began = perf_counter()
        for play in plays:
            call(play)
        best = min(best, (perf_counter() - began) / len(plays))
    return best * MICROS


def _choose(play: Play) -> None:
    play.pool.choose(play.route(), Wanted(dialect="openai"), at(0))


def _decide(play: Play) -> None:
    """All that the pool decides and learns of one good request, without the telling of it."""
    pool, now, route_ = play.pool, at(0), play.route()
    candidate = pool.choose(route_, Wanted(dialect="openai"), now).candidate
    assert candidate is not None
    pool.take(route_, candidate, attempt="a.1", probe_seconds=None, now=now)
    trigger = Trigger("", "a", "a.1")
    pool.served(route_, candidate, probe=False, now=now, trigger=trigger, trace="")
    pool.give_back(candidate, "a.1")
    pool.good(route_, candidate, now=now, request="a", trace="")


def _good(play: Play) -> list[Event]:
    call = play.call()
    _, events = call.step(at(0))
    events += call.committed(at(0))
    events += call.finished(at(0), SEEN)
    return [*events, call.closed(at(0), outcome=RequestOutcome.OK, status=200)]


def _failing(play: Play) -> None:
    """The key that is asked first is rate limited, the next one serves. Rests add up in the pool,
    so that each repetition has one more key to pass over."""
    call = play.call()
    step, _ = call.step(at(0))
    assert isinstance(step, Send)
    call.failed(bad("rate_limited"), at(0), SEEN)
    call.step(at(0))
    call.committed(at(0))
    call.finished(at(0), SEEN)
    call.closed(at(0), outcome=RequestOutcome.OK, status=200)


class _Sink:
    """Takes everything at once."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def take(self, batch: Sequence[Stamped]) -> None: ...

    async def close(self) -> None: ...


async def _emit(events: Sequence[Event]) -> float:
    """Microseconds an event. The sinks' tasks run between the repetitions, not within."""
    spine = Spine(clock=SystemClock(), rng=Random(1), boot_id="bench", config_version="1")
    for number in range(SINKS):
        spine.attach(
            _Sink(f"sink {number}"),
            batch_seconds=0.001,
            batch_events_max=500,
            queue_bytes_max=32 * 1024 * 1024,
        )
    best = float("inf")
    async with spine:
        for _ in range(REPETITIONS):
            began = perf_counter()
            for _ in range(CALLS):
                spine.emit_all(events)
            best = min(best, (perf_counter() - began) / (CALLS * len(events)))
            await asyncio.sleep(0.05)
    return best * MICROS
