from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from gateway.cli import cli


def test_files_are_written_and_then_up_to_date(tmp_path: Path) -> None:
    run = CliRunner()
    there = ["--output", str(tmp_path)]
    missing = run.invoke(cli, ["dashboards", "--check", *there])
    assert missing.exit_code == 1
    assert "is missing" in missing.output
    written = run.invoke(cli, ["dashboards", *there])
    assert written.exit_code == 0
    assert str(tmp_path / "dashboards" / "evenkeel-overview.json") in written.output
    again = run.invoke(cli, ["dashboards", *there])
    assert (again.exit_code, again.output) == (0, "")
    assert run.invoke(cli, ["dashboards", "--check", *there]).exit_code == 0
