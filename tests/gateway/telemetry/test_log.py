from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import structlog

from gateway.config import LogFormat
from gateway.delivery_parts import Sink
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownStarted,
    Event,
    RequestFinished,
    RequestOutcome,
    Switched,
)
from gateway.telemetry import log
from gateway.telemetry.log import MESSAGES, LogSink, configure
from gateway.telemetry.log_quick import TEXT_CHARS_MAX
from tests.gateway.telemetry.building import stamp
from tests.storage.samples import ALL_KINDS, example

_SINK: type[Sink] = LogSink


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


async def told(
    capsys: pytest.CaptureFixture[str], *events: Event, level: str = "info"
) -> list[dict[str, Any]]:
    configure(LogFormat.JSON, level)
    await LogSink(LogFormat.JSON).take(stamp(events))
    return [json.loads(text) for text in capsys.readouterr().out.splitlines()]


async def test_a_request_is_one_line_with_its_values_as_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = example(
        RequestFinished, outcome=RequestOutcome.OK, duration_seconds=1.23456789, failure=None
    )
    (line,) = await told(capsys, event)
    assert line["message"] == "request"
    assert line["level"] == "info"
    assert line["timestamp"] == "2026-02-02T02:40:00Z"
    assert line["outcome"] == "ok"
    assert line["duration_seconds"] == 1.234568
    assert line["input_tokens"] == 1
    assert "failure" not in line
    assert line["started"].endswith("Z")


async def test_what_an_operator_should_see_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    lines = await told(
        capsys,
        example(Switched),
        example(CooldownStarted),
        example(RequestFinished, outcome=RequestOutcome.EXHAUSTED),
    )
    assert [line["message"] for line in lines] == ["switched", "cooldown started", "request"]
    assert {line["level"] for line in lines} == {"warning"}
    assert "ladder_level" in lines[1]


async def test_attempts_and_skips_are_not_told_of_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = (
        example(AttemptFinished, outcome=AttemptOutcome.FAILED),
        example(AttemptFinished, outcome=AttemptOutcome.OK),
        example(CandidateSkipped),
    )
    assert await told(capsys, *events) == []
    assert [line["message"] for line in await told(capsys, *events, level="debug")] == ["attempt"]


async def test_every_kind_of_event_can_be_told_in_both_formats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = [example(kind) for kind in ALL_KINDS]
    assert set(get_args(Event)) - set(MESSAGES) == {CandidateSkipped}
    for log_format in LogFormat:
        configure(log_format, "debug")
        await LogSink(log_format).take(stamp(events))
        assert len(capsys.readouterr().out.splitlines()) == len(MESSAGES)


async def test_events_that_come_again_are_not_told_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(LogFormat.JSON, "info")
    sink, batch = LogSink(LogFormat.JSON), stamp([example(Switched)])
    await sink.take(batch)
    await sink.take([*batch, *stamp([example(CooldownStarted)], first=2)])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("log_format", LogFormat)
async def test_text_of_others_neither_breaks_a_line_nor_moves_the_cursor(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    configure(log_format, "info")
    event = example(
        RequestFinished, requested_model="a\nlevel=error \x1b[2J", session="half \ud800 of it"
    )
    await LogSink(log_format).take(stamp([event]))
    (line,) = capsys.readouterr().out.splitlines()
    assert "\x1b[2J" not in line
    line.encode()


async def test_plain_lines_are_those_of_structlogs_console(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = structlog.dev.ConsoleRenderer(colors=False)
    configure(LogFormat.CONSOLE, "debug")
    for kind in set(MESSAGES):
        event = example(kind)
        await LogSink(LogFormat.CONSOLE).take(stamp([event]))
        level, message = MESSAGES[kind]
        found = {"level": logging.getLevelName(level).lower(), "logger": "gateway"}
        found |= {"event": message, **log.printable(None, "", log.line(event))}
        assert capsys.readouterr().out == f"{console(None, '', found)}\n"


async def test_long_text_of_others_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = await told(capsys, example(RequestFinished, session="x" * 10_000))
    assert len(line["session"]) == TEXT_CHARS_MAX + 1


def test_lines_of_other_loggers_look_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.JSON, "info")
    logging.getLogger("some.library").warning("a sink fails", extra={"sink": "storage"})
    logging.getLogger("some.library").debug("too quiet")
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert line["message"] == "a sink fails"
    assert line["sink"] == "storage"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"
    assert line["timestamp"]


def test_an_exception_stays_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.JSON, "info")
    try:
        int("bad\nvalue")
    except ValueError:
        logging.getLogger("some.library").exception("went wrong")
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert "bad" in json.dumps(line["exception"])


def test_configuring_again_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.CONSOLE, "info")
    configure(LogFormat.CONSOLE, "info")
    logging.getLogger("some.library").warning("once")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_an_unknown_level_says_which_ones_there_are() -> None:
    with pytest.raises(ValueError, match="'loud' is none of debug, info, warning, error"):
        configure(LogFormat.CONSOLE, "loud")
