"""Events to rows, rows to the items of the history API, and items back to events.

Columns are called as the event's fields are, so a new field needs a column in `models.py` and
nothing here. An event without a table of its own becomes a row of `events`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, get_args

import msgspec

from gateway.events import (
    TOKENS,
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    Event,
    RequestFinished,
    Scope,
    Stamped,
    Switched,
)
from gateway.units import MICROS

Row = tuple[Any, ...]
Item = dict[str, Any]

STAMP: Final = ("id", "seq", "boot_id", "config_version")
USAGE: Final = TOKENS
RENAMED: Final = {"from_target": "from", "to_target": "to"}
"""Field → column, where `from` would not do in Python."""
OWN_TABLE: Final[dict[type[Event], str]] = {
    RequestFinished: "requests",
    AttemptFinished: "attempts",
    CandidateSkipped: "attempts",
    Switched: "switches",
}
COMMON: Final = (
    "ts",
    "kind",
    "request_id",
    "cooldown_id",
    "session",
    "route",
    "target",
    "provider",
    "model",
    "credential",
    "from_target",
    "to_target",
    "scope",
    "failure",
    "reason",
    "until",
    "actor",
    "note",
)
"""Fields that are columns of `events`; the others go to its `payload`."""
KINDS: Final[dict[str, type[Event]]] = {kind.kind: kind for kind in get_args(Event)}

INT_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one kind of event goes: the columns, and the function that gives their values."""

    table: str
    columns: tuple[str, ...]
    values: Callable[[int, Stamped], Row]


def layout(kind: type[Event]) -> Layout:
    """The row of an event of this kind, in the table where it stays for good."""
    table = OWN_TABLE.get(kind)
    return _rest_layout() if table is None else _own_layout(kind, table)


def _own_layout(kind: type[Event], table: str) -> Layout:
    names = [name for name in kind.__struct_fields__ if name != "usage"]
    columns = [_column(kind, name) for name in names]
    get = attrgetter(*names)

    if kind is CandidateSkipped:
        skipped = AttemptOutcome.SKIPPED.value
        return Layout(
            table,
            (*STAMP, *columns, "outcome"),
            lambda number, stamped: (*_stamp(number, stamped), *get(stamped.event), skipped),
        )
    if kind is Switched:
        return Layout(
            table,
            (*STAMP, *columns),
            lambda number, stamped: (*_stamp(number, stamped), *get(stamped.event)),
        )
    usage, spend = attrgetter("usage"), attrgetter(*USAGE)
    unknown = (None,) * len(USAGE)

    def with_usage(number: int, stamped: Stamped) -> Row:
        event = stamped.event
        spent = usage(event)
        tokens = unknown if spent is None else spend(spent)
        return (*_stamp(number, stamped), *get(event), *tokens)

    return Layout(table, (*STAMP, *columns, *USAGE), with_usage)


def _rest_layout() -> Layout:
    def values(number: int, stamped: Stamped) -> Row:
        event = stamped.event
        common = (getattr(event, name, None) for name in COMMON)
        return (*_stamp(number, stamped), *common, _payload(event))

    columns = (RENAMED.get(name, name) for name in COMMON)
    return Layout("events", (*STAMP, *columns, "payload"), values)


def _column(kind: type[Event], name: str) -> str:
    """The column of a field. In `switches`, `kind` tells what kind of switch it was."""
    return "kind" if kind is Switched and name == "switch" else RENAMED.get(name, name)


def _stamp(number: int, stamped: Stamped) -> Row:
    return (number, stamped.seq, stamped.boot_id, stamped.config_version)


def _payload(event: Event) -> str:
    others = {name: getattr(event, name) for name in event.__struct_fields__ if name not in COMMON}
    try:
        return msgspec.json.encode(others).decode()
    except (UnicodeError, OverflowError):
        # Half a surrogate pair from some client's text: plain json escapes it.
        return json.dumps(others)


