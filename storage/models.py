"""The tables, as typed models. How events become their rows is in `rows.py`.

One number orders everything: `id` is handed out by the writer inside its transaction, across all
tables, so `id` order is commit order and a tail by `id` neither skips nor repeats. What happened
is the union of `requests`, `attempts`, `switches` and `events`: each event has exactly one row
there, which never changes. `cooldowns` is no fifth part of it but the fold of the `cooldown_*`
rows of `events`: one row per cooldown, filled in as they come, under the id of the first of them.

Attempts are nine rows in ten, so what other tables repeat for convenience is kept out of them. Of
requests and attempts there are thousands a second, and an index costs each row up to 2 µs: they have
those alone whose end grows, and of rare rows. Most are well; the others are what is asked for.
Change a table here and in a new migration; a test compares the two. A column that comes later may
be NULL: rows from before it have none. Never add one for a prompt, an answer or a secret.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column
from sqlalchemy.types import TypeEngine


class StorageError(Exception):
    """The store cannot do what was asked: a sentence for the operator, naming the file."""


class Flag(TypeDecorator[bool]):
    """A boolean; SQLite's STRICT tables know integers only."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = Integer() if dialect.name == "sqlite" else Boolean()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:  # noqa: ANN401
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:  # noqa: ANN401
        return None if value is None else bool(value)


TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte everywhere, as SQLite does: so a beginning can be looked up in an index."""
WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
MEASURE: Final = Float(53).with_variant(REAL(), "sqlite")

Key = Annotated[int, mapped_column(WHOLE, primary_key=True, autoincrement=True, sort_order=-5)]
Time = Annotated[int, mapped_column(WHOLE, sort_order=-4)]
Number = Annotated[int, mapped_column(WHOLE, sort_order=-3)]
Word = Annotated[str, mapped_column(TEXT, sort_order=-2)]

STRICT: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_autoincrement": True}
"""STRICT refuses a text in a number's column; AUTOINCREMENT remembers the highest id also after
retention has deleted its row, so no id is ever used twice."""


def _where(condition: str) -> dict[str, Any]:
    """Of an index that holds only rows of which this is true: what is rare and asked for."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map: ClassVar[Any] = {int: WHOLE, float: MEASURE, bool: Flag, str: TEXT}


class Stamp:
    """What every row of an event begins with."""

    id: Mapped[Key]
    """Commit order, across all tables."""
    ts: Mapped[Time]
    """When it happened (an attempt: ended), in Unix microseconds, as all times are."""
    seq: Mapped[Number]
    """Number of the event within its boot, without gaps."""
    boot_id: Mapped[Word]
    """One run of the gateway's process."""
    config_version: Mapped[Word]


class Spent:
    """Tokens as the provider counted them, and what they cost; NULL where unknown."""

    input_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    cost_usd: Mapped[float | None]


def later() -> MappedColumn[Any]:
    """A column that a migration has added: it stands behind those that were there."""
    return mapped_column(sort_order=1)


class Request(Spent, Stamp, Base):
    """One call of a client to the gateway."""

    __tablename__ = "requests"
    __table_args__ = (
        # The spine may hand over a batch again; an event is then found by this pair.
        UniqueConstraint("boot_id", "seq"),
        Index(None, "ts"),
        Index(None, "request_id"),
        Index(None, "session", **_where("session <> ''")),
        Index(None, "outcome", **_where("outcome <> 'ok'")),
        Index(None, "failure", **_where("failure IS NOT NULL")),
        STRICT,
    )

    request_id: Mapped[str]
    trace_id: Mapped[str]
    span_id: Mapped[str]
    parent_span_id: Mapped[str]
    route: Mapped[str]
    session: Mapped[str]
    client: Mapped[str]
    endpoint: Mapped[str]
    requested_model: Mapped[str]
    stream: Mapped[bool]
    outcome: Mapped[str]
    status: Mapped[int]
    failure: Mapped[str | None]
    reason: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    credential: Mapped[str]
    attempts: Mapped[int]
    skipped: Mapped[int]
    fallback_from: Mapped[str]
    fallback_reason: Mapped[str]
    started: Mapped[int]
    duration_seconds: Mapped[float]
    first_content_seconds: Mapped[float | None]
    overhead_seconds: Mapped[float]
    bytes_received: Mapped[int]
    bytes_sent: Mapped[int]
    billing: Mapped[str | None] = later()
    lost_seconds: Mapped[float | None] = later()
    waited_seconds: Mapped[float | None] = later()
    stream_end: Mapped[str | None] = later()
    client_retries: Mapped[int | None] = later()
    body_tokens: Mapped[int | None] = later()
    first_turn: Mapped[bool | None] = later()
    reasoning: Mapped[bool | None] = later()
    no_fallback: Mapped[bool | None] = later()
    deadline_seconds: Mapped[float | None] = later()
    conversation: Mapped[str | None] = later()
    continued: Mapped[str | None] = later()


