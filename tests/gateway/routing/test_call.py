"""One request's way as a script: what fails in, whom it tries and what it tells out."""

from __future__ import annotations

import pytest

from gateway.config import Dialect, Fallback, Provider
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CooldownEnded,
    CooldownStarted,
    Failure,
    RequestOutcome,
    Scope,
    Switched,
    SwitchKind,
    Usage,
)
from gateway.routing.call import MOVES, Phase
from gateway.routing.steps import GiveUp, Seen, Send
from tests.gateway.routing.building import (
    NOT_SEEN,
    SEEN,
    Play,
    at,
    bad,
    config,
    provider,
    route,
)

DOWN = {"p": bad("server_error")}


def play() -> Play:
    return Play(config(provider("p"), provider("q"), routes=[route("coder", "p/m", "q/m")]))


def test_a_failed_primary_is_left_for_the_fallback_until_its_hold_ends() -> None:
    it = play()
    first = it.ask(DOWN)
    assert first.tried == ["p/m main", "q/m main"]
    (hold,) = first.of(CooldownStarted)
    for n in range(20):
        told = it.ask(DOWN, now=1.0 + n * (hold.duration_seconds - 2.0) / 20)
        assert told.tried == ["q/m main"]
        assert told.rows == [
            (1, "p/m", "held", "server_error"),
            (2, "q/m main", "ok", ""),
        ]
    back = [it.ask(now=hold.duration_seconds + 0.001 + 16.0 * n) for n in range(5)]
    assert [each.tried for each in back] == [["p/m main"]] * 5
    assert [event.kind for event in back[0].events] == [
        "cooldown_ended",
        "attempt_finished",
        "request_finished",
    ]
    assert [event.kind for event in back[4].events] == [
        "attempt_finished",
        "switched",
        "request_finished",
    ]
    switches = [event.switch for event in it.events if isinstance(event, Switched)]
    assert switches == [SwitchKind.FORCED, SwitchKind.RETURN]