PLACE: Final = ("cooldown_id", "scope", "route", "provider", "model", "credential")
BEGUN: Final = ("ts", "started", "trigger_attempt_id", "request_id", "relapse", "actor", "note")
"""What only the start of a cooldown knows."""
PLANNED: Final = ("until", "duration_seconds", "source", "level", "reason")
"""What an extension may change."""
OVER: Final = ("ended", "ended_at", "ended_actor", "ended_note")
"""What only the end of a cooldown knows."""
FOLDED: Final[dict[type[Event], tuple[str, ...]]] = {
    CooldownStarted: ("until", "duration_seconds", "level", *BEGUN[2:]),
    CooldownExtended: ("until", "duration_seconds", "level", "trigger_attempt_id", "request_id"),
    CooldownEnded: ("ended", "ended_at", "actor", "note"),
}
"""The events that `cooldowns` is made of, and what each brings beside place, reason and source."""


def fold(kind: type[Event]) -> Layout:
    """What an event of a cooldown says of its row in `cooldowns`, known also without the others."""
    names = FOLDED[kind]
    get = attrgetter("ts", *PLACE, "reason", "source", *names)

    def values(number: int, stamped: Stamped) -> Row:
        event = stamped.event
        return (*_stamp(number, stamped), _started(event), *get(event))

    told = OVER if kind is CooldownEnded else names
    return Layout("cooldowns", (*STAMP, "started", "ts", *PLACE, "reason", "source", *told), values)


def _started(event: Event) -> int:
    match event:
        case CooldownExtended():
            return event.until - round(event.duration_seconds * MICROS)
        case CooldownEnded():
            return event.ended_at - round(event.duration_seconds * MICROS)
        case _:
            return event.ts


def clean(row: Row) -> Row:
    """The row with everything in it that SQLite could refuse made acceptable.

    For rows that were refused: half surrogate pairs become `?`, whole numbers are cut to 64 bits,
    "not a number" becomes 0. A faulty value must not stop the good ones behind it.
    """
    return tuple(_clean(value) for value in row)


def _clean(value: Any) -> Any:  # noqa: ANN401
    match value:
        case str():
            return value.encode("utf-8", "replace").decode().replace("\0", "?")
        case bool():
            return value
        case int():
            return max(-INT_MAX, min(int(value), INT_MAX))
        case float():
            return 0.0 if math.isnan(value) else value
        case None:
            return None
        case _:
            return str(value)


def item(table: str, row: Mapping[str, Any]) -> Item:
    """A row as the history API shows it under the name of its own table."""
    found = dict(row)
    match table:
        case "requests":
            found["kind"] = RequestFinished.kind
        case "attempts":
            skipped = found["attempt_id"] is None
            found["kind"] = CandidateSkipped.kind if skipped else AttemptFinished.kind
        case "cooldowns":
            found["kind"] = "cooldown"
        case "events":
            found |= json.loads(found.pop("payload"))
            found = {name: value for name, value in found.items() if value is not None}
    if "provider" in found and not found.get("target"):
        found["target"] = _target(found)
    return found


def event_item(table: str, row: Mapping[str, Any]) -> Item:
    """A row as one of `/api/v1/events`, where `kind` is always the event's."""
    found = item(table, row)
    if table == "switches":
        found["switch"], found["kind"] = found["kind"], Switched.kind
    return found


def _target(found: Item) -> str:
    """`provider/model`, empty where the row is not about one target."""
    provider, model = found["provider"], found.get("model")
    whole = provider and model and found.get("scope") != Scope.QUOTA_GROUP
    return f"{provider}/{model}" if whole else ""


def stamped(found: Item) -> Stamped:
    """The event that `event_item` showed. Raises KeyError for a kind this version does not know."""
    kind = KINDS[found["kind"]]
    names = kind.__struct_fields__
    values = {name: found.get(RENAMED.get(name, name)) for name in names}
    if "usage" in names:
        tokens = {name: found[name] for name in USAGE}
        values["usage"] = tokens if any(value is not None for value in tokens.values()) else None
    event: Event = msgspec.convert(values, kind)
    return Stamped(found["seq"], found["boot_id"], found["config_version"], event)
