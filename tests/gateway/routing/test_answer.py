"""What a client is told when nobody could serve it: parts in, status and advice out."""

from __future__ import annotations

import pytest

from gateway.routing.answer import Part, Refusal, refuse


def part(
    reason: str, ready: float | None = None, *, target: str = "p/m", message: str = ""
) -> Part:
    return Part(
        target=target,
        credential="main",
        reason=reason,
        ready_in_seconds=ready,
        message=message,
    )


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([part("rate_limited", 10.0)], 429, "rate_limited"),
        ([part("quota_exhausted", 5000.0)], 429, "quota_exhausted"),
        ([part("server_error", 10.0)], 503, "exhausted"),
        ([part("overloaded", 0.0)], 503, "exhausted"),
        # What would end first decides.
        ([part("rate_limited", 10.0), part("server_error", 20.0)], 429, "rate_limited"),
        ([part("rate_limited", 30.0), part("server_error", 20.0)], 503, "exhausted"),
        ([part("auth", 5.0), part("rate_limited", 60.0)], 429, "rate_limited"),
        ([part("auth", 300.0)], 503, "exhausted"),
        ([part("model_not_found", 3600.0), part("unsupported", 9.0)], 404, "model_not_found"),
        ([part("model_not_found", 3600.0), part("server_error", 20.0)], 503, "exhausted"),
        ([part("dialect")], 400, "dialect"),
        ([part("context_size"), part("context_too_long", 0.0)], 400, "context_too_long"),
        ([part("dialect"), part("rate_limited", 10.0)], 429, "rate_limited"),
        ([part("at_capacity")], 429, "at_capacity"),
        ([part("at_capacity"), part("server_error", 20.0)], 503, "exhausted"),
        ([part("disabled")], 503, "exhausted"),
        ([], 503, "exhausted"),
    ],
)
def test_the_status_tells_a_limit_from_an_outage_by_what_would_have_to_end_first(
    parts: list[Part], status: int, code: str
) -> None:
    refusal = refuse("coder", parts)
    assert (refusal.status, refusal.code) == (status, code)


@pytest.mark.parametrize(
    ("parts", "retry_after", "should_retry"),
    [
        ([part("rate_limited", 10.2)], 11, None),
        ([part("server_error", 0.0)], 1, None),
        ([part("rate_limited", 30.0)], 30, None),
        ([part("rate_limited", 30.1)], None, False),
        ([part("rate_limited", 500.0), part("server_error", 12.0)], 12, None),
        # A key that is refused does not mend itself, though its rest ends.
        ([part("auth", 5.0)], None, False),
        ([part("auth", 5.0), part("rate_limited", 500.0)], None, False),
        ([part("model_not_found", 3.0)], None, False),
        ([part("dialect")], None, False),
        ([part("context_too_long", 0.0)], None, False),
        ([part("billing_class"), part("disabled")], None, False),
        # A place may be free at any moment: nobody knows when, and trying again is right.
        ([part("at_capacity")], None, None),
        ([part("at_capacity"), part("rate_limited", 500.0)], None, None),
        ([], None, False),
    ],
)
def test_a_wait_is_named_when_it_is_real_and_short_and_else_trying_again_is_advised_against(
    parts: list[Part], retry_after: int | None, should_retry: bool | None
) -> None:
    refusal = refuse("coder", parts)
    assert (refusal.retry_after_seconds, refusal.should_retry) == (retry_after, should_retry)


def test_a_passed_deadline_is_a_504_without_advice() -> None:
    refusal = refuse("coder", [part("server_error", 0.0)], deadline="the deadline")
    assert refusal == Refusal(
        status=504,
        code="deadline",
        message="Route 'coder': the deadline passed (p/m server_error).",
        retry_after_seconds=None,
        should_retry=None,
    )
    assert (
        refuse("coder", [], deadline="the deadline").message
        == "Route 'coder': the deadline passed."
    )


def test_the_sentence_is_the_first_real_failure_s_and_names_each_target_once() -> None:
    parts = [
        part("rate_limited", 10.0),
        part("rate_limited", 20.0, message="Rate limit reached."),
        part("overloaded", 5.0, target="q/m", message="Busy."),
    ]
    assert refuse("coder", parts).message == (
        "Rate limit reached. Route 'coder': no target could answer "
        "(p/m rate_limited, q/m overloaded)."
    )


def test_a_part_is_shown_without_the_provider_s_sentence() -> None:
    assert part("auth", 1.23456, message="secret things").shown() == {
        "target": "p/m",
        "credential": "main",
        "reason": "auth",
        "ready_in_seconds": 1.235,
    }
    assert part("auth").shown()["ready_in_seconds"] is None
