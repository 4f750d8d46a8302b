from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import LogFormat
from gateway.events import Event, RequestFinished, RequestOutcome
from gateway.telemetry.log import LogSink
from gateway.telemetry.log_quick import KNOWN_MAX, TEXT_CHARS_MAX, quick, shown, time_text
from tests.gateway.telemetry.building import stamp
from tests.storage.samples import example

TEXTS = st.text(max_size=12) | st.sampled_from(
    ['a"b', "a b", "x=y", "\x1b[2J", "\n", "'", "{v}", "\\", "🙂", "\ud800", "n" * 301]
)


def both(event: Event, log_format: LogFormat) -> tuple[str, str]:
    """The line made at once, and by the way that all other kinds take."""
    sink = LogSink(log_format)
    assert isinstance(event, RequestFinished)
    at_once = quick(log_format)(event, "warning")
    sink._request = None
    return at_once, sink._line(event, 30)


def same(event: Event, log_format: LogFormat) -> None:
    at_once, other = both(event, log_format)
    if log_format is LogFormat.JSON:
        assert list(json.loads(at_once).items()) == list(json.loads(other).items())
    else:
        assert at_once == other


@pytest.mark.parametrize("log_format", LogFormat)
def test_the_line_of_a_request_is_the_one_that_a_dictionary_would_make(
    log_format: LogFormat,
) -> None:
    same(example(RequestFinished), log_format)
    same(example(RequestFinished, usage=None, failure=None, session="", cost_usd=None), log_format)
    if log_format is LogFormat.JSON:
        same(example(RequestFinished, duration_seconds=math.inf), log_format)


@pytest.mark.parametrize("log_format", LogFormat)
def test_whatever_its_values(log_format: LogFormat) -> None:
    times = st.integers(0, 4_000_000_000_000_000)

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        texts = {
            name: data.draw(TEXTS) for name in ("session", "model", "reason", "requested_model")
        }
        changes: dict[str, Any] = {"ts": data.draw(times), "started": data.draw(times), **texts}
        seconds = data.draw(st.floats(0, 1e6))
        event = example(RequestFinished, duration_seconds=seconds, lost_seconds=None, **changes)
        same(event, log_format)

    check()


async def test_a_plain_text_where_an_enum_should_be_is_told_all_the_same(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    wrong: Any = "overloaded"
    event = example(RequestFinished, failure=wrong, outcome=RequestOutcome.OK)
    sink = LogSink(LogFormat.JSON)
    caplog.set_level(logging.INFO, logger="gateway")
    with pytest.raises(AttributeError):
        quick(LogFormat.JSON)(event, "info")
    await sink.take(stamp([event]))
    (found,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found["failure"] == "overloaded"


def test_names_are_kept_up_to_a_bound() -> None:
    made = quick(LogFormat.CONSOLE)
    for number in range(KNOWN_MAX + 50):
        assert f"model={number} " in made(example(RequestFinished, model=str(number)), "info")


def test_texts_are_cut_and_made_printable() -> None:
    assert shown("a" * (TEXT_CHARS_MAX + 5)) == "a" * TEXT_CHARS_MAX + "…"
    assert shown("a\x1b[2J\n") == "a\\x1b[2J\\n"


def test_times_are_told_to_the_microsecond() -> None:
    assert time_text(1_770_000_000_000_000) == "2026-02-02T02:40:00Z"
    assert time_text(1_770_000_000_000_007) == "2026-02-02T02:40:00.000007Z"
