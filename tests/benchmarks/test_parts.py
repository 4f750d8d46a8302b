from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import parts
from tests.benchmarks.results import Results
from tests.benchmarks.run import take_faults


@pytest.mark.parametrize("name", parts.PARTS)
def test_a_part_can_be_run_or_says_why_not(name: str) -> None:
    why = parts.missing(name)
    assert why == f"{parts.PARTS[name]} is not there" if why else callable(parts.part(name))


def test_figures_under_fault_are_taken_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    told = {"evenkeel": {"per_second": 100.0, "error": {"lost": 0, "leave_seconds": None}}}
    file.write_text(json.dumps(told), encoding="utf-8")
    results = Results()
    take_faults(results, file)
    assert results.parts["faults"] == {"evenkeel: error": {"lost": [0]}}
    assert results.troubles == []


def test_without_that_file_the_run_says_so(tmp_path: Path) -> None:
    results = Results()
    take_faults(results, tmp_path / "faults.json")
    assert results.parts == {}
    assert "bench-faults" in results.troubles[0]
