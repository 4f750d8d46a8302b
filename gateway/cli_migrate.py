"""`evenkeel migrate`: which schema the history has, and bringing it up to this version's."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli_options import config_option


@click.command()
@click.argument("what", type=click.Choice(["upgrade", "current"]), default="upgrade")
@click.option("--check", is_flag=True, help="Change nothing; exit status 1 if there is work to do.")
@config_option
def migrate(what: str, check: bool, config_path: Path | None) -> None:
    """Bring the history's schema up to this version (`upgrade`), or say which it is (`current`).

    A file is copied first. The gateway does the same at its start.
    """
    import asyncio

    from gateway.cli_asked import FAILED, asked, database, stop
    from storage.database import found_schema, open_database, shown_place
    from storage.migrating import MIGRATIONS
    from storage.models import StorageError

    meant = asked(config_path, None)
    storage, head = database(meant), MIGRATIONS.head

    async def upgrade() -> Path | None:
        opened = await open_database(storage, folder=meant.folder)
        await opened.close()
        return opened.backup

    try:
        place = shown_place(storage.url, folder=meant.folder)
        found = asyncio.run(found_schema(storage, folder=meant.folder))
        click.echo(f"{place}: schema {found or 'none'}; this version's is {head}")
        if check and found != head:
            stop("there is work to do: run `evenkeel migrate`", FAILED)
        if what == "current" or check or found == head:
            return
        backup = asyncio.run(upgrade())
    except StorageError as error:
        stop(str(error), FAILED)
    click.echo(f"now {head}" + (f"; the file as it was: {backup}" if backup else ""))
