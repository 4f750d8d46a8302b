from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dashboards.__main__ import main


def test_checking_writes_nothing_and_fails_where_something_is_old(tmp_path: Path) -> None:
    run = CliRunner()
    checked = run.invoke(main, ["--check", "--output", str(tmp_path)])
    assert checked.exit_code == 1
    assert "is missing" in checked.output
    assert not list(tmp_path.iterdir())
    assert run.invoke(main, ["--output", str(tmp_path)]).exit_code == 0
    assert run.invoke(main, ["--check", "--output", str(tmp_path)]).exit_code == 0
