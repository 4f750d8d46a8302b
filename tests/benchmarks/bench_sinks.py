"""What each sink adds to a request: the same events to all of them, in turn, round by round.

CPU of all threads of this process, so that the writer's and the exporter's are counted; the
collector is a process apart. The spine's own part is told by `bench_core.emit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from time import process_time

from msgspec.structs import replace as struct_replace
from prometheus_client import CollectorRegistry

from gateway.api.ids import request_id
from gateway.app_store import Store
from gateway.config import Config, Storage, Telemetry
from gateway.delivery_parts import Sink
from gateway.events import AttemptFinished, Event, RequestFinished, RequestOutcome, Stamped
from gateway.routing.steps import Send
from gateway.telemetry.metrics import MetricsSink
from gateway.telemetry.sampling import Sampling
from gateway.telemetry.traces import TraceSink
from gateway.units import AttemptId, Timestamp
from tests.benchmarks.report import show
from tests.gateway.routing.building import SEEN, Play, at, config, provider, route

ROUNDS = 7
REQUESTS = 1000
"""In a round, each an attempt that went well and its end."""
BATCH = 500
MOMENTS = map(Timestamp, count(1_795_435_200_000_000, 250))
"""Four thousand requests a second: ids begin with their time, which their index is quicker with."""
MICROS = 1e6
SETTLE_SECONDS = 0.2


def sinks(folder: Path, collector: str) -> None:
    figures = asyncio.run(_measured(folder, collector))
    show(
        "Sinks",
        f"CPU of a good request's {len(_request(Random(1)))} events, us; in brackets beside rows",
        {name: {"us/request": values} for name, values in figures.items()},
        base="rows",
    )


async def _measured(folder: Path, collector: str) -> Mapping[str, list[float]]:
    async with _sinks(folder, collector) as made:
        figures: dict[str, list[float]] = {name: [] for name in made}
        rng = Random(1)
        for number in range(ROUNDS):
            batches = list(_batches(rng, number * REQUESTS))
            for name, sink in made.items():
                began = process_time()
                for batch in batches:
                    await sink.take(batch)
                figures[name].append((process_time() - began) / REQUESTS * MICROS)
                await asyncio.sleep(SETTLE_SECONDS)
        return figures


@asynccontextmanager
async def _sinks(folder: Path, collector: str) -> AsyncIterator[Mapping[str, Sink]]:
    settings = _settings()
    all_kept = Telemetry(otlp_endpoint=collector)
    some_kept = replace(all_kept, trace_sample_ratio=0.05)
    store = Store(Storage(url="sqlite+aiosqlite:///sinks.db"), folder=folder)
    assert await store.open()
    made: dict[str, Sink] = {
        "rows": store,
        "metrics": MetricsSink(settings, version="0", registry=CollectorRegistry()),
        "exemplars": MetricsSink(
            settings, version="0", registry=CollectorRegistry(), sampling=Sampling(all_kept)
        ),
        "spans 5 %": TraceSink(some_kept, version="0"),
        "spans": TraceSink(all_kept, version="0"),
    }
    async with AsyncExitStack() as stack:
        for sink in made.values():
            stack.push_async_callback(sink.close)
        yield made


def _batches(rng: Random, first: int) -> Iterator[Sequence[Stamped]]:
    events = [event for _ in range(REQUESTS) for event in _request(rng)]
    stamped = [
        Stamped(first * 2 + number, "bench", "1", event) for number, event in enumerate(events, 1)
    ]
    for start in range(0, len(stamped), BATCH):
        yield stamped[start : start + BATCH]


def _request(rng: Random) -> list[Event]:
    """What the engine tells of a good request, with ids of its own."""
    attempt, request = _good()
    name, trace = request_id(next(MOMENTS), rng), f"{rng.getrandbits(128):032x}"
    attempt = struct_replace(
        attempt,
        request_id=name,
        attempt_id=AttemptId(f"{name}.1"),
        trace_id=trace,
        span_id=f"{rng.getrandbits(64):016x}",
    )
    request = struct_replace(request, request_id=name, trace_id=trace, span_id=trace[:16])
    return [attempt, request]


@cache
def _good() -> tuple[AttemptFinished, RequestFinished]:
    call = Play(_settings()).call()
    step, events = call.step(at(0))
    assert isinstance(step, Send)
    events += call.committed(at(0))
    events += call.finished(at(0), SEEN)
    events.append(call.closed(at(0), outcome=RequestOutcome.OK, status=200))
    [attempt] = [each for each in events if isinstance(each, AttemptFinished)]
    [request] = [each for each in events if isinstance(each, RequestFinished)]
    return attempt, request


def _settings() -> Config:
    return config(provider("p0", "one", "two"), routes=[route("coder", "p0/model")])
