"""When a request waits instead of going elsewhere, for how long, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import Usage
from gateway.routing.steps import GiveUp, Seen, Wait
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    answer,
    at,
    bad,
    candidate_of,
    config,
    credential,
    provider,
    route,
    sent,
)


def play(*keys: Any, others: str = "q", **more: Any) -> Play:
    providers = [provider("p", *keys), *(provider(name) for name in others)]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets)], **more))


def both_rest(**more: Any) -> Play:
    """p says it is back after 2 s, q is ill for a guessed minute."""
    it = play(breaker_base_seconds=60.0, breaker_failures=1, **more)
    script = {"p": bad("rate_limited", stated=2.0), "q": bad("server_error")}
    # Its client wants the first answer, whatever it is: so it waits for nothing.
    for name in ("p/m", "q/m"):
        assert it.ask(script, name=name, no_fallback=True).tried == [f"{name} main"]
    return it


def warm(of: Play, *, cached: int, now: float = 0.0) -> None:
    """A session that lives on p, with so many tokens in its cache."""
    call = of.call(now=now, session="s")
    assert candidate_of(sent(call, now)).startswith("p/m")
    usage = Usage(input_tokens=cached, cached_tokens=cached)
    answer(call, now, Seen(status=200, usage=usage))


# -- when everything rests -----------------------------------------------------------------------


def test_what_is_back_within_the_wait_is_waited_for() -> None:
    it = both_rest(wait_base_seconds=3.0)
    told = it.ask(now=0.1)
    assert told.tried == ["p/m main"]
    (wait,) = told.waits
    assert 1.9 <= wait <= 2.2
    assert told.finished.overhead_seconds < 0.01


def test_without_patience_the_answer_is_honest_and_at_once() -> None:
    it = both_rest(wait_base_seconds=0.0)
    told = it.ask(now=0.1)
    assert (told.tried, told.waits) == ([], [])
    assert told.gave_up is not None
    refusal = told.gave_up.refusal
    assert refusal is not None
    assert (refusal.status, refusal.code) == (429, "rate_limited")
    assert refusal.retry_after_seconds in (2, 3)
    reasons = {part.target: part.reason for part in told.gave_up.parts}
    assert reasons == {"p/m": "rate_limited", "q/m": "server_error"}
    assert told.finished.attempts == 0


def test_what_is_back_later_than_that_is_not_waited_for() -> None:
    it = both_rest(wait_base_seconds=1.0)
    assert it.ask(now=0.1).waits == []


def test_a_request_waits_at_most_once_and_never_past_its_patience() -> None:
    it = play(others="", wait_base_seconds=3.0)
    it.ask({"p": bad("rate_limited", stated=2.0)}, no_fallback=True)
    call = it.call(now=0.5)
    step, _ = call.step(at(0.5))
    assert isinstance(step, Wait)
    # Meanwhile p states a later time: what is left of the wait is not enough.
    hop = it.hop(0)
    (spot,) = hop.target.provider.credentials[0].models.values()
    assert spot.cooldown is not None
    spot.cooldown.until = at(5.0).instant
    step, _ = call.step(at(2.6))
    assert isinstance(step, GiveUp)
    assert len(it.pool.waiting) == 0


def test_a_failed_request_may_wait_for_another_candidate() -> None:
    it = play(wait_base_seconds=3.0)
    it.ask({"q": bad("rate_limited", stated=2.0)}, name="q/m", no_fallback=True)
    told = it.ask({"p": bad("rate_limited", stated=60.0)}, now=0.2)
    assert told.tried == ["p/m main", "q/m main"]
    assert len(told.waits) == 1


def test_nobody_waits_past_half_the_deadline() -> None:
    it = play(others="", deadline_seconds=3.0, wait_base_seconds=10.0)
    it.ask({"p": bad("rate_limited", stated=2.0)})
    # Two seconds are more than half of three.
    assert it.ask(now=0.0).waits == []
    assert len(it.ask(now=0.8).waits) == 1


def test_a_wait_that_is_overslept_ends_with_the_deadline_and_leaves_nothing() -> None:
    it = play(credential("a", max_in_flight=1), others="")
    it.call().step(at(0.0))
    call = it.call()
    step, _ = call.step(at(0.0))
    assert isinstance(step, Wait)
    assert (len(it.pool.waiting), len(it.pool.providers["p"].queue)) == (1, 1)
    step, _ = call.step(at(91.0))
    assert isinstance(step, GiveUp)
    assert step.refusal is not None
    assert step.refusal.status == 504
    assert (len(it.pool.waiting), len(it.pool.providers["p"].queue)) == (0, 0)


def test_a_target_that_could_not_serve_the_request_is_not_waited_for() -> None:
    it = both_rest(wait_base_seconds=3.0)
    it.hop(0).target.drained_until = at(600.0).instant
    assert it.ask(now=0.1).waits == []


def test_what_another_request_is_testing_is_waited_for_to_the_end_of_the_patience() -> None:
    """A probe may be decided at any moment; a guess of how long it takes must refuse nobody."""
    it = play(others="")
    it.ask({"p": bad("rate_limited", stated=1.0)}, no_fallback=True)
    early = it.call(now=0.5)
    step, _ = early.step(at(0.5))
    assert isinstance(step, Wait)
    probe = it.call(now=1.2)
    assert sent(probe, 1.2).probe
    step, _ = early.step(at(1.6))
    assert isinstance(step, Wait)
    assert step.seconds == pytest.approx(0.9)
    probe.committed(at(2.0))
    assert it.pool.waiting.woken() == [early.facts.request_id]
    assert candidate_of(sent(early, 2.0)) == "p/m main"


# -- room ----------------------------------------------------------------------------------------


def test_room_at_the_first_target_is_waited_for_and_then_the_next_one_serves() -> None:
    it = play(credential("a", max_in_flight=1))
    sent(it.call(), 0.0)
    told = it.ask()
    assert (told.tried, told.waits) == (["q/m main"], [2.0])
    assert told.finished.overhead_seconds == 0.0


def test_a_free_key_of_the_first_target_needs_no_wait() -> None:
    it = play(credential("a", max_in_flight=1), "b")
    sent(it.call(), 0.0)
    told = it.ask()
    assert (told.tried, told.waits) == (["p/m b"], [])
    # Nor does one that is on trial.
    it.pool.providers["p"].credentials[1].spot.doubt(0, at(0.0).instant)
    told = it.ask()
    assert (told.tried, told.waits) == (["p/m b"], [])


def test_a_full_second_target_is_not_waited_for() -> None:
    providers = [provider("p"), provider("q", max_in_flight=0), provider("r")]
    it = Play(config(*providers, routes=[route("coder", "p/m", "q/m", "r/m")]))
    told = it.ask({"p": bad("server_error")})
    assert told.tried == ["p/m main", "r/m main"]


# -- a session's seat ----------------------------------------------------------------------------


@pytest.mark.parametrize(("cached", "waits"), [(0, False), (20_000, True)])
def test_a_session_waits_for_its_seat_as_long_as_its_cache_is_worth(
    cached: int, waits: bool
) -> None:
    it = play()
    warm(it, cached=cached)
    it.ask({"p": bad("rate_limited", stated=4.0)}, now=1.0)
    told = it.ask(now=1.1, session="s")
    assert told.tried == (["p/m main"] if waits else ["q/m main"])
    assert bool(told.waits) is waits
    # A request without a cache to lose goes on at once.
    it = play()
    it.ask({"p": bad("rate_limited", stated=4.0)})
    assert it.ask(now=0.1).waits == []


def test_a_session_whose_seat_just_failed_for_it_goes_on_at_once() -> None:
    it = play()
    warm(it, cached=90_000)
    told = it.ask({"p": bad("rate_limited", stated=1.0)}, now=1.0, session="s")
    assert (told.tried, told.waits) == (["p/m main", "q/m main"], [])


def test_a_session_takes_another_key_of_its_target_without_a_wait() -> None:
    it = play("a", "b")
    warm(it, cached=90_000)
    it.ask({"p/m a": bad("rate_limited", stated=2.0)}, now=1.0)
    told = it.ask(now=1.1, session="s")
    assert (told.tried, told.waits) == (["p/m b"], [])


def test_a_session_waits_for_room_at_its_seat() -> None:
    it = play(credential("a", max_in_flight=1))
    warm(it, cached=50_000)
    busy = it.call(now=1.0)
    sent(busy, 1.0)
    call = it.call(now=1.5, session="s")
    step, _ = call.step(at(1.5))
    assert isinstance(step, Wait)
    assert step.seconds == 12.0
    busy.committed(at(2.0))
    busy.abandoned(at(3.0), NOT_SEEN)
    assert it.pool.waiting.woken() == [call.facts.request_id]
    assert candidate_of(sent(call, 3.0)) == "p/m a"
