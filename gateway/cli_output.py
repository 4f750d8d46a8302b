"""How the command line writes: tables, times, lengths, JSON. Knows nothing of what it prints.

On a terminal tables are drawn by rich; into a file or a pipe they are plain aligned columns,
never cut to a width.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import click

from gateway.units import MICROS

COLUMN_GAP: Final = "  "
STYLES: Final = {
    "ready": "green",
    "ok": "green",
    "held": "yellow",
    "suppressed": "yellow",
    "trial": "yellow",
    "probing": "cyan",
    "drained": "magenta",
    "cooling": "red",
    "failed": "red",
    "disabled": "dim",
    "skipped": "dim",
}
"""Words that get a colour where they fill a cell; the word stays, colour only repeats it."""
FOLDED: Final = frozenset({"target", "rests", "reason", "setting", "value"})
"""Columns that give way where the terminal is narrow; the others stay whole."""
UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = ""
) -> None:
    """The rows under their heads; `empty` in their place where there are none."""
    cells = [[text(value) for value in row] for row in rows]
    if not cells:
        if empty:
            click.echo(empty)
        return
    if sys.stdout.isatty():
        _draw(title, columns, cells)
        return
    if title:
        click.echo(title)
    for line in plain(columns, cells):
        click.echo(line)


def plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, without anything after the last word of a line."""
    table = [list(columns), *map(list, rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table)
    return [COLUMN_GAP.join(row).rstrip() for row in padded]


def _draw(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # 0.1 s to import, and only a terminal needs it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, len(COLUMN_GAP), 0, 0),
    )
    for column in columns:
        table.add_column(column, no_wrap=column not in FOLDED, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


def styled(found: str, *, dim: bool = False) -> str:
    """The text, in that style where a terminal will show it and nobody asked for none."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return found
    return click.style(found, dim=dim)


def text(value: object) -> str:
    """A cell: nothing for None, yes or no, numbers short, no control characters."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        case _:
            return printable(str(value))


def printable(found: str) -> str:
    """The text with what could steer a terminal made visible: names and reasons are foreign."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in found)


def clock_time(micros: int | None, *, zone: tzinfo | None = None) -> str:
    """Unix microseconds as ISO 8601 to the second, local with its offset; empty for None."""
    if micros is None:
        return ""
    try:
        moment = datetime.fromtimestamp(micros / MICROS, tz=UTC)
        return moment.astimezone(zone).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return str(micros)


def length(seconds: float | None) -> str:
    """`0.42 s`, `42 s`, `3 m 05 s`, `2 h`, `4 d 03 h`: the two largest units that matter."""
    if seconds is None:
        return ""
    left = max(0, round(seconds))
    if left < 10:
        return f"{max(0.0, seconds):.2g} s"
    for place, (unit, size) in enumerate(UNITS[:-1]):
        if left >= size:
            below, below_size = UNITS[place + 1]
            rest = left % size // below_size
            return f"{left // size} {unit}" + (f" {rest:02} {below}" if rest else "")
    return f"{left} s"


def time_left(until: int | None, *, now: int) -> str:
    """What remains to `until`, both in Unix microseconds; empty where nothing does."""
    return length((until - now) / MICROS) if until is not None and until > now else ""
