"""The tables of a run, as Markdown; and how they get into docs/performance.md.

`python -m tests.benchmarks.tables FILE [--write]`: of a results file that is there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from tests.benchmarks import bar
from tests.benchmarks.figures import Round, Spread, ratio, spread
from tests.benchmarks.report import Figures
from tests.benchmarks.results import METHOD, Results, from_json
from tests.benchmarks.subjects import AIOHTTP, DIRECT

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN = "<!-- measured: begin (written by `make bench ARGS=--write`) -->"
END = "<!-- measured: end -->"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "start": ("ready s", "idle MB", "idle core used"),
    "single-1k": ("requests/s", "CPU us/request", "p50 us", "p99 us", "loaded MB"),
    "single-100k": ("requests/s", "CPU us/request", "p50 us", "p99 us"),
    "rate-100": ("added p50 us", "added p95 us", "added p99 us", "CPU us/request"),
    "rate-500": ("added p50 us", "added p95 us", "added p99 us", "CPU us/request"),
    "paced": (
        "first chunk p50 us",
        "added first chunk p50 us",
        "added transit p50 us",
        "transit p99 us",
        "CPU us/chunk",
    ),
    "burst": ("chunks/s", "CPU us/chunk", "first chunk p50 us"),
    "failover": (
        "plain p50 us",
        "fallback added p50 us",
        "sticky added p50 us",
        "rotation added p50 us",
        "fallback tried",
        "rotation tried",
    ),
    "chat-to-messages": ("chunks/s", "CPU us/chunk"),
    "messages-to-chat": ("chunks/s", "CPU us/chunk"),
    "held-1000": ("whole", "transit p50 us", "transit p99 us", "core used", "KB/stream"),
    "held-3000": ("whole", "transit p50 us", "transit p99 us", "core used", "KB/stream"),
}
"""Of each scenario's table; the JSON file has all figures."""
POOLED = {"rate-100": "p99.9 us", "rate-500": "p99.9 us"}
"""Beside its columns: a percentile too rare for one round, over all of them, the provider's off."""
NO_RATIO = frozenset({"whole", "core used", "idle core used", "KB/stream"})


def render(results: Results) -> str:
    parts = [_about(results), _bar(results)]
    parts += [_scenario(results, name) for name in COLUMNS if name in results.rounds]
    parts += [_part(name, figures) for name, figures in results.parts.items()]
    if results.troubles:
        told = "\n".join(f"- {each}" for each in results.troubles)
        parts.append(f"Not measured, or not whole:\n\n{told}")
    return "\n\n".join(parts) + "\n"


def write(text: str, page: Path = PAGE) -> None:
    """Between the markers of the page. Raises ValueError if it has none."""
    old = page.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{page.name} has no markers for the tables"
        raise ValueError(message)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _about(results: Results) -> str:
    about = results.about
    machine = ", ".join(f"{name}: {told}" for name, told in about["machine"].items())
    versions = ", ".join(f"{name} {told}" for name, told in about["versions"].items() if told)
    written = ", ".join(f"{name} in {told}" for name, told in about["written in"].items())
    disturbed = sum(
        each.disturbed
        for subjects in results.rounds.values()
        for rounds in subjects.values()
        for each in rounds
    )
    slices = sum(len(r) for subjects in results.rounds.values() for r in subjects.values())
    ceiling = [
        f"{number(found.middle)} {figure}"
        for name, figure in (("single-1k", "requests/s"), ("burst", "chunks/s"))
        if (found := spread(results.of(name, DIRECT), figure))
    ]
    return (
        f"Run of {about['when']}, commit {about['commit']}{' (changed)' * about['changed']}, scale"
        f" `{about['scale']}`; {machine}. {versions}. Written: {written}. {METHOD} Here {disturbed}"
        f" of {slices} slices were disturbed. Provider and load"
        f" on their one core reach {' and '.join(ceiling) or 'nothing that was measured'}. In"
        f" brackets: least and most; ×: beside {AIOHTTP} (A)."
    )


def _bar(results: Results) -> str:
    rows = [["figure", "must hold", "", "aim", ""]]
    for line in bar.lines(results):
        must, aim = ("<br>".join(_demand(each) for each in side) for side in (line.must, line.aim))
        verdicts = bar.verdict(line.must), bar.verdict(line.aim)
        rows.append([line.figure, must, f"**{verdicts[0]}**", aim, f"**{verdicts[1]}**"])
    return _table("The bar", rows)


def _demand(demand: bar.Demand) -> str:
    if demand.value is None:
        return f"{demand.text}: not measured"
    return f"{demand.text}: {_spread(demand.value)}"


def _scenario(results: Results, name: str) -> str:
    columns = [each for each in COLUMNS[name] if _is_there(results, name, each)]
    pooled = POOLED.get(name)
    rows = [["", *columns, *([f"added {pooled}"] if pooled else [])]]
    base = results.of(name, AIOHTTP)
    for subject, rounds in results.rounds[name].items():
        cells = [_cell(rounds, base, column) for column in columns]
        if pooled:
            cells.append(_pooled(results, name, subject, pooled))
        rows.append([subject, *cells])
    return _table(f"{name}: {results.titles.get(name, '')}", rows)


def _is_there(results: Results, name: str, column: str) -> bool:
    return any(spread(rounds, column) for rounds in results.rounds[name].values())


def _cell(rounds: Sequence[Round], base: Sequence[Round], column: str) -> str:
    found = spread(rounds, column)
    if found is None:
        return "-"
    beside = ratio(rounds, base, column) if base and base is not rounds else None
    if beside is None or column in NO_RATIO:
        return _spread(found)
    return f"{_spread(found)} ×{beside.middle:.2f}"


def _pooled(results: Results, name: str, subject: str, figure: str) -> str:
    pooled = results.pooled.get(name, {})
    value, bare = (pooled.get(each, {}).get(figure) for each in (subject, DIRECT))
    if value is None:
        return "-"
    return number(value if subject == DIRECT or bare is None else value - bare)


def _part(name: str, figures: Figures) -> str:
    columns = list(dict.fromkeys(column for values in figures.values() for column in values))
    rows = [["", *columns]]
    for subject, values in figures.items():
        spreads = (Spread.of(list(values.get(column, ()))) for column in columns)
        rows.append([subject, *("-" if each is None else _spread(each) for each in spreads)])
    return _table(name, rows)


def _table(title: str, rows: Sequence[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"### {title}\n"
        for place, row in enumerate(rows):
            yield "| " + " | ".join(row) + " |"
            if place == 0:
                yield "|" + " --- |" * len(row)

    return "\n".join(lines())


def _spread(found: Spread) -> str:
    if found.least == found.most:
        return number(found.middle)
    return f"{number(found.middle)} [{number(found.least)}..{number(found.most)}]"


def number(value: float) -> str:
    """Three digits that mean something."""
    size = abs(value)
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3}f}"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", "writes", is_flag=True, help="Into docs/performance.md.")
def main(file: Path, writes: bool) -> None:
    """Show the tables of a results file."""
    text = render(from_json(file.read_text(encoding="utf-8")))
    if writes:
        write(text)
    click.echo(text)


if __name__ == "__main__":
    main()
