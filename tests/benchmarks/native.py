"""Provider and load as C programs, compiled where they are first needed; and who drives the load.

A Python client beside a Python provider on one core is slower than what is to be measured; with
them only the smoke run is of use, which measures nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from array import array
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any, Protocol

from tests.benchmarks.http_bytes import Steer
from tests.benchmarks.load import Took, closed_loop, fixed_rate, once_each

HERE = Path(__file__).parent
FLAGS = ("-O2",)
COMPILE_SECONDS_MAX = 120
UNITS_PER_SECOND = 1e7
"""Of the samples that load.c writes."""
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 10.0
"""After the last sending; what has not ended by then is incomplete."""
KILL_SECONDS = 60.0
CONNECTIONS_MAX = 1024
"""Of a load at a fixed rate."""


class Driver(Protocol):
    """Sends requests to a port. `meanwhile` is called several times a second."""

    language: str

    def closed(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        connections: int,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took: ...

    def rate(
        self, port: int, request: bytes, steer: Steer, *, per_second: float, seconds: float
    ) -> Took: ...

    def once(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        streams: int,
        spread_seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took: ...


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def works(folder: Path) -> bool:
    """Whether both programs can be had; a compiler alone may lack its headers."""
    if compiler() is None:
        return False
    try:
        for name in ("provider", "load"):
            compiled(name, folder)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def compiled(name: str, folder: Path) -> Path:
    """The program of `name`.c, made in `folder` unless it is there. Raises CalledProcessError."""
    source = HERE / f"{name}.c"
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    made = folder / f"{name}-{mark}"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{made.name}.{os.getpid()}"
        command = [compiler() or "cc", *FLAGS, "-o", str(part), str(source)]
        subprocess.run(command, check=True, timeout=COMPILE_SECONDS_MAX)
        part.replace(made)
    return made


def provider_command(folder: Path, *, native: bool) -> list[str]:
    if native:
        return [str(compiled("provider", folder))]
    return [sys.executable, "-m", "tests.benchmarks.provider"]


class NativeDriver:
    language = "C"

    def __init__(self, folder: Path) -> None:
        self._program = compiled("load", folder)

    def closed(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        connections: int,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took:
        plan = ("closed", connections, seconds, 0.0)
        return self._run(port, request, steer, plan, meanwhile)

    def rate(
        self, port: int, request: bytes, steer: Steer, *, per_second: float, seconds: float
    ) -> Took:
        return self._run(port, request, steer, ("rate", CONNECTIONS_MAX, seconds, per_second), None)

    def once(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        streams: int,
        spread_seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took:
        return self._run(port, request, steer, ("once", streams, spread_seconds, 0.0), meanwhile)

    def _run(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        plan: tuple[str, int, float, float],
        meanwhile: Callable[[], None] | None,
    ) -> Took:
        with TemporaryDirectory(prefix="evenkeel-load-") as name:
            folder = Path(name)
            (folder / "request").write_bytes(request)
            patience = PATIENCE_SECONDS + steer.chunks * steer.pause_ms / 1000
            numbers = (*plan, steer.chunks, steer.least, patience)
            command = [self._program, str(port), folder / "request", folder / "samples"]
            told = _watched([*map(str, command), *map(str, numbers)], meanwhile, plan[2] + patience)
            first, last, transit = _samples((folder / "samples").read_bytes())
        return Took(
            seconds=told["seconds"],
            to_first=first,
            to_last=last,
            transit=transit,
            sent=told["sent"],
            failed=told["failed"],
            incomplete=told["incomplete"],
            chunks=told["chunks"],
            why=told["why"],
        )


def _watched(
    command: list[str], meanwhile: Callable[[], None] | None, seconds: float
) -> dict[str, Any]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            waited = 0.0
            while meanwhile is not None and process.poll() is None and waited < seconds:
                meanwhile()
                sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            output, _ = process.communicate(timeout=seconds + KILL_SECONDS)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        message = f"{command[0]} ended with status {process.returncode}"
        raise RuntimeError(message)
    told: dict[str, Any] = json.loads(output)
    return told


def _samples(data: bytes) -> list[list[float]]:
    """The arrays that load.c has written, in seconds."""
    found, at = [], 0
    while at < len(data):
        [count] = array("Q", data[at : at + 8])
        values = array("I", data[at + 8 : at + 8 + 4 * count])
        found.append([value / UNITS_PER_SECOND for value in values])
        at += 8 + 4 * count
    return found


class PythonDriver:
    language = "Python"

    def closed(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        connections: int,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took:
        load = closed_loop(port, request, count=connections, seconds=seconds, steer=steer)
        return asyncio.run(_beside(load, meanwhile))

    def rate(
        self, port: int, request: bytes, steer: Steer, *, per_second: float, seconds: float
    ) -> Took:
        load = fixed_rate(port, request, per_second=per_second, seconds=seconds, steer=steer)
        return asyncio.run(load)

    def once(
        self,
        port: int,
        request: bytes,
        steer: Steer,
        *,
        streams: int,
        spread_seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Took:
        load = once_each(port, request, count=streams, spread_seconds=spread_seconds, steer=steer)
        return asyncio.run(_beside(load, meanwhile))


async def _beside(load: Coroutine[Any, Any, Took], meanwhile: Callable[[], None] | None) -> Took:
    if meanwhile is None:
        return await load

    async def look() -> None:
        while True:
            meanwhile()
            await asyncio.sleep(LOOK_SECONDS)

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        took = await load
        looking.cancel()
    return took