class Attempt(Spent, Stamp, Base):
    """One candidate of a request: tried, or skipped (`outcome` says which)."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("boot_id", "seq"),
        Index(None, "ts"),
        Index(None, "request_id"),
        Index(None, "session", **_where("session <> ''")),
        Index(None, "outcome", **_where("outcome <> 'ok'")),
        Index(None, "failure", **_where("failure IS NOT NULL")),
        STRICT,
    )

    request_id: Mapped[str]
    attempt_id: Mapped[str | None]
    """NULL where skipped."""
    trace_id: Mapped[str]
    span_id: Mapped[str | None]
    n: Mapped[int]
    route: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    credential: Mapped[str]
    session: Mapped[str]
    outcome: Mapped[str]
    failure: Mapped[str | None]
    reason: Mapped[str]
    """Of a skipped candidate: why it was."""
    cause: Mapped[str | None]
    """Of a skipped candidate that rests: what caused the rest."""
    until: Mapped[int | None]
    """Of a skipped candidate that rests: until when."""
    status: Mapped[int | None]
    scope: Mapped[str | None]
    stated_seconds: Mapped[float | None]
    probe: Mapped[bool | None]
    started: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    first_content_seconds: Mapped[float | None]
    bytes_sent: Mapped[int | None]
    upstream_request_id: Mapped[str | None]
    billing: Mapped[str | None] = later()
    changes: Mapped[str | None] = later()
    excerpt: Mapped[str | None] = later()
    quota_remaining: Mapped[float | None] = later()


class Switch(Stamp, Base):
    """The target that serves a route changed."""

    __tablename__ = "switches"
    __table_args__ = (
        UniqueConstraint("boot_id", "seq"),
        Index(None, "ts"),
        Index(None, "request_id"),
        Index(None, "route"),
        Index(None, "from"),
        Index(None, "to"),
        Index(None, "kind"),
        Index(None, "reason"),
        STRICT,
    )

    request_id: Mapped[str]
    trace_id: Mapped[str]
    route: Mapped[str]
    from_target: Mapped[str] = mapped_column("from")
    to_target: Mapped[str] = mapped_column("to")
    kind: Mapped[str]
    """`forced`, `return` or `operator`."""
    reason: Mapped[str]
    dwell_seconds: Mapped[float]
    hold_seconds: Mapped[float]
    penalty: Mapped[float]
    reversal: Mapped[bool]


class Cooldown(Stamp, Base):
    """One rest of a credential, target or provider, from its start to its end.

    `ts`, `seq` and `boot_id` are of the event that made the row. Columns that may be NULL are so
    until the event that brings them has come.
    """

    __tablename__ = "cooldowns"
    __table_args__ = (
        UniqueConstraint("cooldown_id"),
        Index(None, "ts"),
        Index(None, "request_id", **_where("request_id IS NOT NULL")),
        Index(None, "route"),
        Index(None, "provider", "model"),
        Index(None, "credential"),
        Index(None, "reason"),
        Index("ix_cooldowns_open", "until", **_where("ended IS NULL")),
        STRICT,
    )

    cooldown_id: Mapped[str]
    scope: Mapped[str]
    route: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    credential: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    started: Mapped[int]
    until: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    """Planned: from `started` to `until`."""
    level: Mapped[int | None]
    trigger_attempt_id: Mapped[str | None]
    request_id: Mapped[str | None]
    relapse: Mapped[bool | None]
    actor: Mapped[str | None]
    note: Mapped[str | None]
    ended: Mapped[str | None]
    """How it ended; NULL while it runs, and where the process died before it was over."""
    ended_at: Mapped[int | None]
    ended_actor: Mapped[str | None]
    ended_note: Mapped[str | None]


class Occurrence(Stamp, Base):
    """Every other kind of event: common fields as columns, the others as JSON in `payload`.

    A column is NULL where the kind has no such field.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("boot_id", "seq"),
        Index(None, "ts"),
        Index(None, "kind"),
        Index(None, "request_id", **_where("request_id IS NOT NULL")),
        Index(None, "session", **_where("session IS NOT NULL")),
        Index(None, "route", **_where("route IS NOT NULL")),
        Index(None, "target", **_where("target IS NOT NULL")),
        Index(None, "provider", "model", **_where("provider IS NOT NULL")),
        Index(None, "credential", **_where("credential IS NOT NULL")),
        Index(None, "from", **_where('"from" IS NOT NULL')),
        Index(None, "to", **_where('"to" IS NOT NULL')),
        Index(None, "failure", **_where("failure IS NOT NULL")),
        Index(None, "reason", **_where("reason IS NOT NULL")),
        STRICT,
    )

    kind: Mapped[str]
    request_id: Mapped[str | None]
    cooldown_id: Mapped[str | None]
    session: Mapped[str | None]
    route: Mapped[str | None]
    target: Mapped[str | None]
    provider: Mapped[str | None]
    model: Mapped[str | None]
    credential: Mapped[str | None]
    from_target: Mapped[str | None] = mapped_column("from")
    to_target: Mapped[str | None] = mapped_column("to")
    scope: Mapped[str | None]
    failure: Mapped[str | None]
    reason: Mapped[str | None]
    until: Mapped[int | None]
    actor: Mapped[str | None]
    note: Mapped[str | None]
    payload: Mapped[str]


TABLES: Final[dict[str, Table]] = dict(Base.metadata.tables)
"""The history: rows of events."""
STREAM: Final = ("requests", "attempts", "switches", "events")
"""The tables whose union, in the order of `id`, is everything that happened."""
VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, so that a fresh database is stamped without loading Alembic."""
