"""What operators did, done again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.events import Event
from gateway.routing.hands import Act, Hands, Place, UnknownPlace
from gateway.units import MICROS, Moment


def play_act(hands: Hands, row: Mapping[str, Any], now: Moment) -> list[Event] | None:
    """The recorded act, from `now` on; None where the configuration does not have its place."""
    until = row.get("until")
    act = Act(
        actor=row.get("actor") or "",
        note=row.get("note") or "",
        expires_seconds=(until - row["ts"]) / MICROS if until else None,
    )
    target, route = row.get("target") or "", row.get("route") or ""
    place = Place(
        target=target,
        provider=row.get("provider") or "",
        credential=row.get("credential") or "",
    )
    try:
        match row["action"]:
            case "reset":
                return hands.reset(place, act, now)
            case "rest":
                return hands.rest(target, act, now)
            case "drain":
                return hands.drain(target, act, now)
            case "enable":
                return hands.enable(target, act, now)
            case "pin":
                return hands.pin(route, target, act, now)
            case "unpin":
                return hands.unpin(route, act, now)
            case "clear-penalty" | "clear_penalty":
                return hands.clear_penalty(route, act, now)
            case _:
                return None
    except UnknownPlace:
        return None
