"""The SQL that stores events, in the words of SQLite and of PostgreSQL.

An event that is there already is left alone. `ON CONFLICT` names its columns: `OR IGNORE` would
swallow faulty rows as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Float, Integer

from gateway.events import CooldownEnded, CooldownStarted, Event, Stamped
from storage.models import TABLES, Flag
from storage.rows import BEGUN, FOLDED, KINDS, OVER, PLANNED, Layout, Row, fold, layout

Work = dict[type[Event], list[Row]]
"""Kind → its rows, in the order in which they are to be stored."""


@dataclass(frozen=True, slots=True)
class Statement:
    layout: Layout
    conflict: str

    def sqlite(self, rows: int = 1) -> str:
        """So many rows, given as one list of all their values."""
        marks = f"({', '.join('?' * len(self.layout.columns))})"
        return f"{self._into()} VALUES {', '.join([marks] * rows)} {self.conflict}"

    def postgres(self) -> str:
        """One row."""
        marks = ", ".join(f"${n}" for n in range(1, len(self.layout.columns) + 1))
        return f"{self._into()} VALUES ({marks}) {self.conflict}"

    def postgres_many(self) -> str:
        """Many rows, given as one array for each column."""
        columns = TABLES[self.layout.table].columns
        arrays = ", ".join(
            f"${n}::{_type(columns[name].type)}[]" for n, name in enumerate(self.layout.columns, 1)
        )
        return f"{self._into()} SELECT * FROM unnest({arrays}) {self.conflict}"

    def _into(self) -> str:
        columns = ", ".join(f'"{name}"' for name in self.layout.columns)
        return f"INSERT INTO {self.layout.table} ({columns})"


def _type(kind: object) -> str:
    match kind:
        case Flag():
            return "boolean"
        case Integer():
            return "bigint"
        case Float():
            return "double precision"
        case _:
            return "text"


def _insert(kind: type[Event]) -> Statement:
    return Statement(layout(kind), "ON CONFLICT (boot_id, seq) DO NOTHING")


def _upsert(kind: type[Event]) -> Statement:
    """Each event of a cooldown sets what only it knows, so that their order does not matter.

    `until` only ever grows: a rest that shall be over sooner is ended, and another one started.
    """
    known: tuple[str, ...] = ()
    if kind is CooldownStarted:
        known = BEGUN
    elif kind is CooldownEnded:
        known = OVER
    changes = [f"{name} = excluded.{name}" for name in known]
    if kind is not CooldownEnded:
        later = "cooldowns.until IS NULL OR excluded.until > cooldowns.until"
        changes += [
            f"{name} = CASE WHEN {later} THEN excluded.{name} ELSE cooldowns.{name} END"
            for name in PLANNED
        ]
    return Statement(fold(kind), f"ON CONFLICT (cooldown_id) DO UPDATE SET {', '.join(changes)}")


INSERTS: Final = {kind: _insert(kind) for kind in KINDS.values()}
UPSERTS: Final = {kind: _upsert(kind) for kind in FOLDED}


def plan(batch: Sequence[Stamped], *, after: int) -> tuple[Work, Work]:
    """The rows of these events themselves, and those of the cooldowns they tell of."""
    events: Work = {}
    folds: Work = {}
    for number, stamped in enumerate(batch, start=after + 1):
        kind = type(stamped.event)
        events.setdefault(kind, []).append(INSERTS[kind].layout.values(number, stamped))
        if kind in FOLDED:
            folds.setdefault(kind, []).append(UPSERTS[kind].layout.values(number, stamped))
    return events, folds
