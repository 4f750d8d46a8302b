"""`evenkeel dashboards`, also `python -m dashboards`: the generated files, written or compared."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not up to date.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("grafana"),
    show_default=True,
    help="The folder they are written to.",
)
def dashboards(*, check: bool, output: Path) -> None:
    """Write Grafana's boards, alert rules and the neighbours' configuration.

    Prints what it has changed, or with --check what it would.
    """
    from dashboards.build import stale, write

    if check:
        found = list(stale(output))
        for each in found:
            click.echo(each, err=True)
        sys.exit(1 if found else 0)
    for path in write(output):
        click.echo(path)