def test_three_keys_rotate_and_every_candidate_is_recorded_in_order() -> None:
    keys = provider("p", "one", "two", "three")
    it = Play(config(keys, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    script = {"p/m one": bad("rate_limited", stated=120.0), "p/m two": bad("auth")}
    told = it.ask(script)
    assert told.rows == [
        (1, "p/m one", "failed", "rate_limited"),
        (2, "p/m two", "failed", "auth"),
        (3, "p/m three", "ok", ""),
    ]
    assert [each.attempt_id for each in told.of(AttemptFinished)] == ["r1.1", "r1.2", "r1.3"]
    assert (told.of(Switched), told.finished.fallback_from) == ([], "")
    within = it.ask(now=119.9)
    assert within.rows == [
        (1, "p/m one", "cooling", "rate_limited"),
        (2, "p/m two", "cooling", "auth"),
        (3, "p/m three", "ok", ""),
    ]


def test_a_rested_key_is_used_again_when_the_one_being_drained_rests() -> None:
    it = Play(config(provider("p", "one", "two"), routes=[route("coder", "p/m")]))
    told = it.ask({"p/m one": bad("rate_limited", stated=120.0)})
    (rest,) = told.of(CooldownStarted)
    assert 120.0 <= rest.duration_seconds <= 122.0
    # The rested key is tested once; then `sequential` goes on draining the second one, which has
    # the warm cache now.
    tested = it.ask(now=123.0)
    assert (tested.tried, tested.of(AttemptFinished)[0].probe) == (["p/m one"], True)
    assert it.ask(now=123.5).tried == ["p/m two"]
    assert it.ask({"p/m two": bad("rate_limited")}, now=124.0).tried == ["p/m two", "p/m one"]


def test_a_success_tells_what_was_served_and_what_it_cost() -> None:
    it = play()
    call = it.call(now=10.0)
    step, _ = call.step(at(10.25))
    assert isinstance(step, Send)
    assert (step.model, step.credential.name, step.probe) == ("m", "main", False)
    assert call.committed(at(11.0)) == []
    usage = Usage(input_tokens=5, output_tokens=7)
    seen = Seen(status=200, upstream_request_id="up", bytes_sent=99, usage=usage, cost_usd=0.5)
    (attempt,) = call.finished(at(12.0), seen)
    assert isinstance(attempt, AttemptFinished)
    assert (attempt.outcome, attempt.failure, attempt.scope) == (AttemptOutcome.OK, None, None)
    assert (attempt.duration_seconds, attempt.first_content_seconds) == (1.75, 0.75)
    assert (attempt.upstream_request_id, attempt.span_id) == ("up", step.span_id)
    done = call.closed(at(12.0), outcome=RequestOutcome.OK, status=200)
    assert (done.provider, done.model, done.credential) == ("p", "m", "main")
    assert (done.attempts, done.skipped, done.failure) == (1, 0, None)
    assert (done.duration_seconds, done.first_content_seconds) == (2.0, 1.0)
    assert (done.overhead_seconds, done.bytes_sent) == (0.25, 99)
    assert (done.usage, done.cost_usd) == (usage, 0.5)


def test_a_rescued_request_tells_its_first_failure_and_where_it_should_have_gone() -> None:
    told = play().ask(DOWN)
    done = told.finished
    assert (done.outcome, done.failure, done.reason) == (
        RequestOutcome.OK,
        Failure.SERVER_ERROR,
        "code",
    )
    assert (done.provider, done.attempts) == ("q", 2)
    assert (done.fallback_from, done.fallback_reason) == ("p/m", "server_error")


def test_a_request_served_by_a_fallback_without_any_failure_says_why() -> None:
    it = play()
    it.ask(DOWN)
    done = it.ask(now=10.0).finished
    assert (done.failure, done.fallback_from, done.fallback_reason) == (
        None,
        "p/m",
        "server_error",
    )


def test_a_target_that_could_never_serve_is_no_fallback_s_origin() -> None:
    other = Provider(name="p", dialect=Dialect.ANTHROPIC, credentials=provider("p").credentials)
    settings = config(other, provider("q"), routes=[route("coder", "p/m", "q/m")])
    told = Play(settings, speaks=lambda upstream, client: upstream.dialect == client).ask()
    assert told.rows == [(1, "p/m", "dialect", "dialect"), (2, "q/m main", "ok", "")]
    assert (told.finished.fallback_from, told.finished.skipped) == ("", 1)


@pytest.mark.parametrize("failure", ["bad_request", "content_policy", "context_too_long"])
def test_the_request_s_own_fault_is_handed_through_and_touches_no_state(failure: str) -> None:
    it = play()
    told = it.ask({"p": bad(failure)})
    assert told.tried == ["p/m main"]
    assert isinstance(told.gave_up, GiveUp)
    assert (told.gave_up.failure, told.gave_up.own_fault) == (Failure(failure), True)
    assert told.gave_up.refusal is None
    (attempt,) = told.of(AttemptFinished)
    assert (attempt.failure, attempt.scope) == (Failure(failure), None)
    assert list(it.pool.resting()) == []
    assert it.hop(0).target.breaker.window(stability=it.config.stability, now=at(0.0).instant) == (
        0,
        0,
    )


def test_a_route_may_send_a_long_context_on_to_its_next_target() -> None:
    targets = route("coder", "p/m", "q/m", fallback_on_context_too_long=True)
    it = Play(config(provider("p", "a", "b"), provider("q"), routes=[targets]))
    told = it.ask({"p": bad("context_too_long")})
    assert told.tried == ["p/m a", "q/m main"]
    assert (told.of(CooldownStarted), told.of(Switched)) == ([], [])


def test_a_context_too_long_for_all_targets_is_the_client_s_to_mend() -> None:
    targets = route("coder", "p/m", "q/m", fallback_on_context_too_long=True)
    it = Play(config(provider("p"), provider("q"), routes=[targets]))
    told = it.ask({"p": bad("context_too_long"), "q": bad("context_too_long")})
    assert told.gave_up is not None
    refusal = told.gave_up.refusal
    assert refusal is not None
    assert (refusal.status, refusal.code) == (400, "context_too_long")
    assert (refusal.should_retry, refusal.retry_after_seconds) == (False, None)


def test_a_client_that_leaves_gives_its_places_back_and_blames_nobody() -> None:
    for steps in ("selecting", "trying", "committed"):
        it = play()
        call = it.call()
        if steps != "selecting":
            call.step(at(0.0))
        if steps == "committed":
            call.committed(at(1.0))
        events = call.abandoned(at(2.0), Seen(bytes_sent=3))
        told = [(event.kind, getattr(event, "outcome", "")) for event in events]
        assert told == ([] if steps == "selecting" else [("attempt_finished", "cancelled")])
        assert it.pool.providers["p"].in_flight == 0
        assert it.pool.providers["p"].credentials[0].in_flight == 0
        assert list(it.pool.resting()) == []
        done = call.closed(at(2.0), outcome=RequestOutcome.CANCELLED, status=499)
        assert done.bytes_sent == (0 if steps == "selecting" else 3)


def test_nothing_switches_after_content() -> None:
    it = play()
    call = it.call()
    call.step(at(0.0))
    call.committed(at(1.0))
    events = call.failed(bad("stream_broken"), at(2.0), Seen(status=200, bytes_sent=12))
    assert isinstance(events[0], AttemptFinished)
    assert (events[0].outcome, events[0].failure) == (AttemptOutcome.FAILED, "stream_broken")
    assert call.phase is Phase.DONE
    done = call.closed(at(2.0), outcome=RequestOutcome.UPSTREAM_ERROR, status=200)
    assert (done.provider, done.bytes_sent, done.failure) == ("p", 12, Failure.STREAM_BROKEN)


def test_a_failure_tells_the_scope_that_really_rests() -> None:
    grouped = provider("p", quota_groups={"pro": ("m",)})
    for settings, failure, scope in (
        (provider("p"), "rate_limited", Scope.CREDENTIAL_MODEL),
        (grouped, "rate_limited", Scope.QUOTA_GROUP),
        (provider("p"), "quota_exhausted", Scope.CREDENTIAL),
        (grouped, "quota_exhausted", Scope.QUOTA_GROUP),
        (grouped, "auth", Scope.CREDENTIAL),
        (provider("p"), "model_not_found", Scope.TARGET),
    ):
        told = Play(config(settings, routes=[route("coder", "p/m")])).ask({"p": bad(failure)})
        assert told.of(AttemptFinished)[0].scope is scope
        assert told.of(CooldownStarted)[0].scope is scope


def test_a_missing_model_rests_its_target_for_an_hour_and_tries_no_other_key() -> None:
    keys = provider("p", "a", "b")
    it = Play(config(keys, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    told = it.ask({"p": bad("model_not_found")})
    assert told.tried == ["p/m a", "q/m main"]
    rest = told.of(CooldownStarted)[0]
    assert (rest.scope, rest.model) == (Scope.TARGET, "m")
    assert rest.duration_seconds >= 3600.0
    assert it.ask(now=3599.0).tried == ["q/m main"]


def test_the_end_of_a_rest_is_told_before_the_request_that_finds_it() -> None:
    it = Play(config(provider("p"), routes=[route("coder", "p/m")]))
    it.ask({"p": bad("rate_limited", stated=10.0)})
    told = it.ask(now=20.0)
    (ended,) = told.of(CooldownEnded)
    assert told.events[0] is ended
    assert told.tried == ["p/m main"]


def test_a_report_out_of_turn_is_a_programming_error() -> None:
    it = play()
    call = it.call()
    with pytest.raises(KeyError):
        call.finished(at(0.0), SEEN)
    call.step(at(0.0))
    with pytest.raises(KeyError):
        call.finished(at(0.0), SEEN)
    with pytest.raises(AssertionError):
        call.step(at(0.0))
    with pytest.raises(AssertionError):
        call.closed(at(0.0), outcome=RequestOutcome.OK, status=200)


def test_every_phase_but_the_last_leads_somewhere_and_the_last_nowhere() -> None:
    assert {phase for phase, _ in MOVES} == set(Phase) - {Phase.DONE}
    assert set(MOVES.values()) == set(Phase)


def test_direct_names_fall_back_and_keep_to_their_own_pointer() -> None:
    fallback = Fallback(compatible={"p": ("q",)})
    it = Play(config(provider("p"), provider("q"), fallback=fallback))
    told = it.ask(DOWN, name="p/x")
    assert told.tried == ["p/x main", "q/x main"]
    assert told.finished.route == "direct"
    assert it.ask(now=1.0, name="p/x").tried == ["q/x main"]
    assert it.ask(now=1.0, name="p/y").tried == ["p/y main"]
    assert [each.target for each in it.route("p/x").chain.targets] == ["p/x", "q/x"]


def test_a_failure_before_any_content_leaves_the_call_ready_for_its_next_step() -> None:
    it = play()
    call = it.call()
    call.step(at(0.0))
    call.failed(bad("connect"), at(1.0), NOT_SEEN)
    step, _ = call.step(at(1.0))
    assert isinstance(step, Send)
    assert (step.provider.name, call.attempts) == ("q", 2)
    call.committed(at(2.0))
    assert call.fallback() == ("p/m", "connect")
