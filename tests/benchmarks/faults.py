"""`python -m tests.benchmarks.faults`: what clients see while a provider fails, in real time.

Each gateway with its defaults between steady traffic and two providers, of which the first fails for
a while in one of several ways and is well again. An hour for all; Linux only.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import click
import uvloop

from tests.benchmarks import peers
from tests.benchmarks.faulty import Fault, Faulty
from tests.benchmarks.http_bytes import CLIENT_KEY
from tests.benchmarks.leaving import Figures, Observed, alternations, figures, return_seconds
from tests.benchmarks.peers import Peer
from tests.benchmarks.steady import PATIENCE_SECONDS, Ask, Traffic

WARM_SECONDS = 3.0
PLAIN_SECONDS = 10.0
FAULT_SECONDS = 20.0
SILENT_SECONDS = 45.0
"""Longer than the clocks of ours, 30 s."""
RETURN_SECONDS = 540.0
"""How long a return is waited for at the most."""
SPELL_SECONDS = 30.0
SPELLS = 12
"""Of the first provider, ok and failing in turn: six minutes."""
HOUR_SECONDS = 3600.0

CONFIG = """\
server: {{port: {port}}}
auth: {{clients: [{{name: benchmark, key: {key}}}]}}
providers:
  first: {{dialect: openai, base_url: "{first}/v1", credentials: [{{name: one, key: key-one}}]}}
  second: {{dialect: openai, base_url: "{second}/v1", credentials: [{{name: one, key: key-one}}]}}
routes: [{{name: bench, targets: [first/model-0, second/model-1]}}]
"""
"""All else is as it is by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    name: str
    make: Callable[[Path, list[str]], Peer]
    per_second: float
    return_seconds: float = RETURN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """How long each part of a trial lasts."""

    warm: float = WARM_SECONDS
    plain: float = PLAIN_SECONDS
    fault: float = FAULT_SECONDS
    silent: float = SILENT_SECONDS
    patience: float = PATIENCE_SECONDS


def evenkeel(folder: Path, upstreams: list[str]) -> Peer:
    port = peers.free_port()
    config = folder / "evenkeel.yaml"
    first, second = upstreams
    config.write_text(CONFIG.format(port=port, key=CLIENT_KEY, first=first, second=second))
    return Peer(
        name="evenkeel",
        command=(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
        port=port,
        ready_path="/readyz",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    )


def _group(folder: Path, upstreams: list[str]) -> Peer:
    return peers.litellm(folder, upstreams, group=True)


SUBJECTS = (
    Subject(name="evenkeel", make=evenkeel, per_second=100.0),
    # At the others' rate only what happens while the fault lasts.
    Subject(name="evenkeel, 10/s", make=evenkeel, per_second=10.0, return_seconds=0.0),
    Subject(name="litellm, fallbacks", make=peers.litellm, per_second=10.0, return_seconds=60.0),
    Subject(name="litellm, one group", make=_group, per_second=10.0, return_seconds=60.0),
    Subject(
        name="portkey",
        make=lambda _, upstreams: peers.portkey(upstreams),
        per_second=100.0,
        return_seconds=60.0,
    ),
)
"""LiteLLM's proxy carries about fifty requests a second on a core, and a quarter of that while each is
tried three times before it falls back: so it gets ten."""


@contextmanager
def behind(subject: Subject, first: Faulty, second: Faulty) -> Iterator[Peer]:
    """The gateway, started anew, on the last core where there are several."""
    cores = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))
    with TemporaryDirectory(prefix="evenkeel-faults-") as name:
        folder = Path(name)
        peer = subject.make(folder, [first.url, second.url])
        core = cores[-1] if len(cores) > 1 else None
        with peers.running(peer, folder / "log", core=core):
            yield peer


async def trial(subject: Subject, kind: Fault, spans: Spans) -> Figures:
    """One fault, from a gateway's first request until the provider serves again."""
    first, second = Faulty("first"), Faulty("second")
    await first.listen()
    await second.listen()
    try:
        with behind(subject, first, second) as peer:
            return figures(await _watch(subject, peer, first, kind, spans))
    finally:
        first.close()
        second.close()


def traffic_to(peer: Peer, *, streamed: bool) -> Traffic:
    return Traffic(peer.port, [Ask(peer.model, peer.headers)], path=peer.path, streamed=streamed)


