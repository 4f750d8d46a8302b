"""Requests and attempts keep the indexes whose end grows, and those of rare rows.

The others cost a row half of its price. Dropping them takes no time; their space is used again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DROPPED = (["session"], ["route"], ["provider", "model"], ["credential"], ["outcome"])
PARTIAL = {"session": "session <> ''", "outcome": "outcome <> 'ok'"}


def upgrade() -> None:
    for table in ("requests", "attempts"):
        for columns in DROPPED:
            op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
        for column, condition in PARTIAL.items():
            where = sa.text(condition)
            op.create_index(
                f"ix_{table}_{column}",
                table,
                [column],
                sqlite_where=where,
                postgresql_where=where,
            )
