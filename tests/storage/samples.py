"""Events to store: one of every kind, and any of any kind, made from the dataclasses themselves."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import strategies as st
from msgspec import NODEFAULT
from msgspec.structs import fields

from gateway.events import TOKENS, Event, Stamped, Usage
from storage.filters import Filters, Order
from storage.queries import Queries

ALL_KINDS: tuple[type[Event], ...] = get_args(Event)
NOON = 1_770_000_000_000_000
E = TypeVar("E")
ONLY_SQLITE = pytest.mark.parametrize("storage", ["sqlite"], indirect=True)
"""Of a test about the file itself."""

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def example(kind: type[E], **changes: object) -> E:
    """One event of this kind, every field filled in, with these changes."""
    hints = get_type_hints(kind)
    values = {name: _example(hints[name], name) for name in _fields(kind)}
    return kind(**(values | changes))


def batch(*events: Event, boot_id: str = "boot", first: int = 1) -> list[Stamped]:
    return [Stamped(number, boot_id, "config", event) for number, event in enumerate(events, first)]


def any_event() -> st.SearchStrategy[Event]:
    return st.one_of([_any_of(kind) for kind in ALL_KINDS])


def kinds(items: Sequence[dict[str, Any]]) -> list[str]:
    return [found["kind"] for found in items]


async def walk(
    queries: Queries,
    table: str,
    *,
    filters: Filters | None = None,
    limit: int = 1000,
    order: Order = "asc",
) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await queries.page(table, filters=filters, limit=limit, order=order, cursor=cursor)
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _fields(kind: type[Any]) -> list[str]:
    return list(kind.__struct_fields__)


def _example(hint: Any, name: str) -> Any:
    hint = _bare(hint)
    if get_origin(hint) in (Union, UnionType):
        hint = _bare(next(part for part in get_args(hint) if part is not NoneType))
    if hint is Usage:
        counts: Any = {field: number for number, field in enumerate(TOKENS, 1)}
        return Usage(**counts)
    if get_origin(hint) is tuple:
        return (f"{name} 1", f"{name} 2")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)[-1]
    made: dict[type, Any] = {bool: True, int: NOON, float: 1.5, str: f"some {name}"}
    return made[hint]


def _any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    given = {name: _any(hints[name]) for name in _fields(kind)}
    assert all(field.default is NODEFAULT or field.name in given for field in fields(kind))
    return st.builds(kind, **given)


def _any(hint: Any) -> st.SearchStrategy[Any]:
    hint = _bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of([_any(part) for part in get_args(hint)])
    if hint is NoneType:
        return st.none()
    if hint is Usage:
        # A usage that says nothing is stored as none.
        counts = {name: st.none() | INTEGERS for name in TOKENS}
        return st.builds(Usage, **counts).filter(lambda usage: usage != Usage())
    if get_origin(hint) is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    made: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: INTEGERS,
        float: FLOATS,
        str: TEXTS,
    }
    return made[hint]


def _bare(hint: Any) -> Any:
    """What a NewType is made of."""
    return getattr(hint, "__supertype__", hint)
