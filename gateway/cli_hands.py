"""The operator's commands: explain a decision, and change the state of a running gateway.

Each act is an event in the history, with the name of whoever ran the command and the note given.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from gateway.cli_options import config_option, json_option, url_option

Command = TypeVar("Command", bound=Callable[..., Any])
Body = Mapping[str, str | float | None]

note_option = click.option("--note", default="", help="Why; it stands in the history.")
for_option = click.option(
    "--for",
    "duration",
    metavar="DURATION",
    help="How long, such as 30m, 2h, 90s; else until it is undone.",
)


def acts(command: Command) -> Command:
    """The options of every act."""
    for option in (json_option, note_option, url_option, config_option):
        command = option(command)
    return command


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--session", default="", help="As a request of this session would be decided.")
@click.option("--client", default="", help="Of this client, by the name of its key.")
@click.option(
    "--dialect",
    type=click.Choice(["openai", "anthropic"]),
    default="openai",
    show_default=True,
    help="What the client speaks.",
)
@click.option(
    "--tokens",
    type=click.IntRange(0),
    default=0,
    help="Size of its prompt; else as large as the session's last one.",
)
@config_option
@url_option
@json_option
def explain(
    model: str,
    session: str,
    client: str,
    dialect: str,
    tokens: int,
    config_path: Path | None,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Show which candidate a request for MODEL would get now.

    Every candidate with its state and its reason. Sends nothing.
    """
    from gateway.cli_asked import asked, run
    from gateway.cli_client import ask
    from gateway.cli_output import print_json, print_table, printable

    gateway = asked(config_path, url).gateway
    params: dict[str, str | int] = {
        "model": model,
        "session": session,
        "client": client,
        "dialect": dialect,
        "body_tokens": tokens,
    }
    found = run(lambda: ask(gateway, "/api/v1/explain", params))
    if as_json:
        print_json(found)
        return
    click.echo(printable(_decided(model, found)))
    head = ("target", "credential", "state", "reason", "ready in")
    print_table("", head, [_considered(each) for each in found["candidates"]])


@click.command()
@click.option("--target", default="", help="Only of this target, written provider/model.")
@click.option("--provider", default="", help="Only of this provider.")
@click.option("--credential", default="", help="Only of this credential, by its name.")
@acts
def reset(target: str, provider: str, credential: str, **common: Any) -> None:  # noqa: ANN401
    """End cooldowns now, of one place or of all.

    Routes that had left the place go back to it.
    """
    body = {"target": target, "provider": provider, "credential": credential}
    _act("/api/v1/cooldowns/reset", body, common)


@click.command()
@click.argument("target", metavar="TARGET")
@for_option
@acts
def rest(target: str, duration: str | None, **common: Any) -> None:  # noqa: ANN401
    """Let TARGET rest from now on, for an hour if not said otherwise."""
    _on_target(target, "rest", duration, common)


@click.command()
@click.argument("target", metavar="TARGET")
@for_option
@acts
def drain(target: str, duration: str | None, **common: Any) -> None:  # noqa: ANN401
    """Give TARGET no new requests; those under way end as they would."""
    _on_target(target, "drain", duration, common)


@click.command()
@click.argument("target", metavar="TARGET")
@acts
def enable(target: str, **common: Any) -> None:  # noqa: ANN401
    """Undo `rest` and `drain` of TARGET."""
    _on_target(target, "enable", None, common)


@click.command()
@click.argument("route", metavar="ROUTE")
@click.argument("target", metavar="TARGET")
@for_option
@acts
def pin(route: str, target: str, duration: str | None, **common: Any) -> None:  # noqa: ANN401
    """Serve ROUTE by TARGET as long as that can be."""
    body = {"target": target, "expires_seconds": _seconds(duration)}
    _act(f"/api/v1/routes/{quote(route, safe='')}/pin", body, common)


@click.command()
@click.argument("route", metavar="ROUTE")
@acts
def unpin(route: str, **common: Any) -> None:  # noqa: ANN401
    """Let ROUTE choose for itself again."""
    _act(f"/api/v1/routes/{quote(route, safe='')}/unpin", {}, common)


@click.command("clear-penalty")
@click.argument("route", metavar="ROUTE")
@acts
def clear_penalty(route: str, **common: Any) -> None:  # noqa: ANN401
    """Forget how restless the targets of ROUTE have been."""
    _act(f"/api/v1/routes/{quote(route, safe='')}/clear-penalty", {}, common)


@click.command()
@acts
def reload(**common: Any) -> None:  # noqa: ANN401
    """Have the gateway read its configuration again."""
    _act("/api/v1/reload", {}, common)


COMMANDS = (explain, reset, rest, drain, enable, pin, unpin, clear_penalty, reload)


def _on_target(target: str, act: str, duration: str | None, common: Mapping[str, Any]) -> None:
    from gateway.cli_asked import WRONG, stop

    provider, slash, model = target.partition("/")
    if not (provider and slash and model):
        stop(f"TARGET is written provider/model, not {target!r}", WRONG)
    path = f"/api/v1/targets/{quote(provider, safe='')}/{quote(model, safe='/')}/{act}"
    _act(path, {"expires_seconds": _seconds(duration)}, common)


def _act(path: str, body: Body, common: Mapping[str, Any]) -> None:
    """Sends it, and prints what came of it as the history tells it."""
    from gateway.cli_asked import asked, run
    from gateway.cli_client import tell
    from gateway.cli_output import print_json
    from gateway.cli_sentences import sentence

    gateway = asked(common["config_path"], common["url"]).gateway
    sent = {name: value for name, value in body.items() if value not in ("", None)}
    sent["note"] = common["note"]
    found = run(lambda: tell(gateway, path, sent, actor=_actor()))
    if common["as_json"]:
        print_json(found)
    elif "changes" in found:
        changes = ", ".join(found["changes"]) or "nothing changed"
        click.echo(f"configuration {found['config_version']}: {changes}")
    else:
        for event in found["events"]:
            click.echo(sentence(event))


def _seconds(duration: str | None) -> float | None:
    from gateway.cli_times import seconds

    if duration is None:
        return None
    try:
        return seconds(duration)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _decided(model: str, found: Mapping[str, Any]) -> str:
    from gateway.cli_output import length

    choice, wait = found["choice"], found["wait_seconds"]
    then = "be refused"
    if choice:
        test = ", as a probe" if choice["probe"] else ""
        then = f"go to {choice['target']} with {choice['credential']}{test}"
    if wait is not None:
        then = f"wait up to {length(wait)} for something better, then {then}"
    return f"{model} would {then}. The route stands on {found['active']}."


def _considered(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    from gateway.cli_output import length

    ready_in = candidate["ready_in_seconds"]
    return (
        candidate["target"],
        candidate["credential"],
        candidate["state"],
        candidate["reason"],
        length(ready_in) if ready_in else "",
    )
