from __future__ import annotations

from typing import Any

from gateway.events import AttemptOutcome, Failure
from gateway.replay.recorded import Tried
from gateway.replay.weather import Known, Unseen, Weather
from gateway.units import Timestamp
from tests.gateway.replay.building import at, attempt, failed, recorded, request

LIMITED: dict[str, Any] = {"failure": "rate_limited", "scope": "credential_model"}


def met(
    rows: list[dict[str, Any]],
    seconds: float,
    target: str = "a/model",
    credential: str = "main",
    unseen: Unseen = Unseen.GOOD,
) -> tuple[Known, Tried]:
    found = recorded([request(0.0)], [attempt(0.0, "own/model"), *rows])
    weather = Weather(found.observed, unseen=unseen)
    return weather.at(target, credential, Timestamp(at(seconds)), found.requests[0])


def test_weather_is_held_until_somebody_looks_again() -> None:
    rows = [failed(10.0), attempt(100.0)]
    assert met(rows, 99.0)[1].failure is Failure.OVERLOADED
    assert met(rows, 100.0)[1].outcome is AttemptOutcome.OK


def test_before_the_first_look_that_one_counts() -> None:
    assert met([failed(50.0)], 5.0)[1].failure is Failure.OVERLOADED


def test_a_target_that_is_down_is_so_for_every_key() -> None:
    rows = [attempt(10.0), failed(20.0, credential="spare")]
    assert met(rows, 30.0)[1].failure is Failure.OVERLOADED


def test_one_key_s_limit_says_nothing_about_another() -> None:
    rows = [attempt(10.0), failed(20.0, credential="spare", **LIMITED)]
    assert met(rows, 30.0)[1].outcome is AttemptOutcome.OK
    assert met(rows, 30.0, credential="spare")[1].failure is Failure.RATE_LIMITED


def test_a_good_answer_elsewhere_does_not_end_a_key_s_limit() -> None:
    rows = [failed(10.0, **LIMITED), attempt(20.0, credential="spare")]
    assert met(rows, 30.0)[1].failure is Failure.RATE_LIMITED


def test_a_stated_reset_ends_the_limit() -> None:
    rows = [attempt(1.0), failed(10.0, stated_seconds=20.0, **LIMITED)]
    assert met(rows, 25.0)[1].failure is Failure.RATE_LIMITED
    assert met(rows, 31.0)[1].outcome is AttemptOutcome.OK


def test_nobody_knows_a_target_that_nobody_asked() -> None:
    known, good = met([], 5.0, "new/model")
    assert (known, good.outcome, good.duration_seconds) == (Known.UNSEEN, AttemptOutcome.OK, 1.0)
    known, bad = met([], 5.0, "new/model", unseen=Unseen.BAD)
    assert (known, bad.outcome) == (Known.UNSEEN, AttemptOutcome.FAILED)


def test_a_client_that_hung_up_has_seen_no_weather() -> None:
    gone = attempt(10.0, outcome="cancelled", failure="cancelled", first_content_seconds=None)
    assert met([gone], 20.0)[0] is Known.UNSEEN
