"""`evenkeel export` and `evenkeel replay` on a recorded run, in process."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from pyarrow import parquet

from gateway.cli import cli
from gateway.cli_export_formats import Form, columns, flat, writing
from gateway.dry_run import reading
from tests.recording import events_of, store

DAY = ("--since", "2025-12-31", "--until", "2026-01-02")
"""Around the virtual times of recorded runs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of flapping, and the configuration that ran."""
    folder = tmp_path_factory.mktemp("recorded")
    script = reading.load("flapping", cwd=folder)
    asyncio.run(store(events_of(script, hours=1.0), folder=folder))
    text = Path(reading.__file__).parents[1].joinpath("scenarios/flapping.yaml").read_text()
    settings = {**yaml.safe_load(text)["config"], "server": {"port": 9}}
    (folder / "evenkeel.yaml").write_text(yaml.safe_dump(settings))
    settings["routes"][0]["targets"].reverse()
    (folder / "other.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def run(*arguments: str) -> Result:
    variables = {"EVENKEEL_CONFIG": None, "EVENKEEL_ADMIN_KEY": None}
    return CliRunner().invoke(cli, arguments, env=variables)


def read_table(path: Path) -> list[dict[str, Any]]:
    read: Any = parquet.read_table
    rows: list[dict[str, Any]] = read(path).to_pylist()
    return rows


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


# -- export --------------------------------------------------------------------------------------


def test_every_row_leaves_once_and_oldest_first() -> None:
    rows = lines(run("export", *DAY))
    ids = [row["id"] for row in rows]
    assert len(ids) > 3000
    assert ids == sorted(set(ids))


def test_the_three_forms_hold_the_same(folder: Path) -> None:
    rows = lines(run("export", "--table", "attempts", *DAY))
    for form in ("csv", "parquet"):
        result = run("export", "--table", "attempts", *DAY, "-o", f"out.{form}")
        assert result.exit_code == 0, result.output
        assert f"{len(rows)} rows of attempts are in out.{form}" in result.stderr
    with (folder / "out.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    table = read_table(folder / "out.parquet")
    for name in ("id", "n", "target", "outcome"):
        assert [row[name] for row in told] == [str(row[name]) for row in rows]
        assert [row[name] for row in table] == [row[name] for row in rows]
    assert [row["failure"] for row in table] == [row["failure"] for row in rows]


def test_everything_that_happened_fits_into_one_table(folder: Path) -> None:
    rows = lines(run("export", *DAY))
    assert run("export", *DAY, "-o", "all.parquet").exit_code == 0
    table = read_table(folder / "all.parquet")
    assert [row["kind"] for row in table] == [row["kind"] for row in rows]
    [started] = [row for row in table if row["kind"] == "process_started"]
    assert json.loads(started["payload"]) == {"version": "0", "python": "3", "sqlite": "3"}


def test_only_the_window_is_exported() -> None:
    rows = lines(run("export", "--table", "requests", *DAY))
    half = ("--since", "2026-01-01T00:15:00+00:00", "--until", "2026-01-01T00:30:00+00:00")
    some = lines(run("export", "--table", "requests", *half))
    assert 0 < len(some) < len(rows)


def test_parquet_needs_a_file_and_times_must_be_times() -> None:
    assert run("export", "--format", "parquet").exit_code == 2
    assert run("export", "--since", "yesterday").exit_code == 2


def test_a_file_that_cannot_be_written_is_one_line() -> None:
    result = run("export", *DAY, "-o", "nowhere/out.csv")
    assert result.exit_code == 1
    assert "could not write nowhere/out.csv" in result.stderr


@pytest.mark.parametrize("form", list(Form))
def test_memory_does_not_grow_with_the_rows(form: Form) -> None:
    """A page at a time goes through: a hundred of them need no more than twenty."""
    row = {**dict.fromkeys(columns("switches")), "id": 1, "ts": 1, "route": "coder", "to": "a/b"}

    def peak(pages: int) -> int:
        class Away(BytesIO):
            def write(self, data: Any) -> int:
                return len(data)

        tracemalloc.start()
        try:
            writer = writing(form, "switches", Away())
            for _ in range(pages):
                writer.write([dict(row) for _ in range(1000)])
            writer.close()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(100) < 1.5 * peak(20)


def test_what_has_no_column_goes_to_the_payload() -> None:
    row = {"id": 1, "kind": "config_rejected", "problems": ["a", "b"]}
    assert json.loads(flat(row, columns("events"))["payload"]) == {"problems": ["a", "b"]}


# -- replay --------------------------------------------------------------------------------------


def test_a_replay_says_what_it_is_worth_and_what_would_have_been() -> None:
    result = run("replay", *DAY, "--config", "other.yaml", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    calibration, sides = found["calibration"], found["figures"]
    assert calibration["decisions"] == sides["recorded"]["requests"] > 1000
    assert calibration["share"] >= 0.99
    assert sides["recorded"]["switches"] == sides["present"]["switches"] > 0
    assert sides["other"]["switches"] == 0
    assert sides["other"]["wasted_attempts"] < sides["present"]["wasted_attempts"]
    assert found["answers"]["present"]["held"] <= 0.01 * calibration["decisions"]
    assert found["answers"]["other"]["held"] > 0
    assert any("held" in line for line in found["assumptions"])
    assert any("unknown" in line for line in found["assumptions"])


def test_it_is_told_side_by_side() -> None:
    result = run("replay", *DAY, "--config", "other.yaml")
    assert result.exit_code == 0, result.output
    told = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "figure recorded present other" in told
    assert any(line.startswith("reversals ") for line in told)
    assert any(line.startswith("coder on primary/large ") for line in told)
    assert any("decisions are as they were recorded" in line for line in told)
    assert "note: recorded under configuration recorded; the present one is" in result.stdout


def test_nothing_recorded_is_nothing_to_replay() -> None:
    result = run("replay", "--since", "1h")
    assert result.exit_code == 1
    assert "no request is recorded in that time" in result.stderr


def test_a_configuration_that_is_wrong_is_told_before_anything_is_read() -> None:
    result = run("replay", *DAY, "--config", "missing.yaml")
    assert result.exit_code == 2
