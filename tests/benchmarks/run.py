"""One interleaved run: everybody is started, takes turns, round by round, and is ended.

It does not die of a subject: who cannot be started, breaks, or gives no whole answer is named among
the troubles, and the others go on.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import click

from tests.benchmarks import parts
from tests.benchmarks.figures import Round, percentile
from tests.benchmarks.native import Driver
from tests.benchmarks.results import Results
from tests.benchmarks.scales import Scale
from tests.benchmarks.scenarios import (
    MICROS,
    PERCENTS,
    Rig,
    Scenario,
    Slice,
    takes_part,
    warm,
    with_added,
)
from tests.benchmarks.subjects import DIRECT, Kind, Stage, Subject, direct

FOREIGN_SHARE_MAX = 0.08
"""Of the subject's core: a slice in which others used more is disturbed."""
STARTS_MAX = 2
"""A machine may be busy for a while."""

Save = Callable[[Results], None]
"""Called after each scenario, so that what was measured survives what comes after it."""


@dataclass(slots=True)
class _Held:
    """A subject that runs; it may be started anew."""

    kind: Kind
    subject: Subject
    stack: ExitStack
    pool: dict[tuple[str, str], array[float]] = field(default_factory=dict)


class Running:
    """All subjects of a run, by name."""

    def __init__(self, rig: Rig, results: Results) -> None:
        self._rig = rig
        self._results = results
        self._held: dict[str, _Held] = {}

    def start(self, kind: Kind) -> bool:
        if kind.cannot:
            return self._trouble(kind.name, kind.cannot)
        why = ""
        for _ in range(STARTS_MAX):
            stack = ExitStack()
            try:
                subject = stack.enter_context(kind.launch(self._rig.stage))
                warm(self._rig, subject)
            except Exception as error:  # noqa: BLE001 - one subject less; the others go on
                stack.close()
                why = _told(error)
            else:
                self._held[kind.name] = _Held(kind, subject, stack)
                return True
        return self._trouble(kind.name, f"cannot be started: {why}")

    def _trouble(self, name: str, why: str) -> bool:
        click.echo(f"  {name}: {why}", err=True)
        self._results.troubles.append(f"{name}: {why}")
        return False

    def takers(self, scenario: Scenario) -> list[tuple[str, Kind]]:
        return [
            (name, each.kind)
            for name, each in self._held.items()
            if (name == DIRECT and scenario.directly) or takes_part(each.kind, scenario)
        ]

    def once(self, scenario: Scenario, name: str, number: int) -> None:
        """A slice of one subject, done anew where others disturbed it."""
        held = self._held.get(name)
        if held is None:  # It ended in this round, and could not be started anew.
            return
        best: Slice | None = None
        try:
            for _ in range(self._rig.scale.repeats + 1):
                found = (
                    scenario.starts(self._rig, held.kind)
                    if scenario.starts is not None
                    else scenario.run(self._rig, held.subject)
                )
                if best is None or found.foreign < best.foreign:
                    best = found
                if best.foreign <= FOREIGN_SHARE_MAX or name == DIRECT:
                    break
        except Exception as error:  # noqa: BLE001 - a broken subject is told, the others go on
            self._trouble(f"{scenario.name}, round {number}, {name}", _told(error))
        if best is not None:
            self._keep(scenario.name, name, number, best)
        if not held.subject.alive():
            held.stack.close()
            del self._held[name]
            self._trouble(f"{scenario.name}, round {number}, {name}", "has ended; started anew")
            self.start(held.kind)

    def _keep(self, scenario: str, name: str, number: int, found: Slice) -> None:
        disturbed = name != DIRECT and found.foreign > FOREIGN_SHARE_MAX
        rounds = self._results.rounds.get(scenario, {}).get(DIRECT, [])
        bare = next((each.figures for each in rounds if each.number == number), {})
        if name != DIRECT:
            with_added(found.figures, bare)
        if found.why:
            self._trouble(f"{scenario}, round {number}, {name}", f"not all whole: {found.why}")
        self._results.add(scenario, name, Round(number, found.figures, found.foreign, disturbed))
        for beginning, samples in found.samples.items():
            pool = self._held[name].pool.setdefault((scenario, beginning), array("f"))
            pool.extend(samples)

    def part_with(self, left: Sequence[Scenario]) -> None:
        """Ends those who take part in no scenario that is left."""
        for name, held in list(self._held.items()):
            if name != DIRECT and not any(takes_part(held.kind, each) for each in left):
                held.stack.close()
                del self._held[name]

    def pooled(self, scenario: str) -> None:
        """The percentiles of all rounds together, for those too rare for one round."""
        for name, held in self._held.items():
            for (of, beginning), samples in list(held.pool.items()):
                if of == scenario:
                    into = self._results.pooled.setdefault(scenario, {}).setdefault(name, {})
                    values = sorted(samples)
                    into |= {
                        f"{beginning}{percent:g} us": percentile(values, percent) * MICROS
                        for percent in PERCENTS
                    }
                    del held.pool[of, beginning]

    def close(self) -> None:
        for held in self._held.values():
            held.stack.close()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def rigged(driver: Driver, scale: Scale, *, native: bool) -> Iterator[tuple[Rig, Subject]]:
    """A provider to measure with, and a folder; both are gone afterwards."""
    with (
        TemporaryDirectory(prefix="evenkeel-benchmark-") as folder,
        direct(Path(folder), native=native) as bare,
    ):
        stage = Stage(Path(folder), f"http://127.0.0.1:{bare.port}")
        yield Rig(driver, scale, stage), bare


