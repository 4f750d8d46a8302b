"""A picture of everything a pool remembers, to be compared with a later one."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from random import Random
from typing import Any

from msgspec import Struct

from gateway.config import Config
from gateway.routing.pool import Pool

IN_FLIGHT = frozenset(
    {"in_flight", "lease", "queue", "waiting", "config", "stability", "chain", "directory"}
    | {"at_peace", "unrest", "_unrest"}
)
"""Who is under way, who waits, who tests: given back by everybody, whatever came of it. And what is
configuration, or is only what was found out of the rest, is no memory."""
PLAIN = (str, int, float, bool, bytes, type(None), Enum)


def photograph(pool: Pool) -> Any:
    """Nested tuples of plain values; equal if and only if nothing has changed."""
    seen: dict[int, int] = {}
    parts = (pool.providers, pool.rests, pool.restless, pool.budget, pool._targets, pool.routes)
    return tuple(_picture(part, seen) for part in (*parts, pool._direct))


def _picture(value: Any, seen: dict[int, int]) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Config | Random):
        return None
    if id(value) in seen:
        return ("seen", seen[id(value)])
    seen[id(value)] = len(seen)
    if isinstance(value, Mapping):
        return tuple((_picture(k, seen), _picture(v, seen)) for k, v in value.items())
    if isinstance(value, list | tuple | deque):
        return tuple(_picture(each, seen) for each in value)
    if isinstance(value, set | frozenset):
        return frozenset(value)
    names = _names(value)
    return (
        type(value).__name__,
        *((name, _picture(getattr(value, name), seen)) for name in names if name not in IN_FLIGHT),
    )


def _names(value: Any) -> list[str]:
    if isinstance(value, Struct):
        return list(value.__struct_fields__)
    if is_dataclass(value):
        return [each.name for each in fields(value)]
    slots = getattr(type(value), "__slots__", None)
    return list(slots) if slots is not None else list(vars(value))
