"""The commands of `evenkeel`: options in, one call, words and exit status out.

Exit status: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong.
What only one command needs is imported inside it, so that `evenkeel --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from dashboards.command import dashboards
from gateway import cli_ask, cli_dry_run, cli_export, cli_hands, cli_migrate, cli_replay
from gateway.cli_options import config_option, host_option, json_option, port_option, url_option

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.config_file import Loaded
    from gateway.units import Timestamp

EVENTS_DEFAULT: Final = 50
EVENTS_MAX: Final = 1000
"""The most that one page of the history holds."""

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="evenkeel")
def cli() -> None:
    """Evenkeel, an observable LLM gateway that does not flap."""


@cli.command()
@config_option
@host_option
@port_option
def serve(config_path: Path | None, host: str | None, port: int | None) -> None:
    """Run the gateway.

    With no configuration file and no provider key in the environment: the demo.
    """
    from gateway import config_file

    path = _found(config_path)
    if path is None and not config_file.has_providers(os.environ):
        _serve(None, demo=True, host=host, port=port)
    _serve(_loaded(path), demo=False, host=host, port=port)


@cli.command()
@config_option
@host_option
@port_option
def demo(config_path: Path | None, host: str | None, port: int | None) -> None:
    """Run the demo.

    Simulated providers in bad weather, with traffic of its own; needs no key.
    """
    loaded = None
    if config_path is not None:
        loaded = _loaded(_found(config_path))
        _only_simulated(loaded.config)
    _serve(loaded, demo=True, host=host, port=port)


def _serve(loaded: Loaded | None, *, demo: bool, host: str | None, port: int | None) -> NoReturn:
    """Runs the gateway and ends the program with its status; None is the demo's configuration."""
    # Takes half a second to import: a broken configuration has been told before.
    from gateway import app, app_process
    from gateway.cli_asked import WRONG, stop
    from gateway.config_file import public_bind

    meant = app.demo_config() if loaded is None else loaded
    if host is not None and (problem := public_bind(host, meant.config.auth)):
        stop(f"--host: {problem.text}", WRONG)
    sys.exit(app_process.serve(meant, demo=demo, host=host, port=port))


def _only_simulated(config: Config) -> None:
    """The demo makes traffic; on a real provider that would cost money."""
    from gateway.cli_asked import WRONG, stop
    from gateway.config import Dialect

    real = [name for name, each in config.providers.items() if each.dialect != Dialect.SIMULATED]
    if real:
        stop(f"the demo sends traffic to simulated providers only, not to {real[0]!r}", WRONG)


@cli.command()
@config_option
@click.option("--show-effective", is_flag=True, help="Print every setting and its source.")
@json_option
def check(config_path: Path | None, *, show_effective: bool, as_json: bool) -> None:
    """Check the configuration and name every problem.

    Exit status 2 if there is one.
    """
    from gateway import config_file
    from gateway.cli_asked import WRONG, note, stop
    from gateway.cli_output import print_json, print_table

    environ, cwd = os.environ, Path.cwd()
    try:
        path = config_file.find(config_path, environ=environ, cwd=cwd)
        loaded = config_file.load(path, environ=environ, cwd=cwd)
    except config_file.ConfigError as error:
        if as_json:
            print_json({"ok": False, "problems": list(error.problems)})
        stop(str(error), WRONG)
    for warning in loaded.warnings:
        note(f"warning: {warning}")
    rows = config_file.effective(loaded) if show_effective else None
    if as_json:
        print_json(_checked(loaded, rows))
    elif rows is not None:
        print_table("", ("setting", "value", "source"), rows)
    else:
        for line in _summary(loaded):
            click.echo(line)


def _checked(loaded: Loaded, rows: list[tuple[str, str, str]] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ok": True,
        "config_path": str(loaded.path) if loaded.path else None,
        "config_version": loaded.version,
        "warnings": list(loaded.warnings),
    }
    if rows is not None:
        names = ("path", "value", "source")
        found["effective"] = [dict(zip(names, row, strict=True)) for row in rows]
    return found


def _summary(loaded: Loaded) -> list[str]:
    config = loaded.config
    lines = [f"ok: {loaded.path or 'from the environment'}, version {loaded.version}"]
    for name, provider in config.providers.items():
        keys = len(provider.credentials)
        lines.append(f"provider {name}: {provider.dialect}, {keys} credential{'s'[: keys != 1]}")
    return lines + [
        f"route {route.name}: {' → '.join(each.target for each in route.targets)}"
        for route in config.routes
    ]


