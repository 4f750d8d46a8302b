"""`evenkeel dry-run` as it is used: scenarios by name and by file, tables, JSON, exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.cli_dry_run_output import LINES_MAX, Line, folded, shortened
from gateway.dry_run import reading
from gateway.dry_run.strategies import STRATEGIES
from gateway.dry_run.timeline import WEATHER
from tests.gateway.dry_run.building import TEXT


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["dry-run", *arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A working folder of the test's own, with a scenario in it."""
    (tmp_path / "mine.yaml").write_text(TEXT)
    with chdir(tmp_path):
        yield tmp_path


def test_the_shipped_scenarios_are_listed() -> None:
    told = run("--list").stdout
    for name in reading.shipped():
        assert f"\n{name} " in told
    listed = json.loads(run("--list", "--json").stdout)
    assert [each["name"] for each in listed] == reading.shipped()


def test_one_scenario_is_told_as_a_timeline_and_a_table() -> None:
    result = run("mine.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "0:10:00  weather: primary fails, server_error" in result.stdout
    assert "coder switched primary/large → backup/large" in result.stdout
    assert "coder returned backup/large → primary/large" in result.stdout
    assert "\nrequests " in result.stdout
    assert result.stdout.endswith("mine: as expected\n")


def test_a_missed_expectation_is_named_and_is_exit_status_1(folder: Path) -> None:
    wanted = "expect: {switches: {max: 1}, failed: 0}"
    (folder / "strict.yaml").write_text(TEXT.replace("expect: {failed: 0}", wanted))
    result = run("strict.yaml")
    assert result.exit_code == 1
    assert "strict: 1 expectation missed\n  switches: expected at most 1, was 2" in result.stdout
    both = run("strict.yaml", "mine.yaml")
    assert both.exit_code == 1
    assert "strict: switches: expected at most 1, was 2" in both.stdout


def test_a_broken_scenario_is_exit_status_2_with_every_problem(folder: Path) -> None:
    broken = TEXT.replace("sessions", "sesions").replace("failed: 0", "faild: 0")
    (folder / "broken.yaml").write_text(broken)
    result = run("broken.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "traffic[0].sesions: unknown key; did you mean 'sessions'?" in result.stderr
    assert "expect.faild" in result.stderr
    assert run("nowhere").exit_code == 2


def found(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return answer


def test_json_holds_figures_and_timeline() -> None:
    told = found("mine.yaml")
    assert told["ok"] is True
    [scenario] = told["scenarios"]
    assert scenario["name"] == "mine"
    assert scenario["figures"]["switches"] == 2
    assert {each["kind"] for each in scenario["timeline"]} >= {"switched", WEATHER}


def test_seed_and_length_can_be_given() -> None:
    [short] = found("mine.yaml", "--seed", "7", "--hours", "0.1")["scenarios"]
    assert (short["seed"], short["duration_seconds"]) == (7, 360)
    assert short["figures"]["switches"] == 0


def test_it_plays_on_ones_own_routes(folder: Path) -> None:
    own = """
providers:
  openai: {credentials: [{name: main, key: sk-very-secret-key}]}
  anthropic: {credentials: [{name: main, key: sk-ant-very-secret}]}
routes:
  - {name: chat, targets: [openai/gpt, anthropic/claude]}
"""
    (folder / "own.yaml").write_text(own)
    result = run("mine.yaml", "--config", "own.yaml")
    assert result.exit_code == 0
    assert "chat switched openai/gpt → anthropic/claude" in result.stdout
    assert "very-secret" not in result.stdout
    assert run("mine.yaml", "--config", "own.yaml", "--route", "x").exit_code == 2
    assert run("mine.yaml", "--config", "gone.yaml").exit_code == 2


def test_strategies_are_compared_side_by_side() -> None:
    result = run("--compare", "mine.yaml", "--hours", "0.2")
    assert result.exit_code == 0
    head, row, legend = result.stdout.splitlines()
    assert all(name in head for name in STRATEGIES)
    assert row.startswith("mine ")
    assert row.count(" · ") == 2 * len(STRATEGIES)
    assert legend.startswith("Of 0.2 h: ")


def test_a_comparison_as_json_has_all_figures() -> None:
    told = found("--compare", "mine.yaml", "--hours", "0.2")
    assert set(told["scenarios"]["mine"]) == set(STRATEGIES)
    assert told["scenarios"]["mine"]["this design"]["failed_with_healthy"] == 0


# -- the timeline's length -------------------------------------------------------------------------


def lines(count: int, kind: str) -> list[Line]:
    return [Line(float(n), kind, f"{kind} {n}") for n in range(count)]


def test_alike_lines_in_a_row_are_one() -> None:
    same = [Line(float(n), "switched", "same") for n in range(3)]
    [one] = folded(same)
    assert (one.times, one.at_seconds, one.until_seconds) == (3, 0.0, 2.0)
    assert len(folded([same[0], Line(1.0, "switched", "other"), same[2]])) == 3


def test_a_long_timeline_leaves_out_what_matters_least_and_says_so() -> None:
    many = lines(10, "switched") + lines(LINES_MAX, "attempt_finished")
    shown, left_out = shortened(many)
    assert {line.kind for line in shown} == {"switched"}
    assert left_out == f"{LINES_MAX} probes"
    short = lines(LINES_MAX, "attempt_finished")
    assert shortened(short) == (short, "")


def test_even_decisions_are_cut_in_the_end() -> None:
    shown, left_out = shortened(lines(LINES_MAX + 5, "switched"))
    assert len(shown) == LINES_MAX
    assert left_out == "5 more lines at the end"
