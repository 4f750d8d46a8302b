"""`evenkeel dry-run`: plays scenarios in virtual time, prints what was decided and what came of it.

Exit status 1 if something that a scenario expects does not hold; 2 if a scenario cannot be read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli_options import json_option

if TYPE_CHECKING:
    from gateway.dry_run.scenario import Script

HOUR_SECONDS = 3600.0


@click.command("dry-run")
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="Name the scenarios that are shipped.")
@click.option("--compare", is_flag=True, help="Play other strategies beside this one.")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Play on the routes of this configuration, its providers simulated.",
)
@click.option("--route", default="", help="Of that configuration; else its first one.")
@click.option("--seed", type=int, help="Instead of the scenario's own.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=24 * 31),
    help="How long, instead of what the scenario says.",
)
@click.option("--full", is_flag=True, help="Leave nothing out of the timeline.")
@json_option
def dry_run(
    names: tuple[str, ...],
    config_path: Path | None,
    *,
    listed: bool,
    compare: bool,
    route: str,
    seed: int | None,
    hours: float | None,
    full: bool,
    as_json: bool,
) -> None:
    """Play bad weather in virtual time, and see what would be decided.

    A SCENARIO is one that is shipped (see --list) or a file of your own; without any, all that are
    shipped are played. The core and the relay are the real ones, the providers are simulated.
    """
    from gateway.config_file import ConfigError
    from gateway.dry_run.strategies import GOLDEN

    if listed:
        _list(as_json=as_json)
        return
    try:
        chosen = _scripts(names or (GOLDEN if compare else ()), config_path, route)
    except ConfigError as error:
        from gateway.cli_asked import WRONG, stop

        stop(str(error), WRONG)
    scripts = [_changed(each, seed=seed, hours=hours) for each in chosen]
    try:
        if compare:
            _compare(scripts, hours=hours, as_json=as_json)
        else:
            _play(scripts, full=full, as_json=as_json)
    except KeyboardInterrupt:
        from gateway.cli_asked import INTERRUPTED

        sys.exit(INTERRUPTED)


def _scripts(names: Sequence[str], config_path: Path | None, route: str) -> list[Script]:
    """Raises `ConfigError`."""
    from gateway import config_file
    from gateway.dry_run import reading, standing_in

    cwd = Path.cwd()
    scripts = [reading.load(name, cwd=cwd) for name in names or reading.shipped()]
    if config_path is None:
        return scripts
    path = config_file.find(config_path, environ=os.environ, cwd=cwd)
    config = config_file.load(path, environ=os.environ, cwd=cwd).config
    return [standing_in.over(script, config, route=route) for script in scripts]


def _changed(script: Script, *, seed: int | None, hours: float | None) -> Script:
    scenario = script.scenario
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    if hours is not None:
        scenario = replace(scenario, duration_seconds=hours * HOUR_SECONDS)
    return replace(script, scenario=scenario)


def _list(*, as_json: bool) -> None:
    from gateway.cli_output import print_json, print_table
    from gateway.dry_run import reading

    scenarios = [reading.load(name, cwd=Path.cwd()).scenario for name in reading.shipped()]
    if as_json:
        print_json([{"name": each.name, "description": each.description} for each in scenarios])
        return
    rows = [(each.name, each.description) for each in scenarios]
    print_table("", ("scenario", "what happens"), rows)


def _play(scripts: Sequence[Script], *, full: bool, as_json: bool) -> None:
    from gateway import cli_dry_run_output as output
    from gateway.cli_asked import FAILED
    from gateway.cli_output import print_json
    from gateway.cli_progress import Progress
    from gateway.dry_run.many import Job, play_all

    with Progress("playing") as progress:
        played = play_all([Job(each) for each in scripts], progress=progress)
    if as_json:
        print_json(output.as_json(played))
    elif len(played) == 1:
        output.print_one(scripts[0], played[0], full=full)
    else:
        output.print_overview(played)
    if any(each.faults for each in played):
        sys.exit(FAILED)


def _compare(scripts: Sequence[Script], *, hours: float | None, as_json: bool) -> None:
    from gateway import cli_dry_run_output as output
    from gateway.cli_output import print_json
    from gateway.cli_progress import Progress
    from gateway.dry_run.many import Job, play_all
    from gateway.dry_run.strategies import GOLDEN_SECONDS, STRATEGIES, under

    seconds = GOLDEN_SECONDS if hours is None else hours * HOUR_SECONDS
    jobs = [
        Job(under(script, strategy, seconds=seconds), timeline=False)
        for script in scripts
        for strategy in STRATEGIES
    ]
    with Progress("comparing") as progress:
        played = play_all(jobs, progress=progress)
    width = len(STRATEGIES)
    rows = {
        script.scenario.name: dict(
            zip(STRATEGIES, played[n * width : (n + 1) * width], strict=True)
        )
        for n, script in enumerate(scripts)
    }
    if as_json:
        print_json(output.compared_as_json(rows, seconds))
    else:
        output.print_compared(rows, seconds)
