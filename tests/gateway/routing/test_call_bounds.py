"""What one request may use up: attempts, keys, the one repetition, its clocks and its deadline."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import RouteTarget
from gateway.events import AttemptFinished, CandidateSkipped, CooldownStarted, Failure, SkipReason
from gateway.routing.policy import RETRY_PAUSE_SECONDS
from gateway.routing.steps import GiveUp, Send, Wait
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    Told,
    at,
    bad,
    clocks,
    config,
    credential,
    provider,
    route,
    sent,
)

ILL = {name: bad("server_error") for name in "pqrstu"}


def play(*keys: str, others: str = "", **more: Any) -> Play:
    """`p` with these keys, and a provider of one key for each letter of `others`."""
    providers = [provider("p", *keys, **more), *(provider(name) for name in others)]
    return Play(config(*providers, routes=[route("coder", *(f"{n.name}/m" for n in providers))]))


def refusal(told: Told) -> tuple[int, str, int | None, bool | None]:
    assert told.gave_up is not None
    answer = told.gave_up.refusal
    assert answer is not None
    return answer.status, answer.code, answer.retry_after_seconds, answer.should_retry


def test_at_most_four_attempts_whatever_is_left() -> None:
    told = play(others="qrstu").ask(ILL)
    assert told.tried == ["p/m main", "q/m main", "r/m main", "s/m main"]
    spent = {each.provider: each.reason for each in told.of(CandidateSkipped)}
    assert spent == {"t": SkipReason.ATTEMPTS_SPENT, "u": SkipReason.ATTEMPTS_SPENT}
    # Those two could be asked at once.
    assert refusal(told) == (503, "exhausted", 1, None)


def test_at_most_two_attempts_on_one_provider_s_keys_for_ill_health() -> None:
    told = play("a", "b", "c", others="q").ask({"p": bad("overloaded")})
    assert told.tried == ["p/m a", "p/m b", "q/m main"]


def test_two_targets_of_one_provider_share_its_two_attempts() -> None:
    providers = [provider("p", "a", "b"), provider("q")]
    targets = route("coder", "p/m", "p/n", "p/o", "q/m")
    told = Play(config(*providers, routes=[targets])).ask(
        {"p/m": bad("first_content_timeout"), "p/n": bad("server_error")}
    )
    assert told.tried == ["p/m a", "p/n a", "q/m main"]


def test_walking_limited_keys_counts_against_no_cap_and_tries_each_once() -> None:
    keys = [f"k{n}" for n in range(9)]
    told = play(*keys).ask({"p": bad("rate_limited", stated=30.0)})
    assert told.tried == [f"p/m {key}" for key in keys]
    # With somebody else to go to, three alike are one cause.
    told = play(*keys, others="q").ask({"p": bad("rate_limited", stated=30.0)})
    assert told.tried == [*(f"p/m {key}" for key in keys[:3]), "q/m main"]
    # Limits that last are the keys' own.
    told = play(*keys, others="q").ask({"p": bad("rate_limited", stated=300.0)})
    assert told.tried == [*(f"p/m {key}" for key in keys), "q/m main"]


def test_a_slow_target_is_not_tried_with_its_other_key() -> None:
    told = play("a", "b", others="q").ask({"p": bad("first_content_timeout")})
    assert told.tried == ["p/m a", "q/m main"]
    assert told.of(CandidateSkipped) == []


@pytest.mark.parametrize("failure", ["overloaded", "bad_success"])
def test_the_same_key_is_asked_once_more_when_nobody_else_is_left(failure: str) -> None:
    told = play().ask({"p": [bad(failure)]})
    assert told.tried == ["p/m main", "p/m main"]
    (pause,) = told.waits
    assert RETRY_PAUSE_SECONDS[0] <= pause <= RETRY_PAUSE_SECONDS[1]
    assert [each.n for each in told.of(AttemptFinished)] == [1, 2]


def test_the_repetition_is_one() -> None:
    told = play().ask({"p": bad("overloaded")})
    assert told.tried == ["p/m main", "p/m main"]
    assert told.gave_up is not None


def test_the_repetition_is_one_also_where_the_provider_has_attempts_left() -> None:
    settings = config(
        provider("p"),
        routes=[route("coder", "p/m")],
        max_attempts_per_provider=4,
        breaker_failures=9,
    )
    told = Play(settings).ask({"p": bad("overloaded")})
    assert told.tried == ["p/m main", "p/m main"]


def test_another_candidate_comes_before_a_repetition() -> None:
    told = play(others="q").ask({"p": [bad("overloaded")]})
    assert told.tried == ["p/m main", "q/m main"]


def test_the_last_of_the_chain_is_repeated_when_all_before_it_failed_too() -> None:
    told = play(others="q").ask({"p": bad("connect", processed=False), "q": [bad("overloaded")]})
    assert told.tried == ["p/m main", "q/m main", "q/m main"]


@pytest.mark.parametrize("failure", ["server_error", "connect", "reset_before_content"])
def test_a_request_that_may_have_been_processed_is_not_repeated(failure: str) -> None:
    assert play().ask({"p": [bad(failure)]}).tried == ["p/m main"]
    unprocessed = play().ask({"p": [bad(failure, processed=False)]})
    assert unprocessed.tried == ["p/m main", "p/m main"]


@pytest.mark.parametrize(
    "failure", ["rate_limited", "quota_exhausted", "auth", "unknown", "model_not_found"]
)
def test_limits_and_the_unknown_are_never_repeated(failure: str) -> None:
    told = play().ask({"p": bad(failure, processed=False)})
    assert told.tried == ["p/m main"]
    assert told.waits == []


def test_a_repetition_stays_within_the_provider_s_attempts() -> None:
    told = play("a", "b").ask({"p": bad("overloaded")})
    assert told.tried == ["p/m a", "p/m b"]


def test_a_target_that_opens_is_not_repeated() -> None:
    it = play()
    for now in (0.0, 1.0):
        it.ask({"p": bad("server_error")}, now=now)
    told = it.ask({"p": bad("overloaded")}, now=2.0)
    assert told.tried == ["p/m main"]
    assert len(told.of(CooldownStarted)) == 1
    assert refusal(told)[0] == 503


def test_nobody_is_asked_after_the_deadline() -> None:
    it = play(others="q")
    call = it.call()
    call.step(at(0.0))
    call.failed(bad("server_error"), at(90.0), NOT_SEEN)
    step, events = call.step(at(90.0))
    assert isinstance(step, GiveUp)
    assert (events, step.failure, step.own_fault) == ([], Failure.DEADLINE, False)
    assert step.refusal is not None
    assert (step.refusal.status, step.refusal.code) == (504, "deadline")


def test_an_attempt_that_ran_into_the_deadline_ends_the_request_and_blames_nobody() -> None:
    it = play(others="q")
    told = it.ask({"p": bad("deadline")})
    assert told.tried == ["p/m main"]
    assert refusal(told) == (504, "deadline", None, None)
    assert list(it.pool.resting()) == []


def test_each_attempt_gets_what_is_left_of_the_deadline() -> None:
    call = play(others="q").call()
    first, _ = call.step(at(0.0))
    assert isinstance(first, Send)
    assert (first.timeouts, first.by_deadline) == (clocks(), False)
    call.failed(bad("server_error"), at(87.0), NOT_SEEN)
    second, _ = call.step(at(87.0))
    assert isinstance(second, Send)
    assert second.by_deadline
    assert second.timeouts == clocks(
        connect_seconds=3.0, headers_seconds=3.0, first_content_seconds=3.0, idle_seconds=60.0
    )


def test_a_client_s_own_deadline_cuts_the_request_s_and_is_told_as_its_own() -> None:
    call = play(others="q").call(deadline_seconds=2.0)
    first, _ = call.step(at(0.0))
    assert isinstance(first, Send)
    assert (first.timeouts.first_content_seconds, first.by_deadline) == (2.0, True)
    call.failed(bad("deadline"), at(2.0), NOT_SEEN)
    step, _ = call.step(at(2.0))
    assert isinstance(step, GiveUp)
    assert step.refusal is not None
    assert "the client's own deadline of 2 s passed" in step.refusal.message


def test_a_target_is_sent_a_request_without_the_fields_it_refuses() -> None:
    target = RouteTarget(target="p/m", drop=("thinking",))
    it = Play(config(provider("p"), routes=[route("coder", target)]))
    assert sent(it.call(), 0.0).drop == ("thinking",)


def test_a_deadline_that_passes_during_the_pause_is_told_as_such() -> None:
    call = play().call()
    call.step(at(0.0))
    call.failed(bad("overloaded"), at(89.9), NOT_SEEN)
    step, _ = call.step(at(89.9))
    assert isinstance(step, Wait)
    step, _ = call.step(at(89.9 + step.seconds))
    assert isinstance(step, GiveUp)
    assert step.failure is Failure.DEADLINE


def test_all_resting_is_answered_at_once_without_any_attempt() -> None:
    it = play(others="q")
    it.ask({"p": bad("rate_limited", stated=20.0), "q": bad("rate_limited", stated=12.0)})
    told = it.ask(now=2.0)
    assert told.tried == []
    status, code, retry_after, should_retry = refusal(told)
    assert (status, code, should_retry) == (429, "rate_limited", None)
    assert retry_after in (10, 11, 12)
    assert told.finished.attempts == 0
    assert told.finished.skipped == 2


def test_a_full_gateway_says_so_and_forbids_no_retry() -> None:
    it = Play(
        config(provider("p", credential("a", max_in_flight=1)), routes=[route("coder", "p/m")])
    )
    it.call().step(at(0.0))
    told = it.ask()
    assert told.tried == []
    assert refusal(told) == (429, "at_capacity", None, None)