async def _watch(
    subject: Subject, peer: Peer, first: Faulty, kind: Fault, spans: Spans
) -> Observed:
    traffic = traffic_to(peer, streamed=kind in STREAMED)
    running = asyncio.ensure_future(traffic.run(subject.per_second, patience=spans.patience))
    try:
        await asyncio.sleep(spans.warm)
        plain_from = perf_counter()
        await asyncio.sleep(spans.plain)
        began = await first.turn(kind)
        await asyncio.sleep(spans.silent if kind is Fault.SILENT else spans.fault)
        ended = await first.turn(Fault.NONE)

        def seen() -> Observed:
            return Observed(
                answers=traffic.answers,
                arrivals=first.arrivals,
                plain_from=plain_from,
                began=began,
                ended=ended,
            )

        # Whoever was under way in the fault has an answer, or no patience left, in the end.
        await traffic.all_ended(traffic.sent)
        while perf_counter() < ended + subject.return_seconds:
            answers = sorted(traffic.answers, key=lambda each: each.sent)
            if return_seconds(seen(), answers) is not None:
                break
            await asyncio.sleep(1.0)
        return seen()
    finally:
        running.cancel()
        await asyncio.wait([running])
        await traffic.close()


async def spells(
    subject: Subject, *, seconds: float, count: int, warm: float = WARM_SECONDS
) -> dict[str, float]:
    """The first provider works and fails in turn: how often who serves changes, and what it costs."""
    first, second = Faulty("first"), Faulty("second")
    await first.listen()
    await second.listen()
    try:
        with behind(subject, first, second) as peer:
            traffic = traffic_to(peer, streamed=False)
            running = asyncio.ensure_future(traffic.run(subject.per_second))
            await asyncio.sleep(warm)
            began = perf_counter()
            for number in range(count):
                await first.turn(Fault.ERROR if number % 2 else Fault.NONE)
                await asyncio.sleep(seconds)
            ended = perf_counter()
            running.cancel()
            await asyncio.wait([running])
            await traffic.close()
    finally:
        first.close()
        second.close()
    answers = [a for a in traffic.answers if began <= a.sent < ended]
    bad = [each for each in first.arrivals if each.fault is not Fault.NONE]
    return {
        "seconds": round(ended - began, 1),
        "requests": len(answers),
        "lost": sum(not a.whole for a in answers),
        "attempts_failed": len(bad),
        "changes": alternations(answers),
        "changes_per_hour": round(alternations(answers) * HOUR_SECONDS / (ended - began)),
    }


STREAMED = frozenset({Fault.CUT, Fault.SILENT})
"""A single answer's clocks are longer than any client's patience: ours allow it ten minutes."""
KINDS = tuple(each for each in Fault if each is not Fault.NONE)


@click.command()
@click.option("--only", multiple=True, help="Names of gateways; without it, all of them.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice([k.value for k in KINDS]))
@click.option("--spells", "count", default=SPELLS, help="Of 30 s, ok and failing in turn; 0: none.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("faults.json"))
def main(only: tuple[str, ...], kinds: tuple[str, ...], count: int, out: Path) -> None:
    """What clients see while a provider fails; adds its results to those in the file."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})
    peers.raise_priority(0)
    # Silence leaves thousands of requests open, with both of their ends in this process.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for subject in SUBJECTS:
        if only and subject.name not in only:
            continue
        for kind in [Fault(name) for name in kinds] or KINDS:
            seen = uvloop.run(trial(subject, kind, Spans()))
            _keep(results, out, subject, kind.value, asdict(seen))
        if count:
            found = uvloop.run(spells(subject, seconds=SPELL_SECONDS, count=count))
            _keep(results, out, subject, "30 s ok, 30 s 500", found)


def _keep(
    results: dict[str, dict[str, object]],
    out: Path,
    subject: Subject,
    what: str,
    found: Mapping[str, float | None],
) -> None:
    own = results.setdefault(subject.name, {"per_second": subject.per_second})
    # A busy machine shows: the last minute's load of it stands beside the figures.
    own[what] = {**found, "load": round(os.getloadavg()[0], 1)}
    results["versions"] = {"python": platform.python_version(), **peers.installed()}
    out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    told = " ".join(f"{name}={value}" for name, value in found.items() if value is not None)
    click.echo(f"{subject.name}, {what}: {told}")


if __name__ == "__main__":
    main()
