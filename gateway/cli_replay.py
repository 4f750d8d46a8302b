"""`evenkeel replay`: the recorded requests and their weather under another configuration.

Under the present one they are replayed as well: how well that reproduces what really happened is
what the answer is worth.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli_options import json_option, url_option

if TYPE_CHECKING:
    from gateway.cli_asked import Asked
    from gateway.cli_client import Item
    from gateway.config_file import Loaded
    from gateway.replay.recorded import Recorded
    from gateway.replay.stage import Replayed
    from gateway.replay.weather import Unseen
    from gateway.units import Timestamp

PARALLEL_REQUESTS: Final = 2000
"""From so many on a process of its own is worth its start for the second configuration."""
EVENT_KINDS: Final = (
    "cooldown_started,cooldown_extended,cooldown_ended,operator_acted,flapping_started,"
    "process_started"
)
LAST_ROWS: Final = 1000
"""Of each kind, for what stood when the window began."""


@click.command()
@click.option("--since", default="24h", show_default=True, help="An age (24h, 7d) or an ISO time.")
@click.option("--until", help="Only before then: an age or an ISO time.")
@click.option(
    "--config",
    "other",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration to try; without it only the present one is replayed.",
)
@click.option(
    "--present",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration that ran; else EVENKEEL_CONFIG, else ./evenkeel.yaml.",
)
@url_option
@click.option(
    "--unseen",
    type=click.Choice(("good", "bad")),
    default="good",
    show_default=True,
    help="What is assumed of a target that nobody asked.",
)
@json_option
def replay(
    since: str,
    until: str | None,
    other: Path | None,
    present: Path | None,
    url: str | None,
    *,
    unseen: str,
    as_json: bool,
) -> None:
    """Ask what another configuration would have done.

    The recorded requests meet the recorded weather again, in virtual time, in the real core.
    """
    from gateway import cli_replay_output as output
    from gateway.cli_asked import FAILED, INTERRUPTED, asked, stop
    from gateway.cli_output import print_json
    from gateway.replay.weather import Unseen

    meant = asked(present, url)
    mine, theirs = _loaded(present), _loaded(other) if other is not None else None
    first, last = _window(since, until)
    recorded = _recorded(meant, first, last)
    if not recorded.requests:
        stop("no request is recorded in that time", FAILED)
    try:
        runs = _play(recorded, mine, theirs, Unseen(unseen))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    names = ("present", "other")[: len(runs)]
    played = dict(zip(names, runs, strict=True))
    report = output.report(recorded, played, present=mine.version, unseen=unseen)
    if as_json:
        print_json(output.as_json(report))
    else:
        output.print_report(report)


def _loaded(path: Path | None) -> Loaded:
    """A configuration to replay. Ends the program where it cannot be read."""
    from gateway import config_file
    from gateway.app import demo_config
    from gateway.cli_asked import WRONG, stop

    environ, cwd = os.environ, Path.cwd()
    try:
        found = config_file.find(path, environ=environ, cwd=cwd)
        if found is None and not config_file.has_providers(environ):
            return demo_config()
        return config_file.load(found, environ=environ, cwd=cwd)
    except config_file.ConfigError as error:
        stop(str(error), WRONG)


def _window(since: str, until: str | None) -> tuple[Timestamp, Timestamp]:
    from gateway.cli_times import moment
    from gateway.clock import SystemClock

    now = SystemClock().now().timestamp
    found = []
    for name, text in (("since", since), ("until", until)):
        try:
            found.append(now if text is None else moment(text, now=now))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name}") from error
    return found[0], found[1]


def _recorded(meant: Asked, since: Timestamp, until: Timestamp) -> Recorded:
    from gateway.cli_asked import run
    from gateway.cli_export_rows import rows
    from gateway.cli_progress import Progress
    from gateway.replay.recorded import read

    window: dict[str, str | int] = {"since": since, "until": until}

    async def load() -> Recorded:
        with Progress("reading the history") as progress:
            switches = await rows(meant, "switches", window)
            events = await rows(meant, "events", {**window, "kind": EVENT_KINDS}, quiet=True)
            progress(0.1)
            requests = await rows(meant, "requests", window, quiet=True)
            progress(0.4)
            attempts = await rows(
                meant, "attempts", {**window, "kind": "attempt_finished"}, quiet=True
            )
            progress(0.9)
            before = await _before(meant, since)
        return read(
            since=since,
            until=until,
            requests=requests,
            attempts=attempts,
            switches=switches,
            events=events,
            before=before,
        )

    return run(load)


async def _before(meant: Asked, since: Timestamp) -> dict[str, list[Item]]:
    """What stood when the window began, as a process that starts then would read it."""
    from gateway.cli_history import latest
    from gateway.replay.before import standing

    async def last(table: str, **filters: str) -> list[Item]:
        chosen: dict[str, str | int] = {**filters, "until": since}
        return (await latest(meant, table, chosen, limit=LAST_ROWS, quiet=True))[::-1]

    return standing(
        since,
        cooldowns=await last("cooldowns"),
        switches=await last("switches"),
        flapping=await last("events", kind="flapping_started,flapping_ended"),
        acts=await last("events", kind="operator_acted"),
    )


def _play(
    recorded: Recorded, mine: Loaded, theirs: Loaded | None, unseen: Unseen
) -> list[Replayed]:
    """Under the present configuration, and then under the other one if there is one."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from gateway.cli_progress import Progress
    from gateway.config_spoken import serves
    from gateway.replay.stage import replay as played

    with Progress("replaying") as progress:
        if theirs is None:
            return [played(recorded, mine.config, speaks=serves, unseen=unseen, progress=progress)]
        if len(recorded.requests) < PARALLEL_REQUESTS:
            configs = (mine.config, theirs.config)
            return [played(recorded, each, speaks=serves, unseen=unseen) for each in configs]
        # Spawned, not forked: a fork would take the progress bar's thread's locks along.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            other = pool.submit(played, recorded, theirs.config, speaks=serves, unseen=unseen)
            own = played(recorded, mine.config, speaks=serves, unseen=unseen, progress=progress)
            return [own, other.result()]
