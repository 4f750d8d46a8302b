"""`python -m dashboards`: writes Grafana's, Prometheus' and Alertmanager's files, or checks them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dashboards.build import OUTPUT, stale, write


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not up to date.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=OUTPUT)
def main(check: bool, output: Path) -> None:
    """Write boards, rules and provisioning below OUTPUT (grafana)."""
    if check:
        found = list(stale(output))
        for each in found:
            click.echo(each, err=True)
        sys.exit(1 if found else 0)
    for path in write(output):
        click.echo(path)


if __name__ == "__main__":
    main()
