"""`python -m tests.benchmarks`: figures of this machine, within about a minute. Linux only.

Compare ratios, never figures of two runs: whatever else runs on the machine changes all of them.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.benchmarks import (
    bench_core,
    bench_requests,
    bench_sinks,
    bench_start,
    bench_streams,
    bench_translate,
)
from tests.benchmarks.subjects import direct, everyone, pin_load

PARTS = ("core", "translate", "sinks", "start", "requests", "streams", "latency")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[PART]…")
@click.option(
    "--other",
    "others",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure the gateway of this checkout as well, in turn with ours.",
)
def main(parts: tuple[str, ...], others: tuple[Path, ...]) -> None:
    """Measure the gateway beside the smallest gateway that aiohttp allows.

    Without PART all of: core, translate, sinks, start, requests, streams, latency.
    """
    wanted = parts or PARTS
    pin_load()
    if "core" in wanted:
        bench_core.core()
        bench_core.emit()
    if "translate" in wanted:
        bench_translate.translate()
    if "sinks" in wanted:
        with TemporaryDirectory() as folder, direct(Path(folder)) as collector:
            bench_sinks.sinks(Path(folder), f"http://127.0.0.1:{collector.port}")
    if set(wanted) <= {"core", "translate", "sinks"}:
        return
    with (
        TemporaryDirectory(prefix="evenkeel-benchmark-") as folder,
        everyone(Path(folder), others=others) as subjects,
    ):
        if "start" in wanted:
            bench_start.start(subjects)
        if "requests" in wanted:
            bench_requests.throughput(subjects)
        if "streams" in wanted:
            bench_streams.paced(subjects)
            bench_streams.burst(subjects)
        if "latency" in wanted:
            bench_requests.added_latency(subjects)
        if "requests" in wanted or "streams" in wanted:
            bench_start.after_load(subjects)


if __name__ == "__main__":
    main()
