"""What is done to a subject in a round, and which figures come of it.

A scenario is a row of `SCENARIOS`. Figures that begin with "added" are made afterwards, of a round's
figures of the subject and of the provider asked directly (`ADDED`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import sleep
from urllib.request import urlopen

from tests.benchmarks.figures import of_sorted
from tests.benchmarks.http_bytes import SINGLE_BYTES, Steer
from tests.benchmarks.load import Took
from tests.benchmarks.native import Driver
from tests.benchmarks.processes import Reading, Watch, cores
from tests.benchmarks.scales import FULL, Scale
from tests.benchmarks.subjects import (
    BASE,
    FAILOVER_PER_SECOND,
    FALLS_BACK,
    TRANSLATES,
    VARIANT,
    Kind,
    Stage,
    Subject,
)

MICROS, MILLIS = 1e6, 1e3
LARGE_BYTES = 100 * 1024
SATURATING = 64
BURST_CONNECTIONS = 32
STREAM_CHUNKS = 100
PACED_STREAMS = 100
PACE_MS = 20
"""Fifty tokens a second: what users see of a fast model."""
SPREAD_SECONDS = 0.5
SLOW_PAUSE_MS = 100
SLOW_CHUNKS = 50
SLOW_SPREAD_SECONDS = 4.0
WARM_CONNECTIONS = 16
PERCENTS = (50, 95, 99, 99.9)
IDLE_SECONDS = 1.0


@dataclass(slots=True)
class Slice:
    """What one subject did in one round."""

    figures: dict[str, float]
    readings: list[Reading] = field(default_factory=list)
    samples: dict[str, Sequence[float]] = field(default_factory=dict)
    """By figure's beginning ("p" of a latency): pooled over the rounds for the rare percentiles."""
    why: str = ""
    """Of the first answer that was not whole."""

    @property
    def foreign(self) -> float:
        return max((each.foreign for each in self.readings), default=0.0)


@dataclass(frozen=True, slots=True)
class Rig:
    """What a scenario works with."""

    driver: Driver
    scale: Scale
    stage: Stage

    def watch(self, subject: Subject) -> Watch:
        settle = subject.settle_seconds if self.scale.settles else 0.0
        return Watch(subject.pid, cores().subject, settle_seconds=settle)

    def share(self, count: int) -> int:
        return max(2, round(count * self.scale.streams))


Run = Callable[[Rig, Subject], Slice]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    run: Run
    roles: frozenset[str] = frozenset({BASE})
    rounds: Callable[[Scale], int] = lambda scale: scale.rounds
    directly: bool = True
    """Whether the provider itself takes part."""
    starts: Callable[[Rig, Kind], Slice] | None = None
    """For what is done with a fresh process, instead of `run`."""


ADDED = {
    "p50 us": "added p50 us",
    "p95 us": "added p95 us",
    "p99 us": "added p99 us",
    "first chunk p50 us": "added first chunk p50 us",
    "transit p50 us": "added transit p50 us",
    "transit p99 us": "added transit p99 us",
}


def _answers(took: Took, reading: Reading, *, prefix: str = "") -> Slice:
    """Figures of whole answers. Raises RuntimeError if there were none."""
    if not took.requests:
        message = f"no whole answer of {took.sent}: {took.why}"
        raise RuntimeError(message)
    lasts = sorted(took.to_last)
    figures = {
        f"{prefix}p{percent:g} us": of_sorted(lasts, percent) * MICROS for percent in PERCENTS
    }
    figures[f"{prefix}CPU us/request"] = reading.cpu_seconds / took.requests * MICROS
    figures[f"{prefix}requests/s"] = took.requests / took.seconds
    figures[f"{prefix}whole"] = took.requests / (took.sent or took.requests)
    return Slice(figures, [reading], {f"{prefix}p": took.to_last}, took.why)


def _saturated(rig: Rig, subject: Subject, *, size: int) -> Slice:
    steer = Steer(size=size)
    watch = rig.watch(subject)
    took = rig.driver.closed(
        subject.port,
        subject.ask(steer),
        steer,
        connections=SATURATING,
        seconds=rig.scale.saturate_seconds,
    )
    found = _answers(took, watch.end())
    found.figures["loaded MB"] = subject.resident_megabytes()
    return found


