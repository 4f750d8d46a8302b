"""What stood when a window of the history began, picked from the rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.events import FlappingStarted
from gateway.units import Timestamp

Items = Sequence[dict[str, Any]]


def standing(
    since: Timestamp, *, cooldowns: Items, switches: Items, flapping: Items, acts: Items
) -> dict[str, list[dict[str, Any]]]:
    """For `restoring.restore`: rests that ran at `since`, and the rest as it was. Oldest first."""
    return {
        "cooldowns": [row for row in cooldowns if _ran(row, since)],
        "switches": list(switches),
        "flapping": _still(flapping),
        "acts": list(acts),
    }


def _ran(row: dict[str, Any], since: Timestamp) -> bool:
    until, ended = row["until"], row["ended_at"]
    return row["started"] < since and (until or 0) > since and (ended is None or ended > since)


def _still(flapping: Items) -> list[dict[str, Any]]:
    """The last word on each target, where it says that it flaps."""
    last = {(row["route"], row["target"]): row for row in flapping}
    return [row for row in last.values() if row["kind"] == FlappingStarted.kind]
