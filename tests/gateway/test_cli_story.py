"""`evenkeel requests ID` as it is printed, on a recorded flapping run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.cli_story import offset, summary
from gateway.dry_run import reading
from gateway.events import Event, RequestFinished, Switched
from tests.recording import events_of, store

ROOT = Path(__file__).parents[2]
WIDTH = 80


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequence[Event]]:
    """The first switches of a flapping run, in a folder without a gateway."""
    folder = tmp_path_factory.mktemp("recorded")
    events = events_of(reading.load("flapping", cwd=folder), hours=0.2)
    asyncio.run(store(events, folder=folder))
    (folder / "evenkeel.yaml").write_text("server: {port: 9}\n")
    return folder, events


@pytest.fixture(autouse=True)
def inside(recorded: tuple[Path, Sequence[Event]]) -> Iterator[None]:
    with contextlib.chdir(recorded[0]):
        yield


@pytest.fixture
def switch(recorded: tuple[Path, Sequence[Event]]) -> Switched:
    """The first: away from the primary, which has failed."""
    return next(event for event in recorded[1] if isinstance(event, Switched))


def printed(request_id: str) -> list[str]:
    variables = {"EVENKEEL_CONFIG": None, "EVENKEEL_ADMIN_KEY": None}
    result = CliRunner().invoke(cli, ["requests", request_id], env=variables)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("database file") == 1
    return result.stdout.splitlines()


def test_a_rescued_request_is_told_from_its_beginning_to_its_end(switch: Switched) -> None:
    head, lines = "\n".join(printed(switch.request_id)).split("\n\n")
    said = dict(line.split("  ", 1) for line in head.splitlines())
    assert said["request"].strip() == switch.request_id
    assert said["asked for"].startswith("coder at /v1/chat/completions, about ")
    assert said["outcome"].strip().startswith("ok, status 200, in 2.4 s, first content after")
    assert said["served by"] == "backup/large [main] instead of primary/large (server_error)"
    assert said["waited"].strip() == "0 s for a candidate, 0.03 s lost to attempts that failed"
    assert said["cost"].strip().startswith("unknown, metered, ")

    began, failed, held, served, content, switched, ended = lines.splitlines()
    assert began == "+0.000 s     began"
    assert failed.startswith("+0.000 s  1  primary/large [main] tried: failed after 0.03 s, ")
    assert held.startswith("+0.030 s     primary/large is held behind the others on coder for 1 m")
    assert served == "+0.030 s  2  backup/large [main] tried: answered in 2.4 s"
    assert content == "+2.430 s     first content, 2.4 s after it was asked"
    assert switched.startswith("+2.430 s     coder switched primary/large → backup/large")
    assert ended.startswith("+2.430 s     ended: ok, status 200, ")


def test_what_was_passed_over_stands_before_what_served(
    recorded: tuple[Path, Sequence[Event]],
) -> None:
    requests = [event for event in recorded[1] if isinstance(event, RequestFinished)]
    passed = next(event for event in requests if event.skipped)
    lines = printed(passed.request_id)
    first, second = (line for line in lines if re.match(r"\+\S+ s  \d  ", line))
    assert "  1  primary/large skipped: held" in first
    assert "  2  backup/large [main] tried: answered" in second


def test_on_a_terminal_of_eighty_columns_nothing_is_cut_and_nothing_needs_colours(
    switch: Switched,
) -> None:
    colours = terminal(switch.request_id)
    assert "\x1b[" in colours
    lines = terminal(switch.request_id, NO_COLOR="1", TERM="dumb").splitlines()
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= WIDTH
    plain = " ".join(" ".join(printed(switch.request_id)).split())
    assert " ".join(" ".join(lines).split()) == plain


def terminal(request_id: str, **variables: str) -> str:
    """What the command writes to a terminal."""
    ours, theirs = os.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-m", "gateway", "requests", request_id],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        check=True,
        env={
            **clean,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "COLUMNS": str(WIDTH),
            **variables,
        },
    )
    os.close(theirs)
    written = os.read(ours, 10_000).decode()
    os.close(ours)
    return written


def whole(**values: Any) -> dict[str, Any]:
    found = {"request_id": "r", "started": 0, "outcome": "ok", "status": 200}
    return {**found, "duration_seconds": 1.0, **values}


def test_the_head_names_who_asked_for_what_and_what_it_came_to() -> None:
    said = dict(
        summary(
            whole(
                client="laptop",
                route="coder",
                requested_model="gpt",
                endpoint="/v1/messages",
                stream=True,
                client_retries=2,
                session="s1",
                outcome="upstream_error",
                status=502,
                failure="stream_broken",
                reason="reset",
                provider="sunny",
                model="a",
                cost_usd=0.00312,
                billing="metered",
                input_tokens=100,
                cached_tokens=90,
                output_tokens=7,
                waited_seconds=1.5,
            )
        )
    )
    del said["began"]
    assert said == {
        "request": "r of laptop",
        "asked for": "gpt at /v1/messages, route coder, streamed, after 2 tries of the client's",
        "session": "s1",
        "outcome": "upstream_error, status 502, stream_broken, reset, in 1 s",
        "served by": "sunny/a",
        "waited": "1.5 s for a candidate",
        "cost": "0.003120 USD, metered, 100 tokens in, 90 of them cached, 7 out",
    }


def test_a_request_that_nobody_served_has_no_cost() -> None:
    said = dict(summary(whole(outcome="exhausted", status=503, route="coder")))
    assert {"served by", "cost", "session"}.isdisjoint(said)


def test_offsets_have_milliseconds_and_a_sign() -> None:
    assert [offset(n) for n in (0, 30_400, 125_000_000)] == ["+0.000 s", "+0.030 s", "+125.000 s"]
