"""What is worded here is read back by the classifier as the same failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.events import Failure
from gateway.routing.classify import classify, classify_fault
from gateway.upstream.simulated_failures import (
    ANTHROPIC,
    GEMINI,
    OPENAI,
    WAITABLE,
    Refused,
    inner_error,
    refused,
    retry_after,
)
from gateway.wire.base import Fault
from tests.fakes import START_TIMESTAMP

ROWS = [
    (dialect, failure)
    for dialect, table in (("openai", OPENAI), ("anthropic", ANTHROPIC), ("gemini", GEMINI))
    for failure in table
]


def refusal(dialect: str, failure: Failure, seconds: float | None = None) -> Refused:
    made = refused(failure, dialect, model="model-a", request_id="r1", retry_after_seconds=seconds)
    assert made is not None
    return made


@pytest.mark.parametrize(("dialect", "failure"), ROWS)
@pytest.mark.parametrize("seconds", [None, 12.0, 0.25])
def test_a_refusal_is_classified_as_the_failure_it_plays(
    dialect: str, failure: Failure, seconds: float | None
) -> None:
    made = refusal(dialect, failure, seconds)
    verdict = classify(
        status=made.status,
        headers=dict(made.headers),
        body=made.body,
        vendor="",
        dialect=dialect,
        rules=(),
        now=START_TIMESTAMP,
    )
    assert verdict.failure is failure
    assert verdict.stated_seconds == (seconds if failure in WAITABLE else None)


@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic", "gemini"])
def test_an_inner_overload_is_a_bad_success(dialect: str) -> None:
    fault = Fault(
        reason="error_event", error=inner_error(Failure.OVERLOADED, dialect, model="model-a")
    )
    verdict = classify_fault(
        fault, headers={}, vendor="", dialect=dialect, rules=(), now=START_TIMESTAMP
    )
    assert verdict.failure is Failure.BAD_SUCCESS


def test_what_has_no_status_has_no_refusal() -> None:
    for dialect in ("openai", "anthropic", "gemini"):
        assert refused(Failure.CONNECT, dialect, model="m", request_id="r") is None


def test_the_page_about_simulated_providers_names_every_failure() -> None:
    page = (Path(__file__).parents[3] / "docs" / "simulated.md").read_text("utf-8")
    assert [failure for failure in Failure if f"`{failure}`" not in page] == []


def test_all_dialects_word_the_same_failures() -> None:
    assert OPENAI.keys() == ANTHROPIC.keys() == GEMINI.keys()


def test_a_stated_time_is_never_earlier_than_meant() -> None:
    assert retry_after(3.0) == (("retry-after", "3"),)
    assert retry_after(2.4) == (("retry-after", "3"), ("retry-after-ms", "2400"))
