"""`python -m tests.benchmarks`: one interleaved run of everything, as JSON and as tables. Linux only.

Compare ratios, never figures of two runs: whatever else runs on the machine changes all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.benchmarks import (
    bar,
    bench_core,
    bench_sinks,
    bench_translate,
    parts,
    results,
    rivals,
    tables,
)
from tests.benchmarks.native import Driver, NativeDriver, PythonDriver, works
from tests.benchmarks.processes import cores, raise_priority
from tests.benchmarks.run import rigged, run, take_faults
from tests.benchmarks.scales import FULL, SCALES
from tests.benchmarks.scenarios import SCENARIOS, Scenario
from tests.benchmarks.subjects import PROGRAMS, Kind, direct, kinds, pin_load

ALONE = ("core", "sinks", "translate")
"""Parts without a gateway's process; asked for alone they only print."""
SHORT = {
    "requests": ("single-1k", "single-100k"),
    "streams": ("paced", "burst"),
    "latency": ("rate-100", "rate-500"),
}


def _names() -> list[str]:
    return list(dict.fromkeys([*ALONE, *SHORT, *(s.name for s in SCENARIOS), *parts.PARTS]))


@click.command()
@click.argument("wanted", nargs=-1, type=click.Choice(_names()), metavar="[PART]…")
@click.option("--scale", type=click.Choice([*SCALES]), default="full", help="How long it takes.")
@click.option("--quick", is_flag=True, help="The same as --scale quick: some minutes.")
@click.option("--peers", is_flag=True, help="With other gateways; first `make bench-peers`.")
@click.option("--subject", "only", multiple=True, help="Only these, by name; may be repeated.")
@click.option(
    "--other",
    "others",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure the gateway of this checkout as well, in turn with ours.",
)
@click.option("--python", is_flag=True, help="Provider and load in Python, compiler or not.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The JSON file.")
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
def main(
    wanted: tuple[str, ...],
    scale: str,
    quick: bool,
    peers: bool,
    only: tuple[str, ...],
    others: tuple[Path, ...],
    python: bool,
    out: Path | None,
    write: bool,
) -> None:
    """Measure the gateway beside nginx and the smallest gateway that aiohttp allows.

    Without PART everything. Parts: scenarios (start, single-1k, rate-100, paced, burst, failover,
    held-1000, …), short names for some (requests, streams, latency), translate, scrape; and core
    and sinks, which are printed only.
    """
    pin_load()
    raise_priority()
    _alone(wanted)
    if wanted and set(wanted) <= set(ALONE):
        return
    scale = "quick" if quick else scale
    file = out or PROGRAMS / "latest.json"
    found = _measured(wanted, scale, _kinds(others, peers=peers, only=only), file, python=python)
    text = tables.render(found)
    click.echo(text)
    click.echo(f"all figures: {file}")
    if write:
        tables.write(text)


def _measured(
    wanted: Sequence[str], scale: str, whom: Sequence[Kind], file: Path, *, python: bool
) -> results.Results:
    """The run; `file` has its results as far as they are there."""
    native = not python and works(PROGRAMS)
    language = "C" if native else "Python"
    if not native:
        click.echo("provider and load are in Python: they limit whatever is fast", err=True)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    found = results.Results(
        about=results.about(
            when=when,
            scale=scale,
            languages={"provider": language, "load": language},
            apart=cores().apart,
        )
    )
    file.parent.mkdir(parents=True, exist_ok=True)

    def save(so_far: results.Results) -> None:
        so_far.bar = bar.as_json(so_far)
        file.write_text(results.to_json(so_far), encoding="utf-8")

    load: Driver = NativeDriver(PROGRAMS) if native else PythonDriver()
    with rigged(load, SCALES[scale], native=native) as (rig, bare):
        run(
            rig,
            bare,
            found,
            kinds=whom,
            scenarios=_scenarios(wanted),
            part_names=[name for name in parts.PARTS if not wanted or name in wanted],
            save=save,
        )
    if not wanted and scale == FULL.name:
        take_faults(found)
    save(found)
    return found


def _alone(wanted: Sequence[str]) -> None:
    if "core" in wanted:
        bench_core.core()
        bench_core.emit()
    if "translate" in wanted and set(wanted) <= set(ALONE):
        bench_translate.translate()
    if "sinks" in wanted:
        with TemporaryDirectory() as folder, direct(Path(folder)) as collector:
            bench_sinks.sinks(Path(folder), f"http://127.0.0.1:{collector.port}")


def _scenarios(wanted: Sequence[str]) -> list[Scenario]:
    names = {name for each in wanted for name in SHORT.get(each, (each,))}
    return [each for each in SCENARIOS if not wanted or each.name in names]


def _kinds(others: Sequence[Path], *, peers: bool, only: Sequence[str]) -> list[Kind]:
    found = kinds(others=others) + (rivals.kinds() if peers else [])
    return [each for each in found if not only or each.name in only]


if __name__ == "__main__":
    main()
