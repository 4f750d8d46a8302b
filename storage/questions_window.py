"""The window that a question is about, and what all answers are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.units import MICROS
from storage.models import TABLES

Item = dict[str, Any]

ITEMS_MAX: Final = 1000
"""Of one answer: more lines than anybody reads."""

DAY_MICROS: Final = 86_400 * MICROS
"""So long before a window a rest may have begun that reaches into it; longer ones, if they still run."""

REQUESTS, ATTEMPTS, SWITCHES, COOLDOWNS, EVENTS = (
    TABLES[name].c for name in ("requests", "attempts", "switches", "cooldowns", "events")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    since: int
    until: int
    now: int
    route: str = ""
    """Empty: all of them. Cooldowns belong to no route, but for holds."""

    def of(self, columns: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
        found = [columns.ts >= self.since, columns.ts < self.until]
        if self.route and "route" in columns and columns is not COOLDOWNS:
            found.append(columns.route == self.route)
        return found


def count_of(condition: ColumnElement[Any]) -> ColumnElement[int]:
    """How many rows meet it; 0 where there is no row."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def least(column: ColumnElement[Any], value: int) -> ColumnElement[Any]:
    return case((column < value, column), else_=value)


async def rows_of(connection: AsyncConnection, statement: Select[Any]) -> list[Item]:
    found: Sequence[Mapping[str, Any]] = (
        (await connection.execute(statement.limit(ITEMS_MAX))).mappings().all()
    )
    return [{name: _number(value) for name, value in row.items()} for row in found]


def _number(value: Any) -> Any:  # noqa: ANN401
    """PostgreSQL sums whole numbers to decimals, which JSON does not know."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
