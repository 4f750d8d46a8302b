"""`evenkeel ask` on a recorded run, in process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.cli_ask import NAMES
from gateway.dry_run import reading
from storage.questions import QUESTIONS
from tests.recording import events_of, store

DAY = ("--since", "2025-12-31", "--until", "2026-01-02")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    events = events_of(reading.load("flapping", cwd=folder), hours=0.5)
    asyncio.run(store(events, folder=folder))
    (folder / "evenkeel.yaml").write_text(
        "server: {port: 9}\nproviders: {a: {dialect: simulated, credentials: [{name: main}]}}\n"
    )
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["ask", *arguments], env={"EVENKEEL_CONFIG": None})


def test_the_command_knows_the_questions_of_the_store() -> None:
    assert tuple(QUESTIONS) == NAMES


def test_without_a_question_all_are_answered() -> None:
    result = run(*DAY)
    assert result.exit_code == 0, result.output
    for question in QUESTIONS.values():
        assert question.asks in result.stdout
    assert "nothing" in result.stdout
    assert result.stderr.count("this is from the database file") == 1


def test_one_answer_as_json() -> None:
    result = run("flapping", *DAY, "--json")
    found = json.loads(result.stdout)
    assert (found["question"], found["gaps"]) == ("flapping", 0)
    assert found["items"][0]["reversals"] > 0


def test_what_is_no_time_is_told() -> None:
    assert run("users", "--since", "yesterday").exit_code == 2
