"""The offline checker explains every decision of simulated runs, and notices a log that was changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as struct_replace

from gateway.config import Storage
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownEnded,
    CooldownSource,
    CooldownStarted,
    Event,
    Failure,
    FlappingEnded,
    FlappingStarted,
    ProcessStarted,
    RequestFinished,
    SkipReason,
    Stamped,
    Switched,
    SwitchKind,
)
from gateway.units import Timestamp
from storage.database import open_database
from storage.queries import Queries
from storage.writer import Writer
from tests.simulation.adversary import Steady, two_targets
from tests.simulation.checker import check, check_stamped, from_items
from tests.simulation.schedules import Play, schedule
from tests.simulation.weathers import Limit, Sky, Spell
from tests.simulation.world import World

SCHEDULES = 150
CONFIG = two_targets(
    cooldown_min_seconds=20.0,
    return_good_seconds=10.0,
    return_good_max_seconds=10.0,
    half_life_seconds=600.0,
    suppress_max_seconds=1500.0,
    moves_refill_seconds=60.0,
)
SKIES = {
    "p": Sky(
        spells=(Spell(seconds=100), Spell(seconds=40, failure=Failure.OVERLOADED)),
        content_seconds=4.0,
    ),
    "f": Sky(
        limits=(
            Limit(requests=12, window_seconds=60.0, states=False),
            Limit(requests=100, window_seconds=600.0),
        )
    ),
}


def rough_hours(hours: float = 1.5) -> list[Event]:
    """A log with holds, probes, returns, both kinds of rests, and flapping."""
    world = World(CONFIG, SKIES, seed=3)
    Steady(world, 2.0)
    world.run(hours * 3600.0)
    return world.events


@pytest.fixture(scope="module")
def log() -> list[Event]:
    return rough_hours()


def stamp(events: Sequence[Event], *, boot: str = "boot") -> list[Stamped]:
    return [Stamped(seq, boot, "v1", event) for seq, event in enumerate(events, start=1)]


def test_every_decision_of_many_schedules_is_explained() -> None:
    for seed in range(SCHEDULES):
        mine = replace(schedule(seed), jumps=False, restarts=False)
        play = Play(mine, watch=False)
        play.world.at(0.0, play.next_request)
        play.world.run()
        problems = check(mine.config, play.world.events)
        assert not problems, f"seed {seed}: {problems[0]}"


def test_a_log_of_flapping_is_explained(log: list[Event]) -> None:
    assert {"switched", "flapping_started", "cooldown_started"} <= {each.kind for each in log}
    assert check(CONFIG, log) == []


async def test_a_log_that_went_through_the_store_is_explained(
    log: list[Event], tmp_path: Path
) -> None:
    """The rows of a history hold all that the checker needs."""
    database = await open_database(Storage(), folder=tmp_path)
    assert database.writer is not None
    writer, queries = Writer(database.writer), Queries(database.reader)
    stamped = stamp(log)
    for begin in range(0, len(stamped), 500):
        await writer.take(stamped[begin : begin + 500])
    items: list[dict[str, Any]] = []
    while found := await queries.events_after(items[-1]["id"] if items else 0):
        items += found
    await database.close()
    assert len(items) == len(log)
    assert check_stamped(CONFIG, from_items(items)) == []


# -- it can fail ---------------------------------------------------------------------------------

Tamper = Callable[[list[Event]], list[Event]]


def without(kind: type[Any], nth: int = 0, **like: object) -> Tamper:
    """The log without the n-th event of this kind."""

    def tamper(events: list[Event]) -> list[Event]:
        index = _positions(events, kind, **like)[nth]
        return events[:index] + events[index + 1 :]

    return tamper


def changed(
    kind: type[Any], nth: int = 0, like: dict[str, object] | None = None, **to: Any
) -> Tamper:
    def tamper(events: list[Event]) -> list[Event]:
        index = _positions(events, kind, **(like or {}))[nth]
        fresh = {name: v(events[index]) if callable(v) else v for name, v in to.items()}
        return [*events[:index], struct_replace(events[index], **fresh), *events[index + 1 :]]

    return tamper


def _positions(events: list[Event], kind: type[Any], **like: object) -> list[int]:
    return [
        index
        for index, event in enumerate(events)
        if isinstance(event, kind)
        and all(getattr(event, name) == value for name, value in like.items())
    ]


TAMPERINGS: dict[str, Tamper] = {
    "a switch is missing": without(Switched, 1),
    "a hold is missing": without(CooldownStarted, source=CooldownSource.HOLD),
    "a rest is missing": without(CooldownStarted, source=CooldownSource.LADDER),
    "a rest's end is missing": without(CooldownEnded),
    "flapping begins untold": without(FlappingStarted),
    "flapping ends too early": changed(FlappingEnded, ts=lambda e: Timestamp(e.ts - 10**9)),
    "a switch comes from elsewhere": changed(Switched, 1, from_target="p/m", to_target="f/m"),
    "a switch is no reversal": changed(Switched, 1, reversal=False),
    "a penalty is another": changed(
        Switched, 1, like={"switch": SwitchKind.FORCED}, penalty=lambda e: e.penalty + 1
    ),
    "a return has too little evidence": changed(
        Switched, 0, like={"switch": SwitchKind.RETURN}, ts=lambda e: Timestamp(e.ts - 2 * 10**8)
    ),
    "a rest is longer": changed(
        CooldownStarted,
        like={"source": CooldownSource.LADDER},
        until=lambda e: Timestamp(e.until + 10**9),
    ),
    "a hold is shorter": changed(
        CooldownStarted,
        like={"source": CooldownSource.HOLD},
        until=lambda e: Timestamp(e.until - 10**8),
    ),
    "a step of the ladder is another": changed(
        CooldownStarted, like={"source": CooldownSource.LADDER}, level=4
    ),
    "a rest has another reason": changed(
        CooldownStarted, like={"source": CooldownSource.LADDER}, reason="connect"
    ),
    "a probe is no probe": changed(
        AttemptFinished, like={"probe": True, "provider": "p"}, nth=1, probe=False
    ),
    "an attempt is a probe": changed(
        AttemptFinished, like={"probe": False, "provider": "f"}, nth=3, probe=True
    ),
    "a skip has another cause": changed(
        CandidateSkipped, like={"reason": SkipReason.HELD}, cause="connect"
    ),
    "a skip cools": changed(
        CandidateSkipped, like={"reason": SkipReason.HELD}, reason=SkipReason.COOLING, until=None
    ),
    "a suppressed target was not": changed(
        CandidateSkipped, like={"reason": SkipReason.HELD}, reason=SkipReason.SUPPRESSED
    ),
    "a same fault was none": changed(
        CandidateSkipped, like={"reason": SkipReason.HELD}, reason=SkipReason.SAME_FAULT
    ),
    "an attempt is missing": without(AttemptFinished, 5),
    "a skip is missing": without(CandidateSkipped),
    "a request tells of more": changed(RequestFinished, attempts=7),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_log_that_was_changed_is_noticed(log: list[Event], tampering: str) -> None:
    assert check(CONFIG, TAMPERINGS[tampering](list(log)))


def test_a_gap_in_the_numbers_is_noticed(log: list[Event]) -> None:
    stamped = stamp(log[:50])
    assert not [each for each in check_stamped(CONFIG, stamped) if "boot" in each]
    assert (
        check_stamped(CONFIG, [*stamped[:10], *stamped[11:]])[0] == "boot boot: after 10 comes 12"
    )


def test_a_new_boot_begins_its_own_numbers(log: list[Event]) -> None:
    first = stamp(log[:1], boot="one")
    started = ProcessStarted(ts=log[0].ts, version="1", python="3", sqlite="3")
    assert check_stamped(CONFIG, [*first, *stamp([started], boot="two")]) == check(
        CONFIG, [log[0], started]
    )
