"""The line of a request, in one expression made from the types of its fields; and the texts in it.

There is a line for each request, and the way through a dictionary that all other lines take costs
five times as much. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from gateway.config import LogFormat
from gateway.events import TOKENS, RequestFinished, Usage
from gateway.units import MICROS

TEXT_CHARS_MAX: Final = 300
"""Of one value: clients and providers write some of them."""
TIMES: Final = ("ts", "started", "until", "since", "ended_at")
OMITTED: Final = ("ts", "span_id", "parent_span_id", "usage")
UNIQUE: Final = ("request_id", "trace_id", "session", "conversation", "continued")
"""Texts of which most are seen once, or a few times."""
KNOWN_MAX: Final = 1024
QUOTED: Final = frozenset(" \t=\r\n\"'")
"""Values that hold one of these stand in quotes."""

Line = Callable[[RequestFinished, str], str]
"""Of a request and the name of the line's level."""


def shown(text: str) -> str:
    """What neither breaks a line nor moves the cursor nor is endless."""
    if len(text) > TEXT_CHARS_MAX:
        text = f"{text[:TEXT_CHARS_MAX]}…"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def quoted(value: object) -> str:
    if not isinstance(value, str):
        return repr(value)
    return value if QUOTED.isdisjoint(value) else repr(value)


def time_text(micros: int) -> str:
    second, rest = divmod(micros, MICROS)
    return f"{_second(second)}.{rest:06d}Z" if rest else f"{_second(second)}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


def quick(log_format: LogFormat) -> Line:
    """Raises AttributeError where an enum's place holds something else."""
    json = log_format is LogFormat.JSON
    hints = get_type_hints(RequestFinished)
    fields = [name for name in RequestFinished.__struct_fields__ if name not in OMITTED]
    parts = {name: _part(name, f"e.{name}", hints[name], json=json) for name in fields}
    parts |= {name: _part(name, f"u.{name}", int | None, json=json) for name in TOKENS}
    if json:
        tail = '"level":"{level}","logger":"gateway","message":"request"'
        text = f'{{{{"timestamp":"{{time(e.ts)}}",{"".join(parts.values())}{tail}}}}}'
        end = ""
    else:
        head = "{time(e.ts)} [{level:<9}] " + f"{'request':<30} [gateway] "
        text, end = head + "".join(parts[name] for name in sorted(parts)), "[:-1]"
    names: dict[str, Any] = {
        "time": time_text,
        "text": _json_text if json else _plain_text,
        "known": _Known(_odd_json if json else _odd_plain),
        "number": _json_number if json else _plain_number,
        "nothing": Usage(),
    }
    source = f"def made(e, level):\n  u = e.usage or nothing\n  return f'''{text}'''{end}"
    exec(source, names)  # Of names of fields only. 38 steps of a loop take four times as long.
    made: Line = names["made"]
    return made


def _part(name: str, value: str, hint: Any, *, json: bool) -> str:  # noqa: ANN401
    """A field as a piece of an f-string: its name and value, or nothing."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = next(each for each in options if each is not NoneType)
    kind = getattr(kind, "__supertype__", kind)
    before, after = (f'"{name}":', ",") if json else (f"{name}=", " ")
    if name in TIMES:
        shape = f'"{{time({value})}}"' if json else f"{{time({value})}}"
    elif issubclass(kind, Enum):
        shape = f"{{known[{value}._value_]}}"
    elif kind is str:
        shape = f"{{text({value})}}" if name in UNIQUE else f"{{known[{value}]}}"
    elif kind is float:
        shape = f"{{number({value})}}"
    elif kind is bool and json:
        shape = f"{{'true' if {value} else 'false'}}"
    else:
        shape = f"{{{value}}}"
    if kind is str:
        return _unless(f"not {value}", before + shape + after)
    if NoneType in options:
        return _unless(f"{value} is None", before + shape + after)
    return before + shape + after


def _unless(condition: str, text: str) -> str:
    return f'{{"" if {condition} else f"""{text}"""}}'


def _plain_text(value: str) -> str:
    if value.isalnum() and value.isascii() and len(value) <= TEXT_CHARS_MAX:
        return value
    return _odd_plain(value)


def _json_text(value: str) -> str:
    if value.isalnum() and value.isascii() and len(value) <= TEXT_CHARS_MAX:
        return f'"{value}"'
    return _odd_json(value)


class _Known(dict[str, str]):
    """Texts as they are shown, those of the first thousand names kept: the fewest are new."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: str) -> str:
        text = self._make(value)
        if len(self) < KNOWN_MAX and len(value) <= TEXT_CHARS_MAX:
            self[value] = text
        return text


def _odd_plain(value: str) -> str:
    return quoted(shown(str(value)))


def _odd_json(value: str) -> str:
    return msgspec.json.encode(shown(str(value))).decode()


def _plain_number(value: float) -> str:
    return repr(round(value, 6))


def _json_number(value: float) -> str:
    text = repr(round(value, 6))
    return "null" if text in ("nan", "inf", "-inf") else text
