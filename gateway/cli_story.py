"""`evenkeel requests ID`: what is known of a request as a whole, and under it its timeline.

On a terminal rich breaks what is too long under its own beginning; into a file or a pipe each thing
that happened stays one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from gateway.cli_output import STYLES, clock_time, length, plain, printable
from gateway.cli_sentences import Item, place
from gateway.cli_timeline import began, timeline
from gateway.units import MICROS

NOT_OVER: Final = "the request is not over, or was not when the gateway stopped"
SPENT: Final = {
    "input_tokens": "tokens in",
    "cached_tokens": "of them cached",
    "output_tokens": "out",
}


def print_story(story: Item, happened: Iterable[Item]) -> None:
    """`story` is the answer of `/api/v1/requests/{id}`, `happened` are the request's events."""
    request, candidates = story["request"], story["candidates"]
    if request is None:
        click.echo(NOT_OVER)
    else:
        _print([((name, value), "") for name, value in summary(request)])
    click.echo("")
    start = began(request, candidates)
    lines = timeline(request, candidates, happened)
    offsets = [offset(line.at - start) for line in lines]
    width = max(map(len, offsets), default=0)
    _print(
        [
            ((each.rjust(width), str(line.n) if line.outcome else "", line.words), line.outcome)
            for each, line in zip(offsets, lines, strict=True)
        ]
    )


def summary(request: Item) -> list[tuple[str, str]]:
    """What there is to say of the request as a whole, each with its name."""
    client = request.get("client")
    rows = (
        ("request", f"{request.get('request_id') or '?'}{f' of {client}' if client else ''}"),
        ("asked for", _asked(request)),
        ("session", request.get("session") or ""),
        ("began", clock_time(request["started"])),
        ("outcome", _outcome(request)),
        ("served by", _served(request)),
        ("waited", _waited(request)),
        ("cost", _cost(request)),
    )
    return [(name, value) for name, value in rows if value]


def offset(micros: int) -> str:
    return f"{micros / MICROS:+.3f} s"


def _asked(request: Item) -> str:
    route, model = request.get("route"), request.get("requested_model") or "?"
    size, again = request.get("body_tokens"), request.get("client_retries")
    words = (
        f"{model} at {request.get('endpoint') or '?'}",
        f"route {route}" if route and route != model else "",
        "streamed" if request.get("stream") else "",
        f"about {size} tokens" if size else "",
        f"after {again} tries of the client's" if again else "",
    )
    return _joined(words)


def _outcome(request: Item) -> str:
    content = request.get("first_content_seconds")
    failed = request["outcome"] != "ok"
    words = (
        str(request["outcome"]),
        f"status {request['status']}",
        str(request.get("failure") or "") if failed else "",
        str(request.get("reason") or "") if failed else "",
        f"in {length(request['duration_seconds'])}",
        "" if content is None else f"first content after {length(content)}",
    )
    return _joined(words)


def _served(request: Item) -> str:
    """Empty where nobody did."""
    served, instead = place(request), request.get("fallback_from")
    if not served or not instead:
        return served
    why = request.get("fallback_reason")
    return f"{served} instead of {instead}{f' ({why})' if why else ''}"


def _waited(request: Item) -> str:
    waited, lost = request.get("waited_seconds"), request.get("lost_seconds")
    words = (
        "" if waited is None else f"{length(waited)} for a candidate",
        f"{length(lost)} lost to attempts that failed" if lost else "",
    )
    return _joined(words)


def _cost(request: Item) -> str:
    if not request.get("provider"):
        return ""
    cost = request.get("cost_usd")
    spent = (f"{request[name]} {said}" for name, said in SPENT.items() if request.get(name))
    words = ("unknown" if cost is None else f"{cost:.6f} USD", request.get("billing") or "", *spent)
    return _joined(words)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(word for word in words if word))


def _print(rows: Sequence[tuple[tuple[str, ...], str]]) -> None:
    """Cells, and the outcome that colours them; the last cell is the one that may be long."""
    cells = [tuple(map(printable, row)) for row, _ in rows]
    if not cells:
        return
    if not sys.stdout.isatty():
        for line in plain(cells[0], cells[1:]):
            click.echo(line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in cells[0][:-1]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row, (_, outcome) in zip(cells, rows, strict=True):
        *others, last = row
        style = STYLES.get(outcome, "")
        table.add_row(*(Text(each, style="dim") for each in others), Text(last, style=style))
    Console(highlight=False).print(table)
