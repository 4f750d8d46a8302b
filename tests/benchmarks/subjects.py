"""Whom the benchmarks measure: processes that are started, pinned, asked until they serve, ended.

A `Kind` says how one is started and what it takes part in; `rivals` adds those that are not ours.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

from tests.benchmarks.gateway_config import ROUTES, gateway_config
from tests.benchmarks.http_bytes import Steer, request
from tests.benchmarks.native import provider_command, works
from tests.benchmarks.processes import (
    QUIET_SECONDS,
    Watch,
    cores,
    cpu_seconds,
    pin,
    resident_bytes,
    running_still,
    tree,
)

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".bench"
"""Where compiled programs are kept, and results."""
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 5.0
SINKS_SETTLE_SECONDS = 1.2
"""Spans are collected for a second."""
_SERVES = re.compile(rb"serves on http://127\.0\.0\.1:(\d+)")

FAILOVER_PER_SECOND = 100

DIRECT, NGINX, AIOHTTP, EVENKEEL, OFF = "direct", "nginx", "aiohttp", "evenkeel", "all off"
BASE, VARIANT, FALLS_BACK, TRANSLATES = "base", "variant", "falls back", "translates"
"""Roles. BASE takes every plain scenario. VARIANT: ours with some sinks, for CPU alone. FALLS_BACK:
has routes that fall back. TRANSLATES: has targets of another dialect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A process, with its children, that answers chat requests."""

    name: str
    port: int
    pid: int
    ready_seconds: float
    """From its start to the first answer that came through it."""
    prefix: str = ""
    """Of the path, before /v1."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to those of each request, or in place of them."""
    route_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The same, for one route each."""
    routes: frozenset[str] = frozenset({"bench"})
    failover_per_second: int = FAILOVER_PER_SECOND
    """Fewer for those whom that would saturate."""
    settle_seconds: float = QUIET_SECONDS
    """How long after the last answer it may still have work that it has put off."""

    def ask(self, steer: Steer, *, route: str = "bench", shape: str = "chat") -> bytes:
        return request(
            steer,
            model=route,
            shape=shape,
            prefix=self.prefix,
            headers={**self.headers, **self.route_headers.get(route, {})},
        )

    def alive(self) -> bool:
        return running_still(self.pid)

    def cpu_seconds(self) -> float:
        return cpu_seconds(tree(self.pid))

    def resident_megabytes(self) -> float:
        return resident_bytes(tree(self.pid)) / 1e6


class Meter:
    """What a subject used from one reading to the next; a reading waits for its sinks."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._mark = 0.0
        self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Since the last reading."""
        core, settle = cores().subject, self._subject.settle_seconds
        Watch(self._subject.pid, core, settle_seconds=settle).end()
        now = self._subject.cpu_seconds()
        used, self._mark = now - self._mark, now
        return used


@dataclass(frozen=True, slots=True)
class Stage:
    """Where subjects are started: a folder that is deleted, and the provider's address."""

    folder: Path
    upstream: str

    def own(self, name: str) -> Path:
        """A folder for one start of a subject."""
        number = 0
        while (folder := self.folder / f"{name.replace(' ', '-')}-{number}").exists():
            number += 1
        folder.mkdir(parents=True)
        return folder


@dataclass(frozen=True, slots=True)
class Kind:
    """A subject that can be started, more than once."""

    name: str
    launch: Callable[[Stage], AbstractContextManager[Subject]]
    roles: frozenset[str] = frozenset({BASE})
    skips: frozenset[str] = frozenset()
    """Scenarios that are beyond it."""
    cannot: str = ""
    """Why it cannot be started here."""


def kinds(*, others: Sequence[Path] = ()) -> list[Kind]:
    """Ours and what it is always compared with; `others` are checkouts of the gateway."""
    missing = "" if shutil.which("nginx") else "nginx is not installed: run `make bench-deps`"
    ours, variant = frozenset({BASE, FALLS_BACK, TRANSLATES}), frozenset({VARIANT})
    found = [
        Kind(NGINX, nginx, cannot=missing),
        Kind(AIOHTTP, floor),
        Kind(EVENKEEL, partial(gateway, name=EVENKEEL), ours),
        Kind("and log lines", partial(gateway, name="and log lines", log="info"), variant),
        Kind("rows only", partial(gateway, name="rows only", sinks="storage"), variant),
        Kind("metrics only", partial(gateway, name="metrics only", sinks="metrics"), variant),
        Kind("spans only", partial(gateway, name="spans only", sinks="traces"), variant),
        Kind(OFF, partial(gateway, name=OFF, sinks="none"), variant),
    ]
    for number, checkout in enumerate(others, 1):
        name = f"other {number}"
        found.append(Kind(name, partial(gateway, name=name, checkout=checkout), ours))
    return found


