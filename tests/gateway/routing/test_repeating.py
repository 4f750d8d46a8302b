"""The one second attempt on the same candidate: after a pause, or when a stated limit is over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.events import AttemptFinished, CandidateSkipped, SessionMoved, Switched
from gateway.routing.policy import RETRY_PAUSE_SECONDS
from gateway.routing.steps import GiveUp, Send, Wait
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    answer,
    at,
    bad,
    candidate_of,
    config,
    provider,
    route,
    sent,
)

LIMITED = bad("rate_limited", stated=1.0)


def play(*keys: str, others: str = "", **more: Any) -> Play:
    providers = [provider("p", *keys), *(provider(name) for name in others)]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets)], **more))


def test_the_only_key_is_asked_again_when_its_stated_limit_is_over() -> None:
    told = play().ask({"p": [LIMITED]})
    assert told.tried == ["p/m main"] * 2
    (wait,) = told.waits
    assert 1.0 <= wait <= 1.1
    assert [each.n for each in told.of(AttemptFinished)] == [1, 2]
    assert [each.probe for each in told.of(AttemptFinished)] == [False, True]
    assert told.of(CandidateSkipped) == []
    assert told.gave_up is None


def test_a_key_that_refuses_again_is_left_alone() -> None:
    told = play().ask({"p": LIMITED})
    assert told.tried == ["p/m main"] * 2
    assert told.gave_up is not None
    assert told.gave_up.refusal is not None
    assert told.gave_up.refusal.status == 429


def test_who_states_no_end_or_a_far_one_is_not_asked_again() -> None:
    for failure in (bad("rate_limited"), bad("rate_limited", stated=2.1)):
        told = play().ask({"p": [failure]})
        assert (told.tried, told.waits) == (["p/m main"], [])


def test_other_limits_are_not_waited_for_by_who_ran_into_them() -> None:
    for failure in ("quota_exhausted", "auth"):
        told = play().ask({"p": [bad(failure, stated=1.0)]})
        assert (told.tried, told.waits) == (["p/m main"], [])


def test_whoever_else_can_be_tried_comes_first() -> None:
    assert play(others="q").ask({"p": [LIMITED]}).tried == ["p/m main", "q/m main"]
    assert play("a", "b").ask({"p/m a": [LIMITED]}).tried == ["p/m a", "p/m b"]
    # Its limit is over before the others have failed: nobody waits, and it is still the last.
    it = play("a", "b", others="q", breaker_failures=9)
    call = it.call()
    for key in ("p/m a", "p/m b", "q/m main"):
        send = sent(call, 0.0)
        assert candidate_of(send) == key
        call.failed(LIMITED if key == "p/m a" else bad("server_error"), at(0.0), NOT_SEEN)
    step, _ = call.step(at(3.0))
    assert isinstance(step, Send)
    assert candidate_of(step) == "p/m a"


def test_a_limit_that_was_too_far_away_to_wait_for_is_not_asked_again_either_when_it_is_over() -> (
    None
):
    it = play(others="q", breaker_failures=9)
    call = it.call()
    sent(call, 0.0)
    call.failed(bad("rate_limited", stated=3.0), at(0.0), NOT_SEEN)
    sent(call, 0.0)
    call.failed(bad("server_error"), at(9.0), NOT_SEEN)
    assert isinstance(call.step(at(9.0))[0], GiveUp)


def test_of_several_limited_keys_the_first_to_be_ready_is_asked_again() -> None:
    told = play("a", "b").ask({"p/m a": [bad("rate_limited", stated=1.9)], "p/m b": [LIMITED]})
    assert told.tried == ["p/m a", "p/m b", "p/m b"]
    assert len(told.waits) == 1


def test_one_candidate_is_asked_again_and_no_second_one() -> None:
    told = play("a", "b").ask({"p/m a": LIMITED, "p/m b": [bad("rate_limited", stated=1.5)]})
    assert told.tried == ["p/m a", "p/m b", "p/m a"]


def test_who_becomes_usable_while_it_waits_comes_first() -> None:
    it = play(others="q")
    it.ask({"q": bad("rate_limited", stated=0.6)}, name="q/m", no_fallback=True)
    assert it.ask({"p": [LIMITED]}).tried == ["p/m main", "q/m main"]


def test_a_hundred_that_were_refused_together_wait_and_make_one_call_at_a_time() -> None:
    it = play(queue_waiters=100)
    calls = [it.call() for _ in range(100)]
    for call in calls:
        sent(call, 0.0)
    for call in calls:
        call.failed(LIMITED, at(0.0), NOT_SEEN)
    assert all(isinstance(call.step(at(0.0))[0], Wait) for call in calls)
    steps = [call.step(at(1.2))[0] for call in calls]
    (probe,) = (each for each in steps if isinstance(each, Send))
    assert probe.probe
    assert sum(isinstance(each, Wait) for each in steps) == 99
    # The probe's content proves the key for all who wait.
    call = calls[steps.index(probe)]
    call.committed(at(1.5))
    assert len(it.pool.waiting.woken()) == 99


def test_the_budget_is_asked_before_the_wait() -> None:
    it = play(retry_budget_ratio=0.0, retry_budget_floor_per_minute=1)
    assert it.ask({"p": [LIMITED]}).tried == ["p/m main"] * 2
    told = it.ask({"p": [LIMITED]}, now=5.0)
    assert (told.tried, told.waits) == (["p/m main"], [])


def test_the_second_attempt_counts_against_the_caps() -> None:
    told = play(max_attempts=1).ask({"p": [LIMITED]})
    assert (told.tried, told.waits) == (["p/m main"], [])
    told = play(others="q", max_attempts=2).ask({"p": LIMITED, "q": bad("server_error")})
    assert told.tried == ["p/m main", "q/m main", "p/m main"]
    told = play(others="qr", max_attempts=2).ask(
        {"p": LIMITED, "q": bad("server_error"), "r": bad("server_error")}
    )
    assert told.tried == ["p/m main", "q/m main", "r/m main"]
    # Two are two: what becomes usable after them is not asked.
    it = play(others="qr", max_attempts=2)
    it.ask({"r": bad("rate_limited", stated=1.7)}, name="r/m", no_fallback=True)
    told = it.ask({"p": LIMITED, "q": bad("server_error")})
    assert told.tried == ["p/m main", "q/m main", "p/m main"]
    # The provider's share: one for the key that is ill, one for the second time of the other.
    script = {"p/m a": LIMITED, "p/m b": bad("overloaded")}
    assert play("a", "b").ask(script).tried == ["p/m a", "p/m b", "p/m a"]
    assert play("a", "b", max_attempts_per_provider=1).ask(script).tried == ["p/m a", "p/m b"]


def test_a_client_that_wants_the_first_answer_gets_it_at_once() -> None:
    told = play().ask({"p": [LIMITED]}, no_fallback=True)
    assert (told.tried, told.waits) == (["p/m main"], [])


def test_a_session_that_waited_for_its_key_has_not_moved() -> None:
    it = play(others="q")
    call = it.call(session="s")
    sent(call, 0.0)
    answer(call, 0.0)
    it.ask({"q": bad("rate_limited", stated=30.0)}, name="q/m", no_fallback=True)
    told = it.ask({"p": [LIMITED]}, now=1.0, session="s")
    assert told.tried == ["p/m main"] * 2
    assert (told.of(SessionMoved), told.of(Switched)) == ([], [])
    assert it.route().active is it.hop(0)


def test_ill_health_is_repeated_after_a_pause_and_a_limit_never_is() -> None:
    told = play().ask({"p": [bad("overloaded")]})
    assert told.tried == ["p/m main"] * 2
    assert RETRY_PAUSE_SECONDS[0] <= told.waits[0] <= RETRY_PAUSE_SECONDS[1]
    # The one second time is used up by whichever comes first.
    told = play(breaker_failures=9).ask({"p": [bad("overloaded"), LIMITED]})
    assert told.tried == ["p/m main"] * 2


@given(
    stated=st.lists(st.none() | st.floats(0.0, 6.0), min_size=1, max_size=4),
    wait=st.floats(0.0, 6.0),
    deadline=st.floats(1.0, 20.0),
    fails_again=st.booleans(),
)
def test_nobody_is_asked_again_before_the_stated_end_or_beyond_the_wait(
    stated: list[float | None], wait: float, deadline: float, *, fails_again: bool
) -> None:
    it = play(
        *(f"k{n}" for n in range(len(stated))),
        wait_base_seconds=wait,
        deadline_seconds=deadline,
    )
    ends = {f"p/m k{n}": bad("rate_limited", stated=each) for n, each in enumerate(stated)}
    told = it.ask(ends if fails_again else {key: [each] for key, each in ends.items()})
    worth = min(wait, deadline / 2)
    near = {
        key: each.stated_seconds for key, each in ends.items() if each.stated_seconds is not None
    }
    again = told.tried[len(stated) :]
    assert len(told.waits) == len(again) <= 1
    for key, waited in zip(again, told.waits, strict=True):
        assert near[key] <= waited <= worth
        assert waited >= min(near.values())
    # A stated end is at least half a second away, and a tenth is added to it at most.
    if any(1.1 * max(each, 0.5) <= worth for each in near.values()):
        assert again
        assert (told.gave_up is not None) is fails_again
