"""Histories to read: a scenario played in virtual time, and stored as a gateway would store it.

`python -m tests.recording FOLDER [SCENARIO] [HOURS]` leaves one behind to look at.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config import Storage
from gateway.dry_run import reading
from gateway.dry_run.scenario import Script
from gateway.dry_run.stage import play
from gateway.events import Event, ProcessStarted, Stamped
from gateway.units import Timestamp
from storage.database import open_database
from storage.writer import Writer

BATCH: Final = 500
BOOT: Final = "0123456789abcdef"
VERSION: Final = "recorded"


def events_of(script: Script, *, hours: float | None = None) -> list[Event]:
    """What a gateway would have emitted, in order."""
    if hours is not None:
        scenario = replace(script.scenario, duration_seconds=hours * 3600.0)
        script = replace(script, scenario=scenario)
    heard: list[Event] = []
    play(script, timeline=False, hear=heard.append)
    return heard


def stamped(events: Sequence[Event]) -> list[Stamped]:
    """Numbered as by one boot, which begins with them."""
    began = min(event.ts for event in events)
    first = ProcessStarted(ts=Timestamp(began), version="0", python="3", sqlite="3")
    return [Stamped(n, BOOT, VERSION, event) for n, event in enumerate((first, *events), start=1)]


async def store(events: Sequence[Event], *, folder: Path, storage: Storage | None = None) -> Path:
    """The database with all of them."""
    database = await open_database(storage or Storage(), folder=folder)
    assert database.writer is not None
    try:
        writer, numbered = Writer(database.writer), stamped(events)
        for start in range(0, len(numbered), BATCH):
            await writer.take(numbered[start : start + BATCH])
    finally:
        await database.close()
    return database.path


def main() -> None:
    folder = Path(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else "flapping"
    hours = float(sys.argv[3]) if len(sys.argv) > 3 else None
    events = events_of(reading.load(name, cwd=Path.cwd()), hours=hours)
    folder.mkdir(parents=True, exist_ok=True)
    path = asyncio.run(store(events, folder=folder))
    sys.stdout.write(f"{len(events)} events of {name} are in {path}\n")


if __name__ == "__main__":
    main()
