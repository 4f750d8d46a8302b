"""`evenkeel ask`: the questions of an operator on call, each answered by one read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli_options import config_option, json_option, url_option

if TYPE_CHECKING:
    from gateway.cli_asked import Asked
    from gateway.cli_client import Item, Params

NAMES: Final = (
    "flapping",
    "scope",
    "triggers",
    "onset",
    "users",
    "cost",
    "cooldowns",
    "amplification",
    "capacity",
    "acts",
)
TIMES: Final = frozenset({"ts", "until"})


@click.command()
@click.argument("question", required=False, type=click.Choice(NAMES))
@click.option("--since", default="1h", show_default=True, help="An age (2h, 7d) or an ISO time.")
@click.option("--until", help="Only before then: an age or an ISO time.")
@click.option("--route", default="", help="Of one route.")
@config_option
@url_option
@json_option
def ask(
    question: str | None,
    since: str,
    until: str | None,
    route: str,
    config_path: Path | None,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Answer what an operator on call asks first.

    One QUESTION, or without one all of them: the whole story of a window.
    """
    from gateway.cli_asked import asked, run
    from gateway.cli_output import print_json
    from gateway.cli_times import moment
    from gateway.clock import SystemClock

    meant, now = asked(config_path, url), SystemClock().now().timestamp
    params: dict[str, str | int] = {"route": route} if route else {}
    for name, text in (("since", since), ("until", until)):
        try:
            params |= {} if text is None else {name: moment(text, now=now)}
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name}") from error
    names = NAMES if question is None else (question,)
    found = run(lambda: _answers(meant, names, params))
    if as_json:
        print_json(found if question is None else found[0])
        return
    for answer in found:
        _print(answer)
    if any(answer["gaps"] for answer in found):
        from gateway.cli_asked import note

        note("events were lost in that time: see `evenkeel events --kind data_gap`")


async def _answers(meant: Asked, names: Sequence[str], params: Params) -> list[Item]:
    from gateway.cli_history import answer

    return [await answer(meant, name, params, quiet=place > 0) for place, name in enumerate(names)]


def _print(answer: Mapping[str, Any]) -> None:
    from gateway.cli_output import print_table

    click.echo(f"{answer['asks']}")
    items = [{**item, **_before(item)} for item in answer["items"]]
    columns = list(dict.fromkeys(name for item in items for name in item))
    rows = [[_cell(name, item.get(name)) for name in columns] for item in items]
    print_table("", [name.removesuffix("_seconds") for name in columns], rows, empty="nothing")
    click.echo("")


def _before(item: Mapping[str, Any]) -> dict[str, str]:
    """What stood before the first switch, in a few words."""
    found = item.get("before")
    if found is None:
        return {}
    words = (f"{each['kind']} {each.get('target') or ''}".strip() for each in found)
    return {"before": ", ".join(words)}


def _cell(name: str, value: Any) -> object:  # noqa: ANN401
    from gateway.cli_output import clock_time, length

    if value is None:
        return ""
    if name in TIMES:
        return clock_time(value)
    if name.endswith("_share"):
        return f"{value:.1%}"
    return length(value) if name.endswith("_seconds") or name == "seconds_left" else value