def run(
    rig: Rig,
    bare: Subject,
    results: Results,
    *,
    kinds: Sequence[Kind],
    scenarios: Sequence[Scenario],
    part_names: Sequence[str],
    save: Save,
) -> None:
    """Fills `results`."""
    running = Running(rig, results)
    try:
        if scenarios:
            running.start(_directly(bare))
        for kind in kinds:
            if any(takes_part(kind, scenario) for scenario in scenarios):
                click.echo(f"starting {kind.name}", err=True)
                running.start(kind)
        for place, scenario in enumerate(scenarios):
            _scenario(running, scenario, results, scenario.rounds(rig.scale))
            running.part_with(scenarios[place + 1 :])
            save(results)
    finally:
        running.close()
    for name in part_names:
        _part(rig, name, results)
        save(results)


def _directly(bare: Subject) -> Kind:
    """The provider as a kind; it is not ours to end."""

    @contextmanager
    def launch(_: Stage) -> Iterator[Subject]:
        yield bare

    return Kind(DIRECT, launch, frozenset())


def _scenario(running: Running, scenario: Scenario, results: Results, rounds: int) -> None:
    results.titles[scenario.name] = scenario.title
    began = perf_counter()
    for number in range(rounds):
        takers = [name for name, _ in running.takers(scenario)]
        if DIRECT in takers:  # Always first: what the others add is told beside it.
            takers.remove(DIRECT)
            running.once(scenario, DIRECT, number)
        turn = number % len(takers) if takers else 0
        for name in takers[turn:] + takers[:turn]:
            running.once(scenario, name, number)
    running.pooled(scenario.name)
    took = perf_counter() - began
    click.echo(f"{scenario.name}: {rounds} rounds, {took:.0f} s", err=True)


def take_faults(results: Results, file: Path = parts.FAULTS) -> None:
    """Puts what `make bench-faults` found beside this run's figures."""
    try:
        results.parts["faults"] = parts.faults(file)
    except (OSError, ValueError) as error:
        results.troubles.append(f"faults: {_told(error)}; run `make bench-faults`")


def _part(rig: Rig, name: str, results: Results) -> None:
    click.echo(f"part {name}", err=True)
    why = parts.missing(name)
    if not why:
        try:
            results.parts[name] = parts.part(name)(rig)
        except Exception as error:  # noqa: BLE001 - a broken part is told, the others go on
            why = _told(error)
    if why:
        click.echo(f"  {name}: {why}", err=True)
        results.troubles.append(f"part {name}: {why}")
