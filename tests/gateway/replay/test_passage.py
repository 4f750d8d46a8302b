"""One recorded request at a time, through the real relay."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import AttemptOutcome, RequestOutcome
from gateway.replay.figures import Decision
from gateway.replay.stage import replay
from gateway.replay.weather import Known
from tests.gateway.replay.building import attempt, config, failed, recorded, request, speaks

OK, FAILED = AttemptOutcome.OK, AttemptOutcome.FAILED


def again(asked: dict[str, Any], *tried: dict[str, Any]) -> Decision:
    rows = [{**each, "request_id": asked["request_id"], "n": n} for n, each in enumerate(tried, 1)]
    played = replay(recorded([asked], rows), config("a/model", "b/model"), speaks=speaks)
    assert played.known[Known.UNSEEN] == 0
    return played.told.decisions[asked["request_id"]]


@pytest.mark.parametrize("stream", [True, False])
def test_a_rescue_is_a_rescue_again(stream: bool) -> None:
    found = again(request(1.0, stream=stream), failed(1.0), attempt(1.1, "b/model"))
    assert found.tried == (("a/model", "main", FAILED), ("b/model", "main", OK))
    assert found.outcome is RequestOutcome.OK


def test_silence_lasts_until_the_configuration_s_patience_ends() -> None:
    silent = failed(1.0, failure="first_content_timeout", reason="first_content", status=200)
    asked = request(1.0, duration_seconds=31.0)
    found = again(asked, {**silent, "duration_seconds": 30.0}, attempt(31.0, "b/model"))
    assert [each[2] for each in found.tried] == [FAILED, OK]
    assert found.added_seconds == pytest.approx(30.0)


def test_a_stream_that_broke_breaks_again() -> None:
    broken = failed(
        1.0, failure="stream_broken", reason="no_terminal", first_content_seconds=0.2, status=200
    )
    found = again(request(1.0, outcome="upstream_error"), {**broken, "duration_seconds": 0.4})
    assert found.tried == (("a/model", "main", FAILED),)
    assert found.outcome is RequestOutcome.UPSTREAM_ERROR


def test_a_long_answer_drips_and_is_not_taken_for_a_stalled_one() -> None:
    long = attempt(1.0, duration_seconds=500.0)
    found = again(request(1.0, duration_seconds=500.0), long)
    assert found.tried == (("a/model", "main", OK),)


def test_a_client_s_own_fault_is_its_own_again() -> None:
    fault = failed(1.0, failure="bad_request", status=400, scope=None)
    found = again(request(1.0, outcome="client_error"), fault)
    assert found.tried == (("a/model", "main", FAILED),)
    assert found.outcome is RequestOutcome.CLIENT_ERROR


def test_who_hung_up_hangs_up_when_it_did() -> None:
    gone = attempt(1.0, outcome="cancelled", failure="cancelled", first_content_seconds=None)
    found = again(request(1.0, outcome="cancelled", duration_seconds=3.0), gone)
    assert found.tried == (("a/model", "main", AttemptOutcome.CANCELLED),)
    assert found.outcome is RequestOutcome.CANCELLED