def pin_load() -> None:
    """This process, and what it starts, to the load's core; subjects move to their own."""
    pin(0, cores().load)


@contextmanager
def direct(folder: Path, *, native: bool | None = None) -> Iterator[Subject]:
    """The provider, which also does for a collector. `native`: None where there is a compiler."""
    native = works(PROGRAMS) if native is None else native
    command = provider_command(PROGRAMS, native=native)
    with running(DIRECT, command, folder=folder, core=cores().load) as subject:
        yield subject


@contextmanager
def floor(stage: Stage) -> Iterator[Subject]:
    """A: the smallest sensible gateway on aiohttp."""
    command = [sys.executable, "-m", "tests.benchmarks.floor", stage.upstream]
    with running(AIOHTTP, command, folder=stage.own(AIOHTTP)) as subject:
        yield subject


@contextmanager
def gateway(
    stage: Stage, *, name: str, checkout: Path = ROOT, sinks: str = "", log: str = "warning"
) -> Iterator[Subject]:
    """The gateway of a checkout; `sinks`: with these only."""
    folder, traced = stage.own(name), not sinks or "traces" in sinks
    config = folder / "evenkeel.yaml"
    config.write_text(gateway_config(stage.upstream, traced=traced), encoding="utf-8")
    module = ["tests.benchmarks.variant", sinks] if sinks else ["gateway", "serve"]
    command = [sys.executable, "-m", *module, "--config", str(config)]
    level = {"EVENKEEL_LOG_LEVEL": log}
    with running(name, command, folder=folder, checkout=checkout, environ=level) as subject:
        yield replace(subject, routes=ROUTES, settle_seconds=SINKS_SETTLE_SECONDS)


@contextmanager
def product(folder: Path, upstream: str, checkout: Path, name: str) -> Iterator[Subject]:
    """The gateway with all sinks, log lines too."""
    with gateway(Stage(folder, upstream), name=name, checkout=checkout, log="info") as subject:
        yield subject


NGINX_CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  upstream provider {{ server {address}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@contextmanager
def nginx(stage: Stage) -> Iterator[Subject]:
    """N: a reverse proxy with one worker."""
    folder, port = stage.own(NGINX), free_port()
    address = stage.upstream.removeprefix("http://")
    config = folder / "nginx.conf"
    text = NGINX_CONFIG.format(folder=folder, port=port, address=address)
    config.write_text(text, encoding="utf-8")
    command = ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)]
    with running(NGINX, command, folder=folder, port=port) as subject:
        yield subject


def free_port() -> int:
    """One that was free a moment ago, for programs that do not take any and tell it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    checkout: Path = ROOT,
    core: int | None = None,
    port: int = 0,
    environ: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    start_seconds_max: float = START_SECONDS_MAX,
) -> Iterator[Subject]:
    """A program from its start to its end. It tells its port, or listens on `port`; requests to it
    have `headers`."""
    subject = Subject(name=name, port=port, pid=0, ready_seconds=0, headers=headers or {})
    log = folder / f"{name.replace(' ', '-')}.log"
    began = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), **(environ or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        pin(process.pid, cores().subject if core is None else core)
        found = _wait_ready(process, log, subject, began + start_seconds_max)
        took = perf_counter() - began
        yield replace(subject, port=found, pid=process.pid, ready_seconds=took)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and its children."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        for pid in tree(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def _wait_ready(
    process: subprocess.Popen[bytes], log: Path, subject: Subject, end_at: float
) -> int:
    """Its port, once an answer came. One chosen for a program could be gone before it listens, so
    those that can take any and tell it. Raises RuntimeError."""
    answer, asked = b"", subject.ask(Steer(size=64))
    while perf_counter() < end_at and process.poll() is None:
        told = _SERVES.search(log.read_bytes())
        port = subject.port or (int(told[1]) if told else 0)
        if port:
            answer = _first_answer(port, asked)
            if answer.startswith(b"HTTP/1.1 200"):
                return port
        sleep(0.005)
    said = log.read_text(errors="replace")[-1500:]
    message = f"{process.args!r} does not serve: {answer!r} {said}"
    raise RuntimeError(message)


def _first_answer(port: int, asked: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS_MAX) as made:
            made.sendall(asked)
            return made.recv(4096)
    except OSError:
        return b""
