"""What is measured: gateways and the provider behind them, each a process of its own.

Linux only: what a process used is read from /proc. With two cores or more the gateways have one
for themselves, and the load and the provider share another.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from tests.benchmarks.http_bytes import CLIENT_KEY, chat_request

ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 5.0
_SERVES = re.compile(rb"serves on http://127\.0\.0\.1:(\d+)")
QUIET_SECONDS = 0.15
"""Longer than most sinks collect a batch."""
QUIET_SECONDS_MAX = 1.5

CONFIG = """\
server: {{host: 127.0.0.1, port: 0, drain_seconds: 1}}
auth: {{clients: [{{name: benchmark, key: {client_key}}}]}}
providers:
  first: {provider}
  second: {provider}
routes: [{{name: bench, targets: [first/model-a, second/model-a]}}]
storage: {{url: "sqlite+aiosqlite:///benchmark.db"}}
telemetry: {{otlp_endpoint: "{upstream}", trace_sample_ratio: 0.05, log_format: {log_format}}}
"""
PROVIDER = (
    '{{dialect: openai, base_url: "{upstream}/v1", '
    "credentials: [{{name: one, key: key-one}}, {{name: two, key: key-two}}]}}"
)
"""All sinks on: rows, metrics, log lines, and traces of one request in twenty."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A process that answers chat requests."""

    name: str
    port: int
    pid: int
    ready_seconds: float
    """From its start to the first answer that came through it."""

    def cpu_seconds(self) -> float:
        """User and system time of all its threads, ended ones included."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        ticks = stat.rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


class Meter:
    """What a subject used from one reading to the next.

    Its sinks work on after the last answer: a reading waits for them, so that their share is
    neither lost nor paid by whoever is measured next.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._mark = 0.0
        self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Since the last reading."""
        end = perf_counter() + QUIET_SECONDS_MAX
        now, before = self._subject.cpu_seconds(), -1.0
        while now != before and perf_counter() < end:
            sleep(QUIET_SECONDS)
            now, before = self._subject.cpu_seconds(), now
        used, self._mark = now - self._mark, now
        return used


def pin_load() -> None:
    """This process, and what it starts, to the first core; gateways move to the second."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})


@contextmanager
def everyone(folder: Path, *, others: tuple[Path, ...] = ()) -> Iterator[list[Subject]]:
    """The provider itself (`direct`), the floor, the product, and the product of other checkouts."""
    with ExitStack() as stack:
        bare = stack.enter_context(direct(folder))
        upstream = f"http://127.0.0.1:{bare.port}"
        subjects = [bare, stack.enter_context(_floor(folder, upstream))]
        for number, checkout in enumerate((ROOT, *others)):
            name = "product" if number == 0 else f"other {number}"
            subjects.append(stack.enter_context(product(folder, upstream, checkout, name)))
        yield subjects


@contextmanager
def direct(folder: Path) -> Iterator[Subject]:
    """The provider, which also does for a collector."""
    command = ["-m", "tests.benchmarks.provider"]
    with _running("direct", command, folder=folder, gateway=False) as subject:
        yield subject


@contextmanager
def _floor(folder: Path, upstream: str) -> Iterator[Subject]:
    command = ["-m", "tests.benchmarks.floor", upstream]
    with _running("floor", command, folder=folder, gateway=True) as subject:
        yield subject


@contextmanager
def product(
    folder: Path, upstream: str, checkout: Path, name: str, *, log_format: str = "console"
) -> Iterator[Subject]:
    """The gateway of a checkout, with a database and a log of its own."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    text = CONFIG.format(
        client_key=CLIENT_KEY,
        provider=PROVIDER.format(upstream=upstream),
        upstream=upstream,
        log_format=log_format,
    )
    config = own / "evenkeel.yaml"
    config.write_text(text, encoding="utf-8")
    command = ["-m", "gateway", "serve", "--config", str(config)]
    with _running(name, command, folder=own, gateway=True, checkout=checkout) as subject:
        yield subject


@contextmanager
def _running(
    name: str,
    command: list[str],
    *,
    folder: Path,
    gateway: bool,
    checkout: Path = ROOT,
) -> Iterator[Subject]:
    cores = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))
    began = perf_counter()
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=checkout,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(checkout)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        if gateway and len(cores) > 1:
            os.sched_setaffinity(process.pid, {cores[1]})
        port = _wait_ready(process, log)
        yield Subject(name, port, process.pid, perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port it took, told in its output: one chosen for it could be gone before it listens."""
    end = perf_counter() + START_SECONDS_MAX
    while perf_counter() < end and process.poll() is None:
        told = _SERVES.search(log.read_bytes())
        if told is not None:
            port = int(told[1])
            with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS_MAX) as made:
                made.sendall(chat_request())
                if made.recv(64).startswith(b"HTTP/1.1 200"):
                    return port
            break
        sleep(0.01)
    message = f"{process.args!r} does not serve: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)
