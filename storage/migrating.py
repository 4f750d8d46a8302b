"""Schema revisions: which there are, which one a database has, and the way to the newest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from storage.models import VERSION, StorageError


@dataclass(frozen=True, slots=True)
class Migrations:
    """The known schema revisions, oldest first, and the folder of Alembic's scripts."""

    folder: Path
    revisions: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.revisions[-1]


MIGRATIONS: Final = Migrations(Path(__file__).parent / "migrations", ("0001", "0002", "0003"))
"""Kept here so that Alembic need not be loaded to find that there is nothing to do."""


def found_revision(connection: Connection, migrations: Migrations, where: str) -> str:
    """What the database's own note says. Refuses one that this version does not know."""
    row = connection.execute(select(VERSION)).first()
    found = str(row[0]) if row else "none"
    if found not in migrations.revisions:
        message = (
            f"{where} was made by a newer Evenkeel: its schema is {found!r}, and "
            f"this one knows none after {migrations.head!r}. Upgrade, or use another one."
        )
        raise StorageError(message)
    return found


def upgrade(connection: Connection, migrations: Migrations, where: str) -> None:
    """Runs what is missing, in the connection's transaction."""
    # 0.4 s to import, needed once in a release.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations.folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, migrations.head)
    except CommandError as error:
        message = f"could not migrate {where}: {error}"
        raise StorageError(message) from error
