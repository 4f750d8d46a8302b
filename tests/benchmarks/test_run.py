"""A run goes on when a subject does not: with made-up subjects, and no provider to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.native import PythonDriver
from tests.benchmarks.processes import Reading
from tests.benchmarks.results import Results
from tests.benchmarks.run import run
from tests.benchmarks.scales import SMOKE, Scale
from tests.benchmarks.scenarios import Rig, Scenario, Slice
from tests.benchmarks.subjects import BASE, Kind, Stage, Subject, direct

THREE = Scale("three", 3, 0.01, {}, warm_seconds=0.01, repeats=1, settles=False)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Subject]:
    with direct(tmp_path, native=False) as subject:
        yield subject


def kind(name: str, bare: Subject, *, roles: frozenset[str] = frozenset({BASE})) -> Kind:
    """A process that only waits; the provider answers for it."""

    @contextmanager
    def launch(_: Stage) -> Iterator[Subject]:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as made:
            yield Subject(name=name, port=bare.port, pid=made.pid, ready_seconds=0.1)
            made.kill()

    return Kind(name, launch, roles)


def broken() -> Kind:
    def launch(_: Stage) -> AbstractContextManager[Subject]:
        raise RuntimeError("does not serve")

    return Kind("broken", launch)


def go(
    bare: Subject, kinds: Sequence[Kind], *scenarios: Scenario, scale: Scale = THREE
) -> tuple[Results, list[int]]:
    results, saved = Results(), list[int]()
    run(
        Rig(PythonDriver(), scale, Stage(Path(), f"http://127.0.0.1:{bare.port}")),
        bare,
        results,
        kinds=kinds,
        scenarios=scenarios,
        part_names=[],
        save=lambda so_far: saved.append(len(so_far.rounds)),
    )
    return results, saved


def test_subjects_take_turns_and_what_they_add_is_told(bare: Subject) -> None:
    order: list[str] = []

    def timed(rig: Rig, subject: Subject) -> Slice:
        order.append(subject.name)
        return Slice({"p50 us": 100.0 if subject.name == "direct" else 250.0})

    results, saved = go(bare, [kind("a", bare), kind("b", bare)], Scenario("one", "", timed))
    assert order == ["direct", "a", "b", "direct", "b", "a", "direct", "a", "b"]
    assert [each.figures["added p50 us"] for each in results.of("one", "a")] == [150.0] * 3
    assert "added p50 us" not in results.of("one", "direct")[0].figures
    assert saved == [1]
    assert results.troubles == []


def test_who_cannot_be_started_is_told_and_the_others_go_on(bare: Subject) -> None:
    absent = Kind("absent", broken().launch, cannot="not installed")
    scenario = Scenario("one", "", lambda rig, subject: Slice({"x": 1.0}))
    results, _ = go(bare, [broken(), absent, kind("a", bare)], scenario)
    assert len(results.of("one", "a")) == 3
    assert results.of("one", "broken") == []
    assert "broken: cannot be started: RuntimeError: does not serve" in results.troubles
    assert "absent: not installed" in results.troubles


def test_who_fails_in_a_round_is_told_and_asked_again_in_the_next(bare: Subject) -> None:
    calls: list[str] = []

    def failing(rig: Rig, subject: Subject) -> Slice:
        calls.append(subject.name)
        if calls.count("a") == 2 and subject.name == "a":
            raise ValueError("no whole answer")
        return Slice({"x": 1.0})

    results, _ = go(bare, [kind("a", bare)], Scenario("one", "", failing))
    assert [each.number for each in results.of("one", "a")] == [0, 2]
    assert results.troubles == ["one, round 1, a: ValueError: no whole answer"]


def test_who_ends_is_started_anew(bare: Subject) -> None:
    pids: list[int] = []

    def killing(rig: Rig, subject: Subject) -> Slice:
        pids.append(subject.pid)
        if len(pids) == 1:
            os.kill(subject.pid, 9)
            while subject.alive():
                pass
            raise RuntimeError("gone")
        return Slice({"x": 1.0})

    scenario = Scenario("one", "", killing, directly=False)
    results, _ = go(bare, [kind("a", bare)], scenario)
    assert len(results.of("one", "a")) == 2
    assert len(set(pids)) == 2
    assert results.troubles[-1] == "one, round 0, a: has ended; started anew"


def test_a_disturbed_slice_is_done_once_more_and_marked_if_it_still_is(bare: Subject) -> None:
    foreign = iter([0.5, 0.02, 0.3, 0.2, 0.0])

    def disturbed(rig: Rig, subject: Subject) -> Slice:
        share = next(foreign)
        return Slice({"x": share}, [Reading(1.0, 0.5, share)])

    scenario = Scenario("one", "", disturbed, directly=False)
    results, _ = go(bare, [kind("a", bare)], scenario)
    rounds = results.of("one", "a")
    assert [each.figures["x"] for each in rounds] == [0.02, 0.2, 0.0]
    assert [each.disturbed for each in rounds] == [False, True, False]


def test_rare_percentiles_are_of_all_rounds_together(bare: Subject) -> None:
    samples = iter([[0.001] * 500, [0.001] * 499 + [0.5], [0.002] * 500])

    def timed(rig: Rig, subject: Subject) -> Slice:
        return Slice({"x": 1.0}, samples={"p": next(samples)})

    scenario = Scenario("one", "", timed, directly=False)
    results, _ = go(bare, [kind("a", bare)], scenario)
    pooled = results.pooled["one"]["a"]
    assert pooled["p50 us"] == pytest.approx(1000)
    assert pooled["p99.9 us"] == pytest.approx(2000)


def test_who_takes_part_in_nothing_more_is_ended(bare: Subject) -> None:
    alive: list[bool] = []
    there: list[Subject] = []

    def first(rig: Rig, subject: Subject) -> Slice:
        there.append(subject)
        return Slice({"x": 1.0})

    def second(rig: Rig, subject: Subject) -> Slice:
        alive.append(there[0].alive())
        return Slice({"x": 1.0})

    other = frozenset({"other"})
    go(
        bare,
        [kind("a", bare), kind("b", bare, roles=other)],
        Scenario("one", "", first, directly=False, rounds=lambda scale: 1),
        Scenario("two", "", second, other, directly=False, rounds=lambda scale: 1),
        scale=SMOKE,
    )
    assert alive == [False]
