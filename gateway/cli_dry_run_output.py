"""How dry runs are told: a timeline of decisions, a table of figures, strategies side by side."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from gateway.cli_output import length, plain, print_table, printable, styled, text
from gateway.cli_sentences import sentence
from gateway.dry_run.expecting import Expectation
from gateway.dry_run.figures import FIGURES, HOUR_SECONDS, Figures
from gateway.dry_run.scenario import Script
from gateway.dry_run.stage import Played
from gateway.dry_run.timeline import WEATHER, Happened
from gateway.events import (
    AttemptFinished,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    SessionMoved,
)

LINES_MAX: Final = 60
"""Of a timeline that is not asked for in full: what fits on two screens."""
MINOR: Final = (
    (AttemptFinished.kind, "probes"),
    (CooldownExtended.kind, "longer rests"),
    (CooldownEnded.kind, "ends of rests"),
    (SessionMoved.kind, "moves of sessions"),
    (CooldownStarted.kind, "rests"),
    (WEATHER, "changes of weather"),
)
"""What is left out of a long timeline, one after another until it is short enough, and its name."""
ALWAYS: Final = frozenset(
    {
        "requests",
        "served_share",
        "failed",
        "failed_with_healthy",
        "primary_share",
        "switches",
        "reversals",
        "session_moves_per_hour",
        "wasted_per_request",
        "probes",
        "time_to_leave_seconds",
        "time_to_return_seconds",
    }
)
"""Figures that are shown also where they are nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """Of a timeline; alike ones in a row are one."""

    at_seconds: float
    kind: str
    text: str
    times: int = 1
    until_seconds: float = 0.0


def print_one(script: Script, played: Played, *, full: bool) -> None:
    scenario = script.scenario
    click.echo(f"{played.name}: {printable(scenario.description)}".rstrip(": "))
    lines = folded(_lines(played.happened))
    shown, left_out = (lines, "") if full else shortened(lines)
    for line in shown:
        again = f" (× {line.times}, until {_clock(line.until_seconds)})" if line.times > 1 else ""
        click.echo(f"{styled(_clock(line.at_seconds), dim=True)}  {line.text}{again}")
    if left_out:
        click.echo(f"left out: {left_out}; --full shows all")
    click.echo("")
    expected = {each.figure: each for each in script.expected}
    print_table("", ("figure", "value", "expected", ""), _figures(played.figures, expected))
    click.echo("")
    click.echo(_verdict(played))
    for fault in played.faults:
        click.echo(f"  {fault}")


def print_overview(played: Sequence[Played]) -> None:
    """One line each, and what was expected in vain."""
    columns = (
        "scenario",
        "result",
        "asked",
        "failed",
        "switches",
        "moves/h",
        "wasted",
        "primary",
    )
    print_table("", columns, [_overview(each) for each in played])
    click.echo(
        "moves/h: of one session · wasted: failed attempts per request · "
        "primary: its share of what was served"
    )
    for each in played:
        for fault in each.faults:
            click.echo(f"{each.name}: {fault}")


