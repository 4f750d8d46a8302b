"""`evenkeel export`: rows of the history as a file, in constant memory however many there are."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from gateway.cli_options import config_option, url_option

if TYPE_CHECKING:
    from gateway.cli_asked import Asked
    from gateway.cli_client import Params
    from gateway.cli_export_formats import Form

TABLES: Final = ("events", "requests", "attempts", "switches", "cooldowns")
FORMS: Final = ("ndjson", "csv", "parquet")


@click.command()
@config_option
@url_option
@click.option(
    "--table",
    type=click.Choice(TABLES),
    default="events",
    show_default=True,
    help="Which; `events` is everything that happened.",
)
@click.option("--since", metavar="SINCE", help="From then on: an age (24h, 7d) or an ISO time.")
@click.option("--until", metavar="UNTIL", help="Only before then: an age or an ISO time.")
@click.option("--route", metavar="ROUTE", help="Of one route.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Else what the name of the file ends in, else ndjson.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Else standard output.",
)
def export(
    config_path: Path | None,
    url: str | None,
    *,
    table: str,
    since: str | None,
    until: str | None,
    route: str | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Write rows of the history to a file.

    As NDJSON, CSV, or Parquet; from the gateway, or from its database if none answers.
    """
    from gateway.cli_asked import FAILED, WRONG, asked, note, run, stop
    from gateway.cli_export_formats import Form, NoParquet
    from gateway.clock import SystemClock

    meant = asked(config_path, url)
    filters = _filters(since, until, route, now=SystemClock().now().timestamp)
    chosen = Form(form or _form_of(output))
    if chosen is Form.PARQUET and output is None:
        stop("--format parquet needs --output FILE", WRONG)
    try:
        if output is None:
            run(lambda: _write(meant, table, filters, chosen, sys.stdout.buffer))
            return
        # Whole or not at all: a file of that name is the last export until the new one is done.
        part = output.with_name(output.name + ".part")
        with part.open("wb") as file:
            count = run(lambda: _write(meant, table, filters, chosen, file))
        part.replace(output)
    except NoParquet as error:
        stop(str(error), FAILED)
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read has seen enough.
    except OSError as error:
        stop(f"could not write {output or 'to standard output'}: {error.strerror}", FAILED)
    else:
        note(f"{count} rows of {table} are in {output}")


def _filters(
    since: str | None, until: str | None, route: str | None, *, now: int
) -> dict[str, str | int]:
    from gateway.cli_times import moment
    from gateway.units import Timestamp

    found: dict[str, str | int] = {"until": now}
    for name, value in (("since", since), ("until", until)):
        if value is None:
            continue
        try:
            found[name] = moment(value, now=Timestamp(now))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name}") from error
    if route is not None:
        found["route"] = route
    return found


def _form_of(output: Path | None) -> str:
    ending = output.suffix.lstrip(".").lower() if output is not None else ""
    return ending if ending in FORMS else FORMS[0]


async def _write(meant: Asked, table: str, filters: Params, form: Form, output: BinaryIO) -> int:
    """How many rows there were."""
    from gateway.cli_export_formats import writing
    from gateway.cli_export_rows import pages, share
    from gateway.cli_progress import Progress

    writer, count, first = writing(form, table, output), 0, None
    with Progress(f"exporting {table}") as progress:
        async with aclosing(pages(meant, table, filters)) as found:
            async for page in found:
                if not page:
                    continue
                writer.write(page)
                count += len(page)
                first = page[0]["ts"] if first is None else first
                progress(share(page[-1], first, int(filters["until"])))
    writer.close()
    return count