@cli.command()
@config_option
@url_option
@json_option
def status(config_path: Path | None, url: str | None, *, as_json: bool) -> None:
    """Show who serves each route, and what rests.

    Also each credential with its state, and every running cooldown with its end.
    """
    from gateway.cli_asked import FAILED, asked, run, stop
    from gateway.cli_client import ask
    from gateway.cli_output import print_json
    from gateway.cli_status import print_status

    gateway = asked(config_path, url).gateway
    found = run(lambda: ask(gateway, "/api/v1/status"))
    if as_json:
        print_json(found)
        return
    try:
        print_status(found, url=gateway.url)
    except (KeyError, TypeError):
        stop(f"{gateway.url} tells its status in a form that is not known here", FAILED)


FILTERS: Final = {
    "since": "From then on: an age (24h, 30m, 90s, 7d) or an ISO time.",
    "until": "Only before then: an age or an ISO time.",
    "kind": "Of these kinds, separated by commas, such as switched,cooldown_started.",
    "route": "Of one route.",
    "provider": "Of one provider.",
    "target": "Of one target, written provider/model.",
    "credential": "Of one credential, by its name.",
    "session": "Of one session.",
    "request_id": "Of one request, by its id.",
    "outcome": "With these outcomes, such as failed,exhausted.",
    "failure": "With these failures, such as overloaded,rate_limited.",
}
"""The history's filters and what is said of each; the option is the name's first word."""


def filter_options(command: Command) -> Command:
    for name, about in reversed(FILTERS.items()):
        flag = name.partition("_")[0]
        command = click.option(f"--{flag}", name, metavar=flag.upper(), help=about)(command)
    return command


@cli.command()
@config_option
@url_option
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on.")
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(1, EVENTS_MAX),
    default=EVENTS_DEFAULT,
    show_default=True,
    help="The newest so many.",
)
@json_option
def events(
    config_path: Path | None,
    url: str | None,
    *,
    follow: bool,
    limit: int,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Show what happened, oldest first.

    With --json one object per line.
    """
    from gateway import cli_history
    from gateway.cli_asked import asked, run
    from gateway.cli_output import print_json_line
    from gateway.clock import SystemClock

    clock = SystemClock()
    chosen = _chosen(filters, now=clock.now().timestamp)
    show = print_json_line if as_json else cli_history.print_event
    meant = asked(config_path, url)
    if follow:
        run(lambda: cli_history.follow(meant, chosen, limit=limit, clock=clock, show=show))
        return
    for item in run(lambda: cli_history.newest(meant, chosen, limit=limit)):
        show(item)


def _chosen(filters: dict[str, str | None], *, now: Timestamp) -> dict[str, str | int]:
    """The filters that were given, as the history takes them."""
    from gateway.cli_times import moment

    chosen: dict[str, str | int] = {name: value for name, value in filters.items() if value}
    for name in ("since", "until"):
        if name not in chosen:
            continue
        try:
            chosen[name] = moment(str(chosen[name]), now=now)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name}") from error
    return chosen


@cli.command()
@click.argument("request_id", metavar="ID")
@config_option
@url_option
@json_option
def requests(request_id: str, config_path: Path | None, url: str | None, *, as_json: bool) -> None:
    """Show how one request was served, as a timeline.

    Each candidate in order: tried or skipped, why, how long it took, and what followed from it.
    """
    from gateway import cli_history
    from gateway.cli_asked import FAILED, asked, run, stop
    from gateway.cli_output import print_json
    from gateway.cli_story import print_story

    meant = asked(config_path, url)
    found = run(lambda: cli_history.story(meant, request_id))
    if found is None:
        stop(f"no request {request_id!r} is known", FAILED)
    if as_json:
        print_json(found)
    else:
        print_story(found, run(lambda: cli_history.happened(meant, request_id)))


def _found(config_path: Path | None) -> Path | None:
    """The configuration file; ends the program where one was named that is not there."""
    from gateway import config_file
    from gateway.cli_asked import WRONG, stop

    try:
        return config_file.find(config_path, environ=os.environ, cwd=Path.cwd())
    except config_file.ConfigError as error:
        stop(str(error), WRONG)


def _loaded(path: Path | None) -> Loaded:
    """The configuration, its warnings printed; ends the program with all its problems."""
    from gateway import config_file
    from gateway.cli_asked import WRONG, note, stop

    try:
        loaded = config_file.load(path, environ=os.environ, cwd=Path.cwd())
    except config_file.ConfigError as error:
        stop(str(error), WRONG)
    for warning in loaded.warnings:
        note(f"warning: {warning}")
    return loaded


for command in (
    *cli_hands.COMMANDS,
    cli_ask.ask,
    cli_dry_run.dry_run,
    cli_export.export,
    cli_migrate.migrate,
    cli_replay.replay,
    dashboards,
):
    cli.add_command(command)
