"""What is measured in its own way, not as a scenario of subjects in turn: a registry by name.

A part's module has `measured(rig: Rig) -> Figures`: subject → figure → its values, one a round
(units at the end of a figure's name). They go into the JSON file under `parts`, and the bar and
the tables find them there. A module that is named here and is not there yet is told, not hidden.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.report import Figures
from tests.benchmarks.scenarios import Rig

PARTS = {
    "translate": "tests.benchmarks.bench_translate",
    "scrape": "tests.benchmarks.bench_scrape",
}
"""In the order in which they are run, after the scenarios.

The bar reads, subject `evenkeel` (translate: `ours` and `litellm`): `scrape` "longest stall ms";
`translate` "openai<-anthropic us/chunk" and "anthropic<-openai us/chunk". The table shows all figures.
"""


FAULTS = Path(__file__).parents[2] / "faults.json"
"""What `make bench-faults` has written: an hour's work that a run does not do again."""


def faults(file: Path = FAULTS) -> Figures:
    """Its figures, a row for each gateway and fault. Raises FileNotFoundError."""
    told = json.loads(file.read_text(encoding="utf-8"))
    return {
        f"{gateway}: {fault}": {name: [value] for name, value in found.items() if value is not None}
        for gateway, faults in told.items()
        for fault, found in faults.items()
        if isinstance(found, dict)
    }


def missing(name: str) -> str:
    """Why a part cannot be run; empty if it can."""
    return "" if find_spec(PARTS[name]) is not None else f"{PARTS[name]} is not there"


def part(name: str) -> Callable[[Rig], Figures]:
    measured: Callable[[Rig], Figures] = importlib.import_module(PARTS[name]).measured
    return measured
