"""What may be asked of the history: filters, limits and cursors, checked and put into SQL.

A filter on a field that a table does not have matches none of its rows: no switch has an outcome.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final, Literal

from sqlalchemy import ColumnElement, Table, and_, literal_column, or_

from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    RequestFinished,
    RequestOutcome,
    Scope,
    Switched,
    SwitchKind,
)
from storage.models import TABLES
from storage.rows import KINDS

LIMIT_DEFAULT: Final = 200
LIMIT_MAX: Final = 1000
CURSOR_VERSION: Final = 1

TIMES: Final = ("since", "until")
SETS: Final = {
    "kind": frozenset({*KINDS, *SwitchKind, "cooldown"}),
    "outcome": frozenset({*AttemptOutcome, *RequestOutcome}),
    "failure": None,
}
"""Filters that take several values, separated by commas, and the values there are, if closed."""
NAMES: Final = ("route", "provider", "target", "credential", "session", "request_id")
FILTERS: Final = (*TIMES, *SETS, *NAMES)
BUSY: Final = ("requests", "attempts")
"""Tables with so many rows that they have indexes of the rare ones only."""

Order = Literal["asc", "desc"]
Filters = Mapping[str, str | int]
Asked = dict[str, int | str | list[str]]
"""Filters as they were understood: times as numbers, sets as sorted lists."""
Condition = ColumnElement[bool]


class QueryError(ValueError):
    """The caller's fault: an unknown filter, a limit out of range, a cursor of another query."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended, and the id that the walk will not go beyond."""

    position: int
    far: int | None


def checked(table: str, filters: Filters, *, limit: int, order: str) -> Asked:
    """The filters understood. Raises `QueryError` for the first thing that cannot be."""
    if table not in TABLES:
        raise QueryError(_unknown("table", table, TABLES))
    if not 1 <= limit <= LIMIT_MAX:
        message = f"limit must be 1 to {LIMIT_MAX}, not {limit}"
        raise QueryError(message)
    if order not in ("asc", "desc"):
        message = f"order must be asc or desc, not {order!r}"
        raise QueryError(message)
    return {name: _understood(name, value) for name, value in filters.items()}


def _understood(name: str, value: str | int) -> int | str | list[str]:
    if name in TIMES:
        try:
            return int(value)
        except ValueError:
            message = f"{name} must be Unix microseconds, not {value!r}"
            raise QueryError(message) from None
    if name in SETS:
        values = sorted({part.strip() for part in str(value).split(",")})
        known = SETS[name]
        for found in values:
            if known is not None and found not in known:
                raise QueryError(_unknown(name, found, known))
        return values
    if name in NAMES:
        return str(value)
    raise QueryError(_unknown("filter", name, FILTERS))


def _unknown(
    what: str, found: str, known: Mapping[str, object] | tuple[str, ...] | frozenset[str]
) -> str:
    near = get_close_matches(found, known, n=1)
    return f"unknown {what} {found!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def conditions(name: str, asked: Asked, *, whole: bool) -> list[Condition] | None:
    """The SQL for one table; None where none of its rows can match.

    `whole` reads the table as a part of everything that happened, where `kind` is the event's.
    """
    table = TABLES[name]
    found: list[Condition] = []
    for filter_name, value in asked.items():
        condition = _condition(table, filter_name, value, whole=whole)
        if condition is None:
            return None
        found.append(condition)
    return found


def _condition(
    table: Table, name: str, value: int | str | list[str], *, whole: bool
) -> Condition | None:
    columns = table.c
    match name, value:
        # The sum keeps SQLite from the index of `ts`: pages are read in the order of `id`.
        case "since", int():
            return columns.ts + 0 >= value
        case "until", int():
            return columns.ts + 0 < value
        case "kind", list():
            return _of_kind(table, value, whole=whole)
        case "failure", list():
            # A switch or cooldown has as its reason the failure that caused it.
            places = [columns[place] for place in ("failure", "reason") if place in columns]
            if table.name in BUSY:
                places = [columns.failure]
            return or_(*(place.in_(value) for place in places))
        case "target", str():
            return _of_target(table, value)
        case "provider", str():
            return _of_provider(table, value)
        case _, list():
            return _known_rare(table, name, value) if name in columns else None
        case "session", str() if value and table.name in BUSY:
            return and_(columns.session == value, columns.session != literal_column("''"))
    return columns[name] == value if name in columns else None


def _known_rare(table: Table, name: str, values: list[str]) -> Condition:
    """Says again, in the words of the index of rare outcomes, that these are such."""
    column = table.c[name]
    found = column.in_(values)
    if name == "outcome" and table.name in BUSY and AttemptOutcome.OK not in values:
        return and_(found, column != literal_column("'ok'"))
    return found


def _of_kind(table: Table, kinds: list[str], *, whole: bool) -> Condition | None:
    match table.name:
        case "requests":
            everything = RequestFinished.kind in kinds
        case "attempts":
            tried, skipped = AttemptFinished.kind in kinds, CandidateSkipped.kind in kinds
            if tried != skipped:
                attempt = table.c.attempt_id
                return attempt.is_(None) if skipped else attempt.is_not(None)
            everything = tried
        case "switches" if whole:
            everything = Switched.kind in kinds
        case "cooldowns":
            everything = "cooldown" in kinds
        case _:
            return table.c.kind.in_(kinds)
    return and_(True) if everything else None


def _of_target(table: Table, target: str) -> Condition:
    columns = table.c
    provider, _, model = target.partition("/")
    found = [columns[place] == target for place in ("target", "from", "to") if place in columns]
    if "provider" in columns:
        both = and_(columns.provider == provider, columns.model == model)
        if "scope" in columns:
            # At that scope, `model` holds the group's name.
            both = and_(both, columns.scope.is_distinct_from(Scope.QUOTA_GROUP.value))
        found.append(both)
    return or_(*found)


def _of_provider(table: Table, provider: str) -> Condition:
    columns = table.c
    # Everything between "name/" and "name0", the next character: an index finds that.
    found = [
        and_(columns[place] >= f"{provider}/", columns[place] < f"{provider}0")
        for place in ("target", "from", "to")
        if place in columns
    ]
    if "provider" in columns:
        found.append(columns.provider == provider)
    return or_(*found)


def write_cursor(cursor: Cursor, *, table: str, asked: Asked, order: Order) -> str:
    told = [CURSOR_VERSION, cursor.position, cursor.far, _digest(table, asked, order)]
    return urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def read_cursor(text: str, *, table: str, asked: Asked, order: Order) -> Cursor:
    """Raises `QueryError` where it is none, or was given out for another query."""
    try:
        told = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        told = None
    match told:
        case [version, int(position), int() | None as far, str(digest)] if (
            version == CURSOR_VERSION
        ):
            if digest == _digest(table, asked, order):
                return Cursor(position, far)
            message = "the cursor belongs to another query: repeat its filters and order with it"
            raise QueryError(message)
    message = f"not a cursor: {text[:40]!r}; use the `next_cursor` of a page as it is"
    raise QueryError(message)


def _digest(table: str, asked: Asked, order: Order) -> str:
    told = json.dumps([table, order, sorted(asked.items())])
    return blake2b(told.encode(), digest_size=8).hexdigest()
