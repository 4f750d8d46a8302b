"""Rows as SQLite's driver binds them cheaply: exact strings and numbers, and "not a number" for NULL.

Whatever is not exactly a `str`, `int` or `float` (so None, booleans and enums too) goes through the
driver's adapters first: 0.3 to 0.4 µs a value instead of 0.03 to 0.1, and an attempt has thirty of
them. SQLite itself takes "not a number" for NULL. So the functions here are made from the types of
the events' fields; they give what `Layout.values` gives, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from math import nan
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from gateway.events import AttemptOutcome, CandidateSkipped, Event, Stamped
from storage.rows import KINDS, OWN_TABLE, RENAMED, STAMP, USAGE, Layout, layout

Numbered = Sequence[tuple[int, Stamped]]
"""Events of one kind with the ids of their rows."""
Values = Callable[[Numbered], list[Any]]
"""All values of their rows, one row behind the other."""

_FIELDS: Final = {column: field for field, column in RENAMED.items()}


def values(kind: type[Event]) -> Values:
    found = layout(kind)

    def exact(numbered: Numbered) -> list[Any]:
        rows = (found.values(number, stamped) for number, stamped in numbered)
        return [_exact(value) for row in rows for value in row]

    if kind not in OWN_TABLE:
        return exact
    quick = _made(kind, found)

    def either(numbered: Numbered) -> list[Any]:
        try:
            return quick(numbered)
        except AttributeError:  # A plain text where an enum should be.
            return exact(numbered)

    return either


def _exact(value: Any) -> Any:  # noqa: ANN401
    match value:
        case None:
            return nan
        case Enum():
            return value.value
        case bool():
            return int(value)
        case _:
            return value


def _made(kind: type[Event], found: Layout) -> Values:
    """A function with an expression for each column: what its type allows, and no more, is asked."""
    hints = get_type_hints(kind)
    columns = found.columns[len(STAMP) :]
    spent = USAGE if columns[-len(USAGE) :] == USAGE else ()
    parts = [_expression(kind, name, hints) for name in columns[: len(columns) - len(spent)]]
    lines = ["def made(numbered):", " found = []", " for number, stamped in numbered:"]
    lines.append("  e = stamped.event")
    if spent:
        nothing, known = " = ".join(spent), (f"u.{name}" for name in spent)
        lines += [
            "  u = e.usage",
            f"  if u is None: {nothing} = nan",
            "  else:",
            *(f"    {name} = {_or_nan(value)}" for name, value in zip(spent, known, strict=True)),
        ]
    stamp = ["number", *(f"stamped.{name}" for name in STAMP[1:])]
    lines += [f"  found += ({', '.join((*stamp, *parts, *spent))},)", " return found"]
    names: dict[str, Any] = {"nan": nan, "skipped": AttemptOutcome.SKIPPED.value}
    exec(
        "\n".join(lines), names
    )  # Names of fields only; a closure a column takes five times as long.
    made: Values = names["made"]
    return made


def _expression(kind: type[Event], column: str, hints: dict[str, Any]) -> str:
    if kind is CandidateSkipped and column == "outcome":
        return "skipped"
    field = "switch" if column == "kind" else _FIELDS.get(column, column)
    hint = hints[field]
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    value, kinds = f"e.{field}", [each for each in options if each is not NoneType]
    if NoneType in options:
        return _or_nan(value, "._value_" if _is(kinds[0], Enum) else "")
    if _is(kinds[0], Enum):
        return f"{value}._value_"
    return f"(1 if {value} else 0)" if _is(kinds[0], bool) else value


def _or_nan(value: str, exact: str = "") -> str:
    return f"(nan if (v := {value}) is None else v{exact})"


def _is(hint: Any, kind: type) -> bool:  # noqa: ANN401
    return isinstance(hint, type) and issubclass(hint, kind)


VALUES: Final = {kind: values(kind) for kind in KINDS.values()}