def _at_rate(rig: Rig, subject: Subject, *, per_second: int, route: str = "bench") -> Slice:
    steer = Steer()
    seconds = rig.scale.rate_seconds.get(per_second, rig.scale.rate_seconds[FAILOVER_PER_SECOND])
    asked = subject.ask(steer, route=route)
    watch = rig.watch(subject)
    took = rig.driver.rate(subject.port, asked, steer, per_second=per_second, seconds=seconds)
    return _answers(took, watch.end())


def _chunks(took: Took, reading: Reading) -> Slice:
    if not took.chunks:
        message = f"no chunk of {took.sent} streams: {took.why}"
        raise RuntimeError(message)
    firsts, transits = sorted(took.to_first), sorted(took.transit)
    figures = {
        "first chunk p50 us": of_sorted(firsts, 50) * MICROS,
        "first chunk p99 us": of_sorted(firsts, 99) * MICROS,
        "transit p50 us": of_sorted(transits, 50) * MICROS,
        "transit p99 us": of_sorted(transits, 99) * MICROS,
        "CPU us/chunk": reading.cpu_seconds / took.chunks * MICROS,
        "chunks/s": took.chunks / took.seconds,
        "core used": reading.cpu_seconds / took.seconds,
        "whole": took.requests / took.sent if took.sent else math.nan,
    }
    samples = {"first chunk p": took.to_first, "transit p": took.transit}
    return Slice(figures, [reading], samples, took.why)


def _paced(rig: Rig, subject: Subject, *, route: str = "bench", shape: str = "chat") -> Slice:
    steer = Steer(chunks=rig.share(STREAM_CHUNKS), pause_ms=PACE_MS)
    request = subject.ask(steer, route=route, shape=shape)
    watch = rig.watch(subject)
    took = rig.driver.once(
        subject.port,
        request,
        steer,
        streams=rig.share(PACED_STREAMS),
        spread_seconds=SPREAD_SECONDS * rig.scale.streams,
    )
    return _chunks(took, watch.end())


def _burst(rig: Rig, subject: Subject, *, route: str = "bench", shape: str = "chat") -> Slice:
    steer = Steer(chunks=rig.share(STREAM_CHUNKS))
    request = subject.ask(steer, route=route, shape=shape)
    watch = rig.watch(subject)
    took = rig.driver.closed(
        subject.port,
        request,
        steer,
        connections=BURST_CONNECTIONS,
        seconds=rig.scale.saturate_seconds,
    )
    return _chunks(took, watch.end())


def _held_anew(rig: Rig, kind: Kind, *, streams: int) -> Slice:
    """By a fresh process: one that has held streams before keeps their memory."""
    with kind.launch(rig.stage) as subject:
        warm(rig, subject)
        return _held(rig, subject, streams=streams)


def warm(rig: Rig, subject: Subject) -> None:
    """A little of what is to come."""
    steer = Steer()
    rig.driver.closed(
        subject.port,
        subject.ask(steer),
        steer,
        connections=WARM_CONNECTIONS,
        seconds=rig.scale.warm_seconds,
    )


def _held(rig: Rig, subject: Subject, *, streams: int) -> Slice:
    """The most memory while they are open, beside what there was before, is the streams'."""
    count = rig.share(streams)
    steer = Steer(chunks=rig.share(SLOW_CHUNKS), pause_ms=SLOW_PAUSE_MS)
    watch = rig.watch(subject)
    before = watch.resident_bytes()
    most = [before]
    took = rig.driver.once(
        subject.port,
        subject.ask(steer),
        steer,
        streams=count,
        spread_seconds=SLOW_SPREAD_SECONDS * rig.scale.streams,
        meanwhile=lambda: most.append(watch.resident_bytes()),
    )
    found = _chunks(took, watch.end())
    found.figures["KB/stream"] = (max(most) - before) / count / 1e3
    found.figures["most MB"] = max(most) / 1e6
    return found


