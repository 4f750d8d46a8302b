"""What outlives the history: what each day came to, and numbers that the store must remember."""

from __future__ import annotations

from typing import Final

from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.models import Base, Spent


class Rollup(Spent, Base):
    """What a day came to, by route and target; counted from the rows before they are deleted.

    Requests are counted with who served them (empty: nobody), switches with what they left.
    """

    __tablename__ = "rollups"
    __table_args__ = (
        PrimaryKeyConstraint("day", "route", "provider", "model"),
        {"sqlite_strict": True},
    )

    day: Mapped[int]
    """Its beginning (UTC), in Unix microseconds."""
    route: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    requests: Mapped[int]
    requests_ok: Mapped[int]
    requests_rescued: Mapped[int]
    client_errors: Mapped[int]
    upstream_errors: Mapped[int]
    exhausted: Mapped[int]
    shed: Mapped[int]
    cancelled: Mapped[int]
    attempts: Mapped[int]
    attempts_ok: Mapped[int]
    failures: Mapped[int]
    skipped: Mapped[int]
    switches: Mapped[int]


class Mark(Base):
    """Numbers that the store must remember: one row each."""

    __tablename__ = "marks"
    __table_args__ = ({"sqlite_strict": True},)

    name: Mapped[str] = mapped_column(primary_key=True)
    """`id`: the last one handed out (PostgreSQL); `rollup`: the last one counted in `rollups`."""
    value: Mapped[int]


METADATA: Final = Base.metadata
"""All tables of the database."""
MARKS: Final = Base.metadata.tables["marks"]
ROLLUPS: Final = Base.metadata.tables["rollups"]
