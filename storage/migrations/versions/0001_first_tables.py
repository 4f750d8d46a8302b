"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MEASURE = sa.Float(53).with_variant(sa.REAL(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("ts", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("config_version", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("trace_id", TEXT, nullable=False),
        sa.Column("span_id", TEXT, nullable=False),
        sa.Column("parent_span_id", TEXT, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.Column("client", TEXT, nullable=False),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("requested_model", TEXT, nullable=False),
        sa.Column("stream", FLAG, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("status", WHOLE, nullable=False),
        sa.Column("failure", TEXT),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("credential", TEXT, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("skipped", WHOLE, nullable=False),
        sa.Column("fallback_from", TEXT, nullable=False),
        sa.Column("fallback_reason", TEXT, nullable=False),
        sa.Column("started", WHOLE, nullable=False),
        sa.Column("duration_seconds", MEASURE, nullable=False),
        sa.Column("first_content_seconds", MEASURE),
        sa.Column("overhead_seconds", MEASURE, nullable=False),
        sa.Column("bytes_received", WHOLE, nullable=False),
        sa.Column("bytes_sent", WHOLE, nullable=False),
        sa.Column("input_tokens", WHOLE),
        sa.Column("cached_tokens", WHOLE),
        sa.Column("cache_write_tokens", WHOLE),
        sa.Column("output_tokens", WHOLE),
        sa.Column("reasoning_tokens", WHOLE),
        sa.Column("cost_usd", MEASURE),
        sa.UniqueConstraint("boot_id", "seq", name="uq_requests_boot_id_seq"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_request_id", "requests", ["request_id"])
    op.create_index("ix_requests_session", "requests", ["session"])
    op.create_index("ix_requests_ts", "requests", ["ts"])
    op.create_table(
        "attempts",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("ts", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("config_version", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("attempt_id", TEXT),
        sa.Column("trace_id", TEXT, nullable=False),
        sa.Column("span_id", TEXT),
        sa.Column("n", WHOLE, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("credential", TEXT, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("failure", TEXT),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("cause", TEXT),
        sa.Column("until", WHOLE),
        sa.Column("status", WHOLE),
        sa.Column("scope", TEXT),
        sa.Column("stated_seconds", MEASURE),
        sa.Column("probe", FLAG),
        sa.Column("started", WHOLE),
        sa.Column("duration_seconds", MEASURE),
        sa.Column("first_content_seconds", MEASURE),
        sa.Column("bytes_sent", WHOLE),
        sa.Column("upstream_request_id", TEXT),
        sa.Column("input_tokens", WHOLE),
        sa.Column("cached_tokens", WHOLE),
        sa.Column("cache_write_tokens", WHOLE),
        sa.Column("output_tokens", WHOLE),
        sa.Column("reasoning_tokens", WHOLE),
        sa.Column("cost_usd", MEASURE),
        sa.UniqueConstraint("boot_id", "seq", name="uq_attempts_boot_id_seq"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_attempts_failure", "attempts", ["failure"], sqlite_where=sa.text("failure IS NOT NULL"), postgresql_where=sa.text("failure IS NOT NULL")
    )
    op.create_index("ix_attempts_request_id", "attempts", ["request_id"])
    op.create_index("ix_attempts_ts", "attempts", ["ts"])
    op.create_table(
        "switches",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("ts", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("config_version", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("trace_id", TEXT, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("from", TEXT, nullable=False),
        sa.Column("to", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("dwell_seconds", MEASURE, nullable=False),
        sa.Column("hold_seconds", MEASURE, nullable=False),
        sa.Column("penalty", MEASURE, nullable=False),
        sa.Column("reversal", FLAG, nullable=False),
        sa.UniqueConstraint("boot_id", "seq", name="uq_switches_boot_id_seq"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_switches_request_id", "switches", ["request_id"])
    op.create_index("ix_switches_route", "switches", ["route"])
    op.create_index("ix_switches_ts", "switches", ["ts"])
    op.create_table(
        "cooldowns",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("ts", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("config_version", TEXT, nullable=False),
        sa.Column("cooldown_id", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("credential", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("started", WHOLE, nullable=False),
        sa.Column("until", WHOLE),
        sa.Column("duration_seconds", MEASURE),
        sa.Column("level", WHOLE),
        sa.Column("trigger_attempt_id", TEXT),
        sa.Column("request_id", TEXT),
        sa.Column("relapse", FLAG),
        sa.Column("actor", TEXT),
        sa.Column("note", TEXT),
        sa.Column("ended", TEXT),
        sa.Column("ended_at", WHOLE),
        sa.Column("ended_actor", TEXT),
        sa.Column("ended_note", TEXT),
        sa.UniqueConstraint("cooldown_id", name="uq_cooldowns_cooldown_id"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_cooldowns_open", "cooldowns", ["until"], sqlite_where=sa.text("ended IS NULL"), postgresql_where=sa.text("ended IS NULL")
    )
    op.create_index(
        "ix_cooldowns_request_id",
        "cooldowns",
        ["request_id"],
        sqlite_where=sa.text("request_id IS NOT NULL"), postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index("ix_cooldowns_ts", "cooldowns", ["ts"])
    op.create_table(
        "events",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("ts", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("config_version", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("request_id", TEXT),
        sa.Column("cooldown_id", TEXT),
        sa.Column("session", TEXT),
        sa.Column("route", TEXT),
        sa.Column("target", TEXT),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT),
        sa.Column("credential", TEXT),
        sa.Column("from", TEXT),
        sa.Column("to", TEXT),
        sa.Column("scope", TEXT),
        sa.Column("failure", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("until", WHOLE),
        sa.Column("actor", TEXT),
        sa.Column("note", TEXT),
        sa.Column("payload", TEXT, nullable=False),
        sa.UniqueConstraint("boot_id", "seq", name="uq_events_boot_id_seq"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_kind", "events", ["kind"])
    op.create_index(
        "ix_events_request_id",
        "events",
        ["request_id"],
        sqlite_where=sa.text("request_id IS NOT NULL"), postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index("ix_events_ts", "events", ["ts"])
