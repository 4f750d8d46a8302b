from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from storage.migrating import MIGRATIONS
from tests.storage.released import released


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "evenkeel.yaml").write_text(
        "providers: {sim: {dialect: simulated}}\nroutes: [{name: r, targets: [sim/m]}]\n"
    )
    with contextlib.chdir(tmp_path):
        yield tmp_path


def run(*arguments: str) -> Result:
    unset = {name: None for name in os.environ if name.endswith("_API_KEY")}
    return CliRunner().invoke(cli, ["migrate", *arguments], env={**unset, "EVENKEEL_CONFIG": None})


def test_an_older_file_is_named_then_upgraded_and_then_well(folder: Path) -> None:
    released("0001", folder / "evenkeel.db")
    head = MIGRATIONS.head
    for arguments, status in ((("current",), 0), (("--check",), 1), (("current", "--check"), 1)):
        result = run(*arguments)
        assert result.exit_code == status
        assert f"evenkeel.db: schema 0001; this version's is {head}" in result.output
        assert os.listdir(folder).count("evenkeel.db.0001.1.backup") == 0  # noqa: PTH208
    result = run()
    assert result.exit_code == 0
    assert f"now {head}; the file as it was: {folder}" in result.output.replace("\n", "")
    for argument in ("upgrade", "current", "--check"):
        result = run(argument)
        assert result.exit_code == 0
        assert f"schema {head}; this version's is {head}" in result.output


def test_without_a_file_one_is_made(folder: Path) -> None:
    assert run("current").exit_code == 0
    assert not (folder / "evenkeel.db").exists()
    result = run()
    assert result.exit_code == 0
    assert "schema none" in result.output
    assert (folder / "evenkeel.db").exists()


def test_what_cannot_be_migrated_is_said(folder: Path) -> None:
    (folder / "evenkeel.db").write_text("nothing of the kind" * 100)
    result = run()
    assert result.exit_code == 1
    assert "is not an SQLite database" in result.output
