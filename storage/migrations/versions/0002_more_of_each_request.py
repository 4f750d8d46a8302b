"""More of each request and attempt, an index for each filter, rollups by day.

New columns may be NULL: adding such a one takes no time, however many rows there are.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MEASURE = sa.Float(53).with_variant(sa.REAL(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")

COLUMNS: dict[str, dict[str, Any]] = {
    "requests": {
        "billing": TEXT,
        "lost_seconds": MEASURE,
        "waited_seconds": MEASURE,
        "stream_end": TEXT,
        "client_retries": WHOLE,
        "body_tokens": WHOLE,
        "first_turn": FLAG,
        "reasoning": FLAG,
        "no_fallback": FLAG,
        "deadline_seconds": MEASURE,
        "conversation": TEXT,
        "continued": TEXT,
    },
    "attempts": {
        "billing": TEXT,
        "changes": TEXT,
        "excerpt": TEXT,
        "quota_remaining": MEASURE,
    },
}
INDEXES = {
    "requests": [["route"], ["provider", "model"], ["credential"], ["outcome"]],
    "attempts": [["session"], ["route"], ["provider", "model"], ["credential"], ["outcome"]],
    "switches": [["from"], ["to"], ["kind"], ["reason"]],
    "cooldowns": [["route"], ["provider", "model"], ["credential"], ["reason"]],
}
PARTIAL = {
    "requests": [["failure"]],
    "events": [
        ["session"],
        ["route"],
        ["target"],
        ["provider", "model"],
        ["credential"],
        ["from"],
        ["to"],
        ["failure"],
        ["reason"],
    ],
}


def upgrade() -> None:
    for table, added in COLUMNS.items():
        for name, kind in added.items():
            op.add_column(table, sa.Column(name, kind))
    for table, indexes in INDEXES.items():
        for columns in indexes:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)
    for table, indexes in PARTIAL.items():
        for columns in indexes:
            quoted = f'"{columns[0]}"' if columns[0] in ("from", "to") else columns[0]
            where = sa.text(f"{quoted} IS NOT NULL")
            op.create_index(
                f"ix_{table}_{'_'.join(columns)}",
                table,
                columns,
                sqlite_where=where,
                postgresql_where=where,
            )
    op.create_table(
        "rollups",
        sa.Column("day", WHOLE, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("requests", WHOLE, nullable=False),
        sa.Column("requests_ok", WHOLE, nullable=False),
        sa.Column("requests_rescued", WHOLE, nullable=False),
        sa.Column("client_errors", WHOLE, nullable=False),
        sa.Column("upstream_errors", WHOLE, nullable=False),
        sa.Column("exhausted", WHOLE, nullable=False),
        sa.Column("shed", WHOLE, nullable=False),
        sa.Column("cancelled", WHOLE, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("attempts_ok", WHOLE, nullable=False),
        sa.Column("failures", WHOLE, nullable=False),
        sa.Column("skipped", WHOLE, nullable=False),
        sa.Column("switches", WHOLE, nullable=False),
        sa.Column("input_tokens", WHOLE),
        sa.Column("cached_tokens", WHOLE),
        sa.Column("cache_write_tokens", WHOLE),
        sa.Column("output_tokens", WHOLE),
        sa.Column("reasoning_tokens", WHOLE),
        sa.Column("cost_usd", MEASURE),
        sa.PrimaryKeyConstraint("day", "route", "provider", "model"),
        sqlite_strict=True,
    )
    op.create_table(
        "marks",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", WHOLE, nullable=False),
        sqlite_strict=True,
    )
