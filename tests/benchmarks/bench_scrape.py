"""How long the event loop stands still while somebody scrapes two thousand series.

A probe goes round and round in the loop and notes its longest gap, scrape by scrape, in turn: nobody
scrapes; nothing has changed since the last one; every series has (`evenkeel`); and the same numbers
through prometheus-client's renderer, in a thread too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from random import Random
from time import perf_counter, process_time

import uvloop
from prometheus_client import CollectorRegistry, generate_latest

from gateway.config import Config
from gateway.routing.snapshot import snapshot
from gateway.telemetry.catalogue import Kind
from gateway.telemetry.metrics import MetricsSink
from gateway.telemetry.metrics_series import Board, Counter, Gauge, Histogram
from tests.benchmarks.report import Figures
from tests.benchmarks.scenarios import Rig
from tests.gateway.routing.building import Play, at, config, provider, route

ROUNDS = 15
SERIES = 2000
"""Label sets; a histogram's has a dozen lines."""
QUIET_SECONDS = 0.2
MILLIS = 1000.0

NOBODY = "nobody scrapes"
UNCHANGED = "evenkeel, nothing new"
EVENKEEL = "evenkeel"
CLIENT = "prometheus-client"

FIGURES = ("longest stall ms", "of it CPU ms", "scrape ms")

Scrape = Callable[[], Awaitable[object]]


def measured(_rig: Rig) -> Figures:
    return uvloop.run(_measured())


async def _measured() -> Figures:
    setup = _settings()
    registry = CollectorRegistry()
    sink = MetricsSink(setup, version="0", registry=registry)
    board, pool = sink._board, Play(setup).pool
    found = sum(len(family) for family in board.families.values())
    assert found >= SERIES, found

    async def ours() -> object:
        render = sink.scrape(snapshot(pool, at(0)), {}, store_bytes=0, loop_lag_seconds=0.0)
        return await asyncio.to_thread(render, "application/openmetrics-text; version=1.0.0")

    async def theirs() -> object:
        return await asyncio.to_thread(generate_latest, registry)

    cases: dict[str, Scrape] = {
        NOBODY: lambda: asyncio.sleep(QUIET_SECONDS),
        UNCHANGED: ours,
        EVENKEEL: ours,
        CLIENT: theirs,
    }
    figures: dict[str, dict[str, list[float]]] = {
        name: {figure: [] for figure in FIGURES} for name in cases
    }
    for _ in range(ROUNDS):
        for name, case in cases.items():
            if name == EVENKEEL:
                _count(board)
            for figure, seconds in zip(FIGURES, await _gaps(case), strict=True):
                figures[name][figure].append(seconds * MILLIS)
    return figures


async def _gaps(case: Scrape) -> tuple[float, float, float]:
    """The longest time in which the loop did not come round, the same in CPU of this process (which
    neighbours do not lengthen), and the time of the whole."""
    over = False
    times: list[float] = []
    spent: list[float] = []

    async def probe() -> None:
        while not over:
            times.append(perf_counter())
            spent.append(process_time())
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(probe())
        await asyncio.sleep(0)
        began = perf_counter()
        await case()
        whole = perf_counter() - began
        over = True
    return _longest(times), _longest(spent), whole


def _longest(times: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def _count(board: Board) -> None:
    """Each series gets another number, as after a busy while."""
    rng = Random(1)
    for metric, family in board.families.items():
        for series in family.values():
            match series:
                case Gauge():
                    series.set(series.value + 1)
                case Counter():
                    series.inc()
                case Histogram():
                    for _ in metric.buckets if metric.kind is Kind.HISTOGRAM else ():
                        series.observe(rng.random() * 10)


def _settings() -> Config:
    """Eight providers of four keys, twelve routes over several of them."""
    names = [f"p{n}" for n in range(8)]
    providers = [provider(name, "one", "two", "three", "four") for name in names]
    routes = [
        route(f"route-{n}", *(f"{names[(n + k) % 8]}/model-{n}" for k in range(4)))
        for n in range(12)
    ]
    return config(*providers, routes=routes)
