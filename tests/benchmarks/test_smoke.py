"""All of `make bench` at a tiny size: answers whole, figures there, files fit to be read. No times.

What limits a figure, or how long anything took, is nothing that a test may look at.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks import bench_translate, compare
from tests.benchmarks.native import PythonDriver, works
from tests.benchmarks.results import Results, from_json
from tests.benchmarks.scales import SMOKE
from tests.benchmarks.scenarios import SCENARIOS, Rig
from tests.benchmarks.subjects import PROGRAMS, Stage
from tests.benchmarks.tables import COLUMNS, render
from tests.programs import program

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 240
SUBJECTS = ("nginx", "aiohttp", "evenkeel", "and log lines", "all off")
BASE = {"direct", "nginx", "aiohttp", "evenkeel"}
ALONE = {"evenkeel"}
WHO = {
    "start": BASE - {"direct"},
    "single-1k": BASE | {"and log lines", "all off"},
    "failover": ALONE,
    "chat-to-messages": ALONE,
    "messages-to-chat": ALONE,
}
"""Those who must have figures; in all other scenarios BASE."""


def bench(out: Path, *arguments: str) -> Results:
    command = [sys.executable, "-m", "tests.benchmarks", "--scale", "smoke", "--out", str(out)]
    ran = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return from_json(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smoke") / "run.json"


@pytest.fixture(scope="module")
def results(file: Path) -> Results:
    program("nginx")
    wanted = [each.name for each in SCENARIOS]
    return bench(file, *wanted, *(part for name in SUBJECTS for part in ("--subject", name)))


def test_everybody_was_measured_in_every_scenario(results: Results) -> None:
    assert results.troubles == []
    for scenario in SCENARIOS:
        assert set(results.rounds[scenario.name]) == WHO.get(scenario.name, BASE), scenario.name


def test_all_answers_came_whole(results: Results) -> None:
    for name, subjects in results.rounds.items():
        for subject, rounds in subjects.items():
            for each in rounds:
                wholes = [value for key, value in each.figures.items() if key.endswith("whole")]
                assert wholes or name == "start", (name, subject)
                assert all(value == 1 for value in wholes), (name, subject, each.figures)


def test_all_figures_are_numbers(results: Results) -> None:
    for name, subjects in results.rounds.items():
        for subject, rounds in subjects.items():
            for each in rounds:
                bad = [key for key, value in each.figures.items() if not math.isfinite(value)]
                assert not bad, (name, subject, bad)


def test_every_column_of_the_tables_has_figures(results: Results) -> None:
    for name, columns in COLUMNS.items():
        [mine] = results.rounds[name]["evenkeel"]
        assert set(columns) <= set(mine.figures), name
    assert results.pooled["rate-100"]["evenkeel"]["p99.9 us"] > 0


def test_every_request_that_should_fall_back_or_rotate_was_refused_first(
    results: Results,
) -> None:
    [figures] = [each.figures for each in results.rounds["failover"]["evenkeel"]]
    # On a busy machine requests overlap, and only one of them may try what has just refused.
    assert figures["fallback tried"] > 0
    assert figures["rotation tried"] > 0
    assert figures["sticky tried"] == 0


def test_machine_versions_and_method_are_told(results: Results) -> None:
    language = "C" if works(PROGRAMS) else "Python"
    assert results.about["written in"] == {"provider": language, "load": language}
    assert results.about["versions"]["aiohttp"][0].isdigit()
    assert results.about["machine"]["cores"] >= 1
    assert len(results.bar) == 11
    assert "## The bar" in render(results)


def test_a_run_compared_with_itself_has_not_changed(results: Results, file: Path) -> None:
    told = CliRunner().invoke(compare.main, [str(file), str(file)])
    assert told.exit_code == 0, told.output
    assert " 0 worse" in told.output


def test_provider_and_load_in_python_do_as_well(tmp_path: Path) -> None:
    subjects = ("--subject", "aiohttp", "--subject", "evenkeel")
    results = bench(tmp_path / "run.json", "--python", "single-1k", "paced", "failover", *subjects)
    assert results.troubles == []
    assert results.about["written in"] == {"provider": "Python", "load": "Python"}
    for name in ("single-1k", "paced"):
        assert set(results.rounds[name]) == {"direct", "aiohttp", "evenkeel"}
    assert results.of("failover", "evenkeel")[0].figures["plain whole"] == 1


def test_translations_are_measured_beside_litellm_s() -> None:
    figures = bench_translate.measured(Rig(PythonDriver(), SMOKE, Stage(Path(), "")))
    assert set(figures) == {"ours", "litellm"}
    assert figures["ours"].keys() == figures["litellm"].keys()
    assert {"openai<-anthropic us/chunk", "anthropic<-openai us/chunk"} <= set(figures["ours"])
    assert all(value > 0 for rows in figures.values() for [value] in rows.values())
