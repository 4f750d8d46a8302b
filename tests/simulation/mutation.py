"""The mutation check: takes each rule of `mutants` away, on a copy, and asks the tests who notices.

`make mutation`, or `python -m tests.simulation.mutation [WORD …]` for the rules that contain a word.
Exits with 1 if a rule can be taken away unnoticed, or if its patch no longer fits the code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.simulation.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("gateway", "storage", "dashboards", "docs", "tests", "pyproject.toml")
STAGES: tuple[tuple[str, ...], ...] = (
    ("tests/gateway/routing",),
    ("tests/simulation", "--deselect", "tests/simulation/test_mutation.py"),
)
"""Rules that their own tests notice are found within seconds; the simulation takes longer."""
QUICK = {"SIMULATION_SCHEDULES": "300"}
"""Fewer schedules than in CI: what 300 do not notice is hardly held."""
JOBS = 2
LONGEST_SECONDS = 300.0
"""Some mutants never end; that is noticed too."""
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
UNNOTICED, STALE, HANGS = "unnoticed", "its patch does not fit any more", "never ends"


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    noticed_by: str
    """The first test that failed."""
    held: bool


def patched(source: str, mutant: Mutant) -> str | None:
    """None where the patch does not fit."""
    if source.count(mutant.old) != mutant.times:
        return None
    return source.replace(mutant.old, mutant.new)


def judge(mutant: Mutant, folder: Path) -> Verdict:
    """Patches the copy in `folder`, runs the tests there, and puts it right again."""
    path = folder / mutant.file
    source = path.read_text(encoding="utf-8")
    fresh = patched(source, mutant)
    if fresh is None:
        return Verdict(mutant, STALE, held=False)
    path.write_text(fresh, encoding="utf-8")
    try:
        found = first_failing(folder)
    finally:
        path.write_text(source, encoding="utf-8")
    return Verdict(mutant, found or UNNOTICED, held=bool(found))


def first_failing(folder: Path) -> str:
    """The first test of all stages that fails there; empty if all pass."""
    return next(filter(None, (failing(stage, folder) for stage in STAGES)), "")


def failing(stage: Sequence[str], folder: Path) -> str:
    """The first test of the stage that fails there; empty if all pass."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *stage]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | QUICK,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return HANGS
    if done.returncode == 0:
        return ""
    found = FIRST_FAILURE.search(done.stdout)
    return found[1] if found else f"pytest exits with {done.returncode}"


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """So many copies of the tree, to be taken and put back."""
    folders: SimpleQueue[Path] = SimpleQueue()
    with TemporaryDirectory(prefix="mutation-") as where:
        for number in range(count):
            folder = Path(where) / str(number)
            folder.mkdir()
            for name in COPIED:
                copy(ROOT / name, folder / name)
            folders.put(folder)
        yield folders


def copy(source: Path, to: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, to)


def main(words: Sequence[str]) -> int:
    wanted = [each for each in MUTANTS if not words or any(word in each.rule for word in words)]
    width = max((len(each.rule) for each in wanted), default=0)
    with copies(JOBS) as folders, ThreadPoolExecutor(JOBS) as pool:
        folder = folders.get()
        already = first_failing(folder)
        folders.put(folder)
        if already:
            sys.stdout.write(
                f"{already} fails with every rule in its place: nothing can be shown\n"
            )
            return 1

        def run(mutant: Mutant) -> Verdict:
            folder = folders.get()
            try:
                return judge(mutant, folder)
            finally:
                folders.put(folder)

        verdicts: list[Verdict] = []
        for verdict in pool.map(run, wanted):
            verdicts.append(verdict)
            mark = "ok " if verdict.held else "NOT"
            sys.stdout.write(f"{mark} {verdict.mutant.rule:{width}}  {verdict.noticed_by}\n")
            sys.stdout.flush()
    lost = [each for each in verdicts if not each.held]
    sys.stdout.write(f"{len(verdicts) - len(lost)} of {len(verdicts)} rules are held\n")
    return 1 if lost or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
