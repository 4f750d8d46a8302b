"""The composition root: builds every object, opens and closes every resource, in one place.

The only module that knows all the others. `running` is the gateway as an async context, for the
command line and for tests; `serve` is the process around it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from gateway import config_file
from gateway.api.access import Access
from gateway.api.context import Context
from gateway.app_background import background
from gateway.app_listen import listen
from gateway.app_prices import read_prices
from gateway.app_reload import Reloader
from gateway.app_store import URGENT, Store
from gateway.clock import SystemClock
from gateway.config import Config, Dialect
from gateway.config_file import Loaded
from gateway.config_spoken import serves
from gateway.events import ProcessStarted, ProcessStopped
from gateway.relay.loop import Relay
from gateway.routing.hands import Hands
from gateway.routing.pool import Pool
from gateway.routing.prices import Prices
from gateway.routing.restoring import restore
from gateway.routing.snapshot import snapshot
from gateway.spine import Spine
from gateway.telemetry.log import LogSink
from gateway.telemetry.metrics import MetricsSink
from gateway.telemetry.metrics_lag import LoopLag
from gateway.telemetry.sampling import Sampling
from gateway.units import Clock, Moment
from gateway.upstream.base import Upstream
from gateway.upstream.code_assist import CodeAssistUpstream
from gateway.upstream.direct import DirectUpstream, open_session
from gateway.upstream.http1.pool import Pool as Connections
from gateway.upstream.http1.upstream import Http1Upstream
from gateway.upstream.oauth import accounts
from gateway.upstream.simulated import SimulatedUpstream
from gateway.upstream.translated import LiteLLMUpstream, wanted
from storage.ahead import Ahead, ahead_path
from storage.journal import Journal, journal_path

if TYPE_CHECKING:
    from gateway.telemetry.traces import TraceSink

TICK_SECONDS = 0.5
"""How late the end of a cooldown may be told when no request comes by."""
CATCH_UP_SECONDS = 2.0
"""At the start, for what the process before this one could not store."""
QUEUE_BYTES_MAX = 32 * 1024 * 1024
"""Of one sink: about fifty thousand events, minutes of a busy gateway."""
BATCH_EVENTS_MAX = 2000
"""In tens of milliseconds there are fewer; after a pause a batch is not endless."""
CONSOLE_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
DEMO_DATABASE = "sqlite+aiosqlite:///evenkeel-demo.db"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves."""

    url: str
    context: Context
    simulated: SimulatedUpstream


