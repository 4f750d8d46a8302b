"""A run is the same each time, keeps to its time, and is told of as it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.dry_run.scenario import Script
from gateway.dry_run.stage import ACTOR, play
from tests.gateway.dry_run.building import lasting, script

DEEDS = """operator:
  - {at_seconds: 60, act: pin, target: backup/large, note: work}
  - {at_seconds: 120, act: unpin}
  - {at_seconds: 180, act: drain, target: primary/large}
  - {at_seconds: 240, act: enable, target: primary/large}
  - {at_seconds: 300, act: rest, target: primary/large, for_seconds: 60}
  - {at_seconds: 420, act: clear-penalty}
  - {at_seconds: 480, act: reset, provider: primary}
config:
"""


def seeded(made: Script, seed: int) -> Script:
    return replace(made, scenario=replace(made.scenario, seed=seed))


def test_the_same_seed_is_the_same_run() -> None:
    assert play(script()) == play(script())


def test_another_seed_is_another_run() -> None:
    assert play(seeded(script(), 2)).happened != play(script()).happened


def test_what_is_not_expected_is_a_fault() -> None:
    played = play(script(("expect: {failed: 0}", "expect: {failed: 0, switches: 0}")))
    [fault] = played.faults
    assert fault.startswith("switches: expected 0, was")


def test_an_operators_acts_come_at_their_times_and_do_what_they_say() -> None:
    played = play(lasting(script(("config:\n", DEEDS)), 540))
    acts = [
        (each.at_seconds, each.item["action"], each.item["actor"])
        for each in played.happened
        if each.item["kind"] == "operator_acted"
    ]
    assert [act for _, act, _ in acts] == [
        "pin",
        "unpin",
        "drain",
        "enable",
        "rest",
        "clear_penalty",
        "reset",
    ]
    assert [round(at) for at, _, _ in acts] == [60, 120, 180, 240, 300, 420, 480]
    assert {actor for _, _, actor in acts} == {ACTOR}
    first = next(each.item for each in played.happened if each.item["kind"] == "switched")
    assert (first["to"], first["switch"]) == ("backup/large", "operator")
    assert played.figures.failed == 0


def test_the_timeline_is_in_the_order_of_time_and_only_kept_where_it_is_wanted() -> None:
    times = [each.at_seconds for each in play(script()).happened]
    assert times == sorted(times)
    quiet = play(script(), timeline=False)
    assert quiet.happened == ()
    assert quiet.figures == play(script()).figures


def test_its_progress_is_told_and_never_goes_back() -> None:
    told: list[float] = []
    play(script(), progress=told.append)
    assert told == sorted(told)
    assert len(told) > 100
    assert told[-1] == pytest.approx(1.0, abs=0.02)


def test_requests_without_a_session_are_played_too() -> None:
    passing = ("sessions: 3, turn_seconds: 10", "requests_per_minute: 60, stream_share: 0.5")
    figures = play(script(passing)).figures
    assert figures.requests == pytest.approx(1800, rel=0.15)
    assert figures.failed == figures.session_moves == 0
    assert figures.switches == 2
