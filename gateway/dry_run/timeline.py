"""What a dry run has to tell: decisions as the history tells them, between changes of the weather.

Every request and attempt would be too much: only refusals and probes are kept of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.config import Config, Weather
from gateway.dry_run.truth import spells
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    Event,
    RequestFinished,
    RequestOutcome,
)
from gateway.units import MICROS, Moment, Timestamp

WEATHER = "weather"
"""Kind of an item that is no event: the weather of a provider has changed."""
RENAMED = {"from_target": "from", "to_target": "to"}
"""As the history names them."""
HAPPENED_MAX = 200_000
"""Beyond it only the figures go on."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the timeline."""

    at_seconds: float
    """Since the run began."""
    item: dict[str, Any]
    """As one of `/api/v1/events`."""


class Timeline:
    """Keeps what happens, or, where it is not `kept`, nothing."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._began = Timestamp(0)
        self._happened: list[Happened] = []

    def begin(self, now: Moment, config: Config, *, duration_seconds: float) -> None:
        self._began = now.timestamp
        if not self._kept:
            return
        used = {target.provider for route in config.routes for target in route.targets}
        for name, provider in config.providers.items():
            if name in used:
                weather = provider.simulated.weather
                self._happened += _changes(name, weather, duration_seconds)

    def take(self, event: Event) -> None:
        if not self._kept or not _matters(event) or len(self._happened) >= HAPPENED_MAX:
            return
        item: dict[str, Any] = {"kind": event.kind}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            if name != "usage" and value is not None:
                item[RENAMED.get(name, name)] = value
        self._happened.append(Happened((event.ts - self._began) / MICROS, item))

    def all(self) -> tuple[Happened, ...]:
        """In the order of their times."""
        return tuple(sorted(self._happened, key=lambda each: each.at_seconds))


def _matters(event: Event) -> bool:
    match event:
        case RequestFinished():
            return event.outcome not in (RequestOutcome.OK, RequestOutcome.CANCELLED)
        case AttemptFinished():
            return event.probe
        case CandidateSkipped():
            return False
        case _:
            return True


def _changes(
    provider: str, weather: tuple[Weather, ...], duration_seconds: float
) -> Iterator[Happened]:
    before = Weather()
    for start, spell in spells(weather):
        if start > duration_seconds:
            return
        if spell.failure != before.failure or spell.probability != before.probability:
            item = {
                "kind": WEATHER,
                "provider": provider,
                "failure": spell.failure.value if spell.failure is not None else None,
                "probability": spell.probability,
                "every": spell.every,
            }
            yield Happened(start, item)
        before = spell