@asynccontextmanager
async def running(
    loaded: Loaded,
    *,
    demo: bool = False,
    host: str | None = None,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """The gateway, from its first resource opened to its last one closed.

    `environ` is what a reload reads beside the file; None is the process's own. `clock`: another
    one than the machine's.
    """
    clock, rng = clock or SystemClock(), Random()
    async with AsyncExitStack() as stack:
        sinks = await _sinks(stack, loaded, clock, rng)
        session = await stack.enter_async_context(open_session())
        simulated = SimulatedUpstream(clock=clock, rng=rng)
        connections = Connections()
        stack.push_async_callback(connections.close)
        direct = Http1Upstream(connections, DirectUpstream(session))
        held = await stack.enter_async_context(accounts(session, clock=clock, folder=loaded.folder))
        litellm = LiteLLMUpstream()
        stack.push_async_callback(litellm.close)
        upstreams = _upstreams(direct, simulated, CodeAssistUpstream(direct, held), litellm)
        prices = Prices()
        context = _context(loaded, sinks, upstreams, clock, rng, prices, demo=demo, host=host)
        reloader = Reloader(
            loaded,
            host=host or loaded.config.server.host,
            environ=os.environ if environ is None else environ,
            configured=sinks.metrics.configure,
        )
        context.reload = partial(reloader.reload, context)
        await _restore(context, sinks.store)
        tasks = await stack.enter_async_context(background())
        tasks.run(_tick(context), name="tick")
        tasks.run(sinks.lag.run(), name="loop lag")
        if wanted(loaded.config):
            tasks.run(litellm.warm(), name="loading litellm")
        tasks.run(context.relay.keep_alives.run(clock, context.silence), name="keep-alives")
        tasks.run(read_prices(context, prices), name="price table")
        tasks.run(sinks.store.keep_house(clock), name="retention")
        url = await listen(stack, context, host=host, port=port)
        context.ready = True
        stack.callback(_not_ready, context)
        if demo:
            traffic = await stack.enter_async_context(background())
            traffic.run(_traffic(context, url), name="demo traffic")
        yield Running(url, context, simulated)


@dataclass(frozen=True, slots=True)
class _Sinks:
    """Everybody who is told what happens."""

    spine: Spine
    store: Store
    metrics: MetricsSink
    traces: TraceSink | None
    lag: LoopLag


async def _sinks(stack: AsyncExitStack, loaded: Loaded, clock: Clock, rng: Random) -> _Sinks:
    config, now = loaded.config, clock.now()
    store = Store(config.storage, folder=loaded.folder)
    spine = Spine(
        clock=clock,
        rng=rng,
        boot_id=f"{rng.getrandbits(64):016x}",
        config_version=loaded.version,
    )
    metrics, traces = _attach(spine, config, store)
    if not await store.open():
        log.error("the store cannot be opened; serving without it", extra=_why(store))
    await stack.enter_async_context(spine)
    spine.emit(_started(now))
    stack.callback(_tell_stopped, spine, clock)
    return _Sinks(spine, store, metrics, traces, LoopLag(clock))


def _context(
    loaded: Loaded,
    sinks: _Sinks,
    upstreams: Mapping[Dialect, Upstream],
    clock: Clock,
    rng: Random,
    prices: Prices,
    *,
    demo: bool,
    host: str | None,
) -> Context:
    config, now = loaded.config, clock.now()
    pool = Pool(config, rng=rng, now=now, speaks=serves)
    relay = Relay(
        pool=pool,
        upstreams=upstreams,
        emit=sinks.spine.emit_all,
        clock=clock,
        rng=rng,
        prices=prices,
    )
    return Context(
        config=config,
        config_path=str(loaded.path) if loaded.path is not None else None,
        version=version(),
        boot_id=sinks.spine.boot_id,
        started=now.timestamp,
        demo=demo,
        pool=pool,
        relay=relay,
        hands=Hands(pool, rng=rng),
        spine=sinks.spine,
        access=Access(config.auth, host=host or config.server.host),
        history=sinks.store,
        scrape=_scraper(pool, sinks, clock),
        clock=clock,
        rng=rng,
        console=_console(),
        contents=sinks.traces.contents if sinks.traces is not None else None,
    )


async def _restore(context: Context, store: Store) -> None:
    """What the process before this one knew, if it left a history."""
    if context.spine.stats()["storage"].journal_bytes:
        await context.spine.settled("storage", CATCH_UP_SECONDS)
    now = context.clock.now()
    found = await store.restored(now.timestamp)
    if found is not None:
        context.emit(restore(context.pool, now=now, **found))


def _attach(spine: Spine, config: Config, store: Store) -> tuple[MetricsSink, TraceSink | None]:
    traces = _traces(config)
    metrics = MetricsSink(
        config,
        version=version(),
        registry=CollectorRegistry(),
        sampling=Sampling(config.telemetry) if traces is not None else None,
        others=(ProcessCollector(registry=None),),
    )
    journal = Journal(journal_path(store.path))
    ahead = Ahead(ahead_path(store.path))
    ahead.hand_over(journal)
    attach = partial(
        spine.attach, batch_events_max=BATCH_EVENTS_MAX, queue_bytes_max=QUEUE_BYTES_MAX
    )
    attach(store, batch_seconds=0.03, rescue=journal, urgent=URGENT, notes=ahead)
    attach(metrics, batch_seconds=0.1)  # Who scrapes waits for what is on its way.
    attach(LogSink(config.telemetry.log_format), batch_seconds=0.1)
    if traces is not None:
        attach(traces, batch_seconds=1.0)
    return metrics, traces


def _traces(config: Config) -> TraceSink | None:
    if not config.telemetry.otlp_endpoint:
        return None
    from gateway.telemetry.traces import TraceSink  # Half a second that most never need.

    return TraceSink(config.telemetry, version=version())


def _upstreams(
    direct: Upstream, simulated: Upstream, code_assist: Upstream, litellm: Upstream
) -> Mapping[Dialect, Upstream]:
    return {
        Dialect.OPENAI: direct,
        Dialect.ANTHROPIC: direct,
        Dialect.GEMINI: direct,
        Dialect.CODE_ASSIST: code_assist,
        Dialect.LITELLM: litellm,
        Dialect.SIMULATED: simulated,
    }


def _scraper(
    pool: Pool, sinks: _Sinks, clock: Clock
) -> Callable[[str], Awaitable[tuple[bytes, str]]]:
    took = 0.0

    async def scrape(accept: str) -> tuple[bytes, str]:
        nonlocal took
        now = clock.now()
        sinks.spine.emit_all(pool.expire(now))
        await sinks.spine.settled(sinks.metrics.name, 1.0)
        render = sinks.metrics.scrape(
            snapshot(pool, now),
            sinks.spine.stats(),
            store_bytes=sinks.store.bytes(),
            store_oldest=sinks.store.oldest,
            loop_lag_seconds=sinks.lag.seconds,
            scrape_seconds=took,
            spans_dropped=sinks.traces.dropped if sinks.traces is not None else 0,
        )
        began = clock.now().instant
        text = await asyncio.to_thread(render, accept)
        took = clock.now().instant - began
        return text

    return scrape


async def _tick(context: Context) -> None:
    """Tells of what is over while no request comes by, and wakes those who wait for it."""
    while True:
        await context.clock.sleep(TICK_SECONDS)
        context.emit(context.pool.expire(context.clock.now()))


async def _traffic(context: Context, url: str) -> None:
    from gateway.demo import Traffic

    config = context.config
    key = config.auth.clients[0].key.reveal() if config.auth.clients else ""
    traffic = Traffic(
        base_url=url,
        models=[route.name for route in config.routes],
        rng=context.rng,
        clock=context.clock,
        client_key=key,
    )
    await traffic.run()


def _console() -> Mapping[str, tuple[bytes, str]]:
    """The console's files, by name."""
    folder = files("dashboards") / "console"
    return {
        file.name: (file.read_bytes(), f"{CONSOLE_TYPES[Path(file.name).suffix]}; charset=utf-8")
        for file in folder.iterdir()
        if Path(file.name).suffix in CONSOLE_TYPES
    }


def _started(now: Moment) -> ProcessStarted:
    return ProcessStarted(
        ts=now.timestamp,
        version=version(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
    )


def _tell_stopped(spine: Spine, clock: Clock) -> None:
    spine.emit(ProcessStopped(ts=clock.now().timestamp, reason="asked to"))


def _not_ready(context: Context) -> None:
    context.ready = False


def _why(store: Store) -> dict[str, str]:
    return {"cause": store.failed_to_open}


def version() -> str:
    return installed_version("evenkeel")


def demo_config() -> Loaded:
    """The configuration of the demo, as shipped, with a database file of its own."""
    text = (files("gateway") / "demo.yaml").read_text(encoding="utf-8")
    config = config_file.parse(text, environ={}, name="demo.yaml")
    storage = replace(config.storage, url=DEMO_DATABASE)
    return Loaded(
        config=replace(config, storage=storage),
        version="demo",
        sources={},
        path=None,
        folder=Path.cwd(),
        warnings=(),
    )