def _failover(rig: Rig, subject: Subject) -> Slice:
    """Plain, falling back, once it is sticky, and with a key that is limited, one after another."""
    whole = Slice({})
    for route in ("bench", "bench-fallback", "bench-sticky", "bench-rotation"):
        if route not in subject.routes:
            continue
        name = route.partition("-")[2] or "plain"
        if route == "bench-sticky":
            steer = Steer()  # The one that has to leave: from then on it is sticky.
            rig.driver.closed(
                subject.port,
                subject.ask(steer, route=route),
                steer,
                connections=1,
                seconds=rig.scale.warm_seconds / 5,
            )
        refused = _refused(rig)
        found = _at_rate(rig, subject, per_second=subject.failover_per_second, route=route)
        if name != "plain":
            found.figures["tried"] = (_refused(rig) - refused) / len(found.samples["p"])
        whole.figures |= {f"{name} {figure}": value for figure, value in found.figures.items()}
        whole.readings += found.readings
        whole.why = whole.why or found.why
        if name != "plain":
            for figure in ("p50 us", "CPU us/request"):
                added = found.figures[figure] - whole.figures[f"plain {figure}"]
                whole.figures[f"{name} added {figure}"] = added
    return whole


def _refused(rig: Rig) -> int:
    """How many answers of the provider were none of 200 so far."""
    told: int
    with urlopen(f"{rig.stage.upstream}/control/nobody/200") as answer:
        told = json.load(answer)["failed"]
    return told


def _started(rig: Rig, kind: Kind) -> Slice:
    """A fresh process to its first answer, then idle."""
    with kind.launch(rig.stage) as subject:
        figures = {"ready s": subject.ready_seconds, "start CPU s": subject.cpu_seconds()}
        sleep(IDLE_SECONDS * min(1.0, rig.scale.saturate_seconds))
        figures["idle MB"] = subject.resident_megabytes()
        watch = rig.watch(subject)
        sleep(IDLE_SECONDS * min(1.0, rig.scale.saturate_seconds))
        reading = watch.end()
        figures["idle core used"] = reading.cpu_seconds / reading.seconds
    return Slice(figures)


def _held_rounds(scale: Scale, *, count: int) -> int:
    return scale.held_rounds if count in scale.held else 0


def _no_run(rig: Rig, subject: Subject) -> Slice:
    raise NotImplementedError


_GATEWAYS = frozenset({BASE, VARIANT})
_OURS = frozenset({TRANSLATES})
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "start",
        "start to the first answer, then idle",
        _no_run,
        directly=False,
        starts=_started,
        rounds=lambda scale: scale.start_rounds,
    ),
    Scenario(
        "single-1k",
        f"answers of {SINGLE_BYTES} bytes, {SATURATING} connections",
        partial(_saturated, size=SINGLE_BYTES),
        _GATEWAYS,
    ),
    Scenario(
        "single-100k",
        f"answers of {LARGE_BYTES} bytes, {SATURATING} connections",
        partial(_saturated, size=LARGE_BYTES),
    ),
    Scenario("rate-100", "100 requests a second", partial(_at_rate, per_second=100)),
    Scenario("rate-500", "500 requests a second", partial(_at_rate, per_second=500)),
    Scenario(
        "paced", f"{PACED_STREAMS} streams of {STREAM_CHUNKS} chunks, one each {PACE_MS} ms", _paced
    ),
    Scenario(
        "burst",
        f"streams of {STREAM_CHUNKS} chunks at once, {BURST_CONNECTIONS} connections",
        _burst,
    ),
    Scenario(
        "failover",
        "plain, falling back, sticky, rotating; 100 requests a second (litellm: 20)",
        _failover,
        frozenset({FALLS_BACK}),
        directly=False,
    ),
    Scenario(
        "chat-to-messages",
        "as `burst`: chat clients, a Messages target",
        partial(_burst, route="bench-translated-chat"),
        _OURS,
        directly=False,
    ),
    Scenario(
        "messages-to-chat",
        "as `burst`: Messages clients, a chat target",
        partial(_burst, route="bench-translated-messages", shape="messages"),
        _OURS,
        directly=False,
    ),
    *(
        Scenario(
            f"held-{count}",
            f"{count} streams of {SLOW_CHUNKS} chunks, 10 a second each",
            _no_run,
            rounds=partial(_held_rounds, count=count),
            starts=partial(_held_anew, streams=count),
        )
        for count in FULL.held
    ),
)
"""In the order in which they are run: those that may leave a subject in a bad way come last."""


def with_added(figures: dict[str, float], directly: Mapping[str, float]) -> None:
    """Puts what a subject adds to the provider's own time beside its figures."""
    for figure, added in ADDED.items():
        if figure in figures and figure in directly:
            figures[added] = figures[figure] - directly[figure]


def takes_part(kind: Kind, scenario: Scenario) -> bool:
    return bool(kind.roles & scenario.roles) and scenario.name not in kind.skips