def print_compared(rows: Mapping[str, Mapping[str, Played]], seconds: float) -> None:
    """The table of weathers and strategies."""
    strategies = list(next(iter(rows.values()), {}))
    cells = [(name, *(cell(each.figures) for each in row.values())) for name, row in rows.items()]
    if _fits(("scenario", *strategies), cells):
        print_table("", ("scenario", *strategies), cells)
    else:
        long = [(name, *pair) for name, *row in cells for pair in zip(strategies, row, strict=True)]
        print_table("", ("scenario", "strategy", "figures"), long)
    click.echo(
        f"Of {seconds / HOUR_SECONDS:g} h: session switches per session-hour · "
        "failed attempts per request · requests that failed although a candidate was well"
    )


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the table is not wider than the terminal, if there is one."""
    widest = max(map(len, plain(columns, rows)), default=0)
    return not sys.stdout.isatty() or widest < shutil.get_terminal_size().columns


def cell(figures: Figures) -> str:
    switches = figures.session_switches_per_hour
    shown = f"{switches:.0f}" if switches >= 10 else f"{switches:.2f}"
    return f"{shown} · {figures.wasted_per_request:.3f} · {figures.failed_with_healthy}"


def as_json(played: Sequence[Played]) -> dict[str, Any]:
    return {
        "ok": not any(each.faults for each in played),
        "scenarios": [
            {
                "name": each.name,
                "ok": not each.faults,
                "faults": list(each.faults),
                "seed": each.seed,
                "duration_seconds": each.duration_seconds,
                "figures": asdict(each.figures),
                "timeline": [
                    {"at_seconds": happened.at_seconds, **happened.item}
                    for happened in each.happened
                ],
            }
            for each in played
        ],
    }


def compared_as_json(rows: Mapping[str, Mapping[str, Played]], seconds: float) -> dict[str, Any]:
    return {
        "duration_seconds": seconds,
        "scenarios": {
            name: {strategy: asdict(each.figures) for strategy, each in row.items()}
            for name, row in rows.items()
        },
    }


# -- the timeline ----------------------------------------------------------------------------------


def folded(lines: Iterable[Line]) -> list[Line]:
    """Lines that say the same, one after the other, become one that counts them."""
    found: list[Line] = []
    for line in lines:
        last = found[-1] if found else None
        if last is not None and (last.kind, last.text) == (line.kind, line.text):
            found[-1] = Line(last.at_seconds, last.kind, last.text, last.times + 1, line.at_seconds)
        else:
            found.append(line)
    return found


def shortened(lines: list[Line]) -> tuple[list[Line], str]:
    """At most `LINES_MAX` of them, and in words what is missing."""
    left_out: list[str] = []
    for kind, name in MINOR:
        if len(lines) <= LINES_MAX:
            break
        kept = [line for line in lines if line.kind != kind]
        if len(kept) < len(lines):
            left_out.append(f"{len(lines) - len(kept)} {name}")
        lines = folded(kept)
    if len(lines) > LINES_MAX:
        left_out.append(f"{len(lines) - LINES_MAX} more lines at the end")
    return lines[:LINES_MAX], ", ".join(left_out)


def _lines(happened: Iterable[Happened]) -> Iterable[Line]:
    for each in happened:
        kind = str(each.item["kind"])
        yield Line(each.at_seconds, kind, _words(kind, each.item))


def _words(kind: str, item: Mapping[str, Any]) -> str:
    if kind == WEATHER:
        return _weather(item)
    probe = "probe: " if kind == AttemptFinished.kind else ""
    return probe + sentence(item)


def _weather(item: Mapping[str, Any]) -> str:
    provider, failure = item["provider"], item["failure"]
    if failure is None:
        return f"weather: {provider} is well"
    often = f", every {item['every']}. request" if item["every"] > 1 else ""
    share = f", {item['probability']:.0%} of them" if item["probability"] < 1 else ""
    return f"weather: {provider} fails, {failure}{often}{share}"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


# -- the figures -----------------------------------------------------------------------------------


def _figures(
    figures: Figures, expected: Mapping[str, Expectation]
) -> list[tuple[str, str, str, str]]:
    rows = []
    for name in FIGURES:
        value, wanted = getattr(figures, name), expected.get(name)
        if not value and wanted is None and name not in ALWAYS:
            continue
        words = wanted.words() if wanted is not None else ""
        missed = wanted is not None and bool(wanted.fault(figures))
        rows.append((name, _shown(name, value), words, "missed" if missed else ""))
    return rows


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    if name.endswith("_seconds"):
        return length(value)
    return f"{value:.1%}" if name.endswith("_share") else text(value)


def _overview(played: Played) -> tuple[str, ...]:
    figures = played.figures
    return (
        played.name,
        "failed" if played.faults else "ok",
        str(figures.requests),
        str(figures.failed),
        str(figures.switches),
        f"{figures.session_moves_per_hour:.2f}",
        f"{figures.wasted_per_request:.3f}",
        f"{figures.primary_share:.0%}",
    )


def _verdict(played: Played) -> str:
    if not played.faults:
        return f"{played.name}: as expected"
    count = len(played.faults)
    return f"{played.name}: {count} expectation{'s'[: count != 1]} missed"
