"""The process around the gateway: signals, what is printed at the start, the exit status."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

from gateway.api.context import Context, ReloadRefused
from gateway.app import Running, running, version
from gateway.app_background import background
from gateway.config_file import Loaded
from gateway.telemetry.log import configure

GC_OBJECTS = 20_000
"""New objects before the collector looks at them; about a hundred requests leave no more than that
under way. Python's own 700 are fewer than one request makes."""

log = logging.getLogger(__name__)


def serve(
    loaded: Loaded, *, demo: bool = False, host: str | None = None, port: int | None = None
) -> int:
    """Runs the gateway until it is asked to stop. Returns the exit status."""
    import uvloop

    telemetry = loaded.config.telemetry
    configure(telemetry.log_format, os.environ.get("EVENKEEL_LOG_LEVEL", "info"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_process(loaded, demo=demo, host=host, port=port))
        except KeyboardInterrupt:
            return 130


async def _process(loaded: Loaded, *, demo: bool, host: str | None, port: int | None) -> int:
    stop = _stop_on_signals()
    try:
        async with running(loaded, demo=demo, host=host, port=port) as gateway:
            for warning in loaded.warnings:
                log.warning("configuration", extra={"warning": warning})
            print(_welcome(gateway, loaded, demo=demo), flush=True)  # noqa: T201
            _spare_the_collector()
            async with background() as tasks:
                tasks.run(_reload_on_hangup(gateway.context), name="reload")
                await stop.wait()
    except OSError as error:
        log.error("cannot serve", extra={"cause": str(error)})  # noqa: TRY400
        return 1
    return 0


async def _reload_on_hangup(context: Context) -> None:
    """SIGHUP reads the configuration again."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    while True:
        await asked.wait()
        asked.clear()
        try:
            changes = await context.reload("signal", "")
            log.info("the configuration was reloaded", extra={"changes": list(changes)})
        except ReloadRefused as refused:
            problems = list(refused.problems)
            log.error("the configuration was rejected", extra={"problems": problems})  # noqa: TRY400


def _spare_the_collector() -> None:
    """What the start made stays for good, so the collector need not go through it again and again;
    and it looks after some requests' worth of objects, not within each request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS)


def _stop_on_signals() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop


def _welcome(gateway: Running, loaded: Loaded, *, demo: bool) -> str:
    """What to look at, with a line to try."""
    config, url = loaded.config, gateway.url
    names = [route.name for route in config.routes] or gateway.context.pool.directory.names()
    model = names[0] if names else "PROVIDER/MODEL"
    key = ' -H "authorization: Bearer $EVENKEEL_CLIENT_KEY"' if config.auth.clients else ""
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    lines = [
        f"Evenkeel {version()} serves on {url}" + (", demo: simulated providers" if demo else ""),
        f"  look     {url}/   {url}/metrics   evenkeel status   evenkeel events --follow",
        f"  try      curl -s {url}/v1/chat/completions -H 'content-type: application/json'{key} \\",
        f"             -d '{body}'",
        f"  history  {gateway.context.history.store()['path']}",
    ]
    return "\n".join(lines)
