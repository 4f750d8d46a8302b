"""What each failure lets rest, for how long, and when that is told to be over."""

from __future__ import annotations

import pytest

from gateway.events import (
    CooldownEnded,
    CooldownExtended,
    CooldownSource,
    CooldownStarted,
    Event,
    Failure,
    Scope,
)
from gateway.routing.cooldown import Trigger
from gateway.routing.policy import JITTER, POLICY, Blame
from gateway.routing.resting import Blamed, blamed_scope
from gateway.routing.state import Candidate
from tests.gateway.routing.building import Play, at, config, provider, route

NOBODY = [failure for failure, rule in POLICY.items() if rule.blame is Blame.NOBODY]


def play(*keys: str) -> Play:
    return Play(config(provider("p", *keys), routes=[route("coder", "p/m")]))


def fail(
    of: Play, failure: str, *, now: float = 0.0, stated: float | None = None, key: int = 0
) -> list[Event]:
    hop = of.hop(0)
    return of.pool.bad(
        of.route(),
        Candidate(hop, hop.target.provider.credentials[key]),
        Blamed(Failure(failure), None, stated),
        probe=False,
        now=at(now),
        trigger=Trigger(failure, "r1", "r1.1"),
    )


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def only(events: list[Event]) -> CooldownStarted:
    (event,) = events
    assert isinstance(event, CooldownStarted)
    return event


@pytest.mark.parametrize("failure", NOBODY)
def test_what_is_nobody_s_fault_lets_nothing_rest_whatever_it_states(failure: Failure) -> None:
    it = play()
    assert fail(it, failure, stated=60.0) == []
    assert list(it.pool.resting()) == []


@pytest.mark.parametrize(
    ("failure", "scope", "seconds"),
    [
        ("rate_limited", Scope.CREDENTIAL_MODEL, 15.0),
        ("quota_exhausted", Scope.CREDENTIAL, 900.0),
        ("auth", Scope.CREDENTIAL, 300.0),
        ("model_not_found", Scope.TARGET, 3600.0),
        ("unsupported", Scope.TARGET, 3600.0),
    ],
)
def test_a_limit_or_a_missing_thing_rests_at_once(
    failure: str, scope: Scope, seconds: float
) -> None:
    event = only(fail(play(), failure))
    assert (event.scope, event.source, event.level) == (scope, CooldownSource.LADDER, 1)
    assert seconds <= event.duration_seconds <= seconds * (1 + JITTER)
    assert (event.reason, event.request_id, event.trigger_attempt_id) == (failure, "r1", "r1.1")


def test_ill_health_rests_only_when_the_breaker_opens() -> None:
    it = play()
    assert fail(it, "server_error", now=0.0) == []
    assert fail(it, "connect", now=1.0) == []
    event = only(fail(it, "overloaded", now=2.0))
    assert (event.scope, event.reason) == (Scope.TARGET, "overloaded")
    assert 30.0 <= event.duration_seconds <= 30.0 * (1 + JITTER)


def test_two_keys_must_both_have_failed_unless_one_of_them_rests() -> None:
    it = play("a", "b")
    assert [fail(it, "server_error", now=float(now)) for now in range(3)] == [[], [], []]
    it = play("a", "b")
    fail(it, "auth", key=1)
    opened = [kinds(fail(it, "server_error", now=float(now))) for now in range(3)]
    assert opened == [[], [], ["cooldown_started"]]


def test_a_stated_rest_of_an_ill_target_is_kept_though_its_breaker_does_not_open() -> None:
    event = only(fail(play(), "overloaded", stated=4.0))
    assert (event.scope, event.source) == (Scope.TARGET, CooldownSource.STATED)
    assert 4.0 <= event.duration_seconds <= 4.4


def test_short_stated_rests_do_not_keep_an_ill_target_from_opening() -> None:
    it = play()
    lengths = []
    for n in range(2):
        events = fail(it, "overloaded", now=10.0 * n, stated=1.0)
        started = [event for event in events if isinstance(event, CooldownStarted)]
        lengths.append(started[0].duration_seconds)
    assert lengths[0] < 2.0
    # After its rest it was on trial: one more failure opens it.
    assert lengths[1] >= 30.0


def test_of_an_opening_target_s_ladder_and_stated_time_the_later_wins() -> None:
    it = play()
    fail(it, "server_error", now=0.0)
    fail(it, "server_error", now=1.0)
    events = fail(it, "overloaded", now=2.0, stated=200.0)
    assert kinds(events) == ["cooldown_started", "cooldown_extended"]
    extended = events[1]
    assert isinstance(extended, CooldownExtended)
    assert extended.source is CooldownSource.STATED
    assert 200.0 <= extended.duration_seconds <= 202.0


def test_a_straggler_of_a_resting_target_is_no_news_unless_it_states_a_later_time() -> None:
    it = play()
    for now in range(3):
        fail(it, "server_error", now=float(now))
    assert fail(it, "server_error", now=3.0) == []
    assert kinds(fail(it, "overloaded", now=4.0, stated=300.0)) == ["cooldown_extended"]
    assert fail(it, "overloaded", now=5.0, stated=10.0) == []
    counted = it.hop(0).target.breaker.window(stability=it.config.stability, now=at(5.0).instant)
    assert counted == (0, 0)


def test_a_straggler_of_a_resting_key_does_not_climb_its_ladder() -> None:
    it = play()
    only(fail(it, "rate_limited"))
    assert fail(it, "rate_limited", now=1.0) == []


def test_a_relapse_climbs() -> None:
    it = play()
    first = only(fail(it, "rate_limited"))
    again = fail(it, "rate_limited", now=first.duration_seconds + 1.0)
    assert kinds(again) == ["cooldown_ended", "cooldown_started"]
    second = again[1]
    assert isinstance(second, CooldownStarted)
    assert (second.level, second.relapse) == (2, True)
    assert 30.0 <= second.duration_seconds <= 36.0


def test_a_quota_group_s_limit_is_one_place_for_all_its_models() -> None:
    grouped = provider("p", quota_groups={"pro": ("m", "n")})
    it = Play(config(grouped, routes=[route("coder", "p/m"), route("other", "p/n")]))
    event = only(fail(it, "rate_limited"))
    assert (event.scope, event.model, event.credential) == (Scope.QUOTA_GROUP, "pro", "main")
    assert it.pool.ready_in(it.hop(0, "other"), at(0.0)) > 0


@pytest.mark.parametrize(
    ("given", "scope"),
    [(None, Scope.CREDENTIAL), (Scope.PROVIDER, Scope.PROVIDER), (Scope.TARGET, Scope.TARGET)],
)
def test_a_scope_that_is_known_better_wins(given: Scope | None, scope: Scope) -> None:
    it = play()
    candidate = Candidate(it.hop(0), it.hop(0).target.provider.credentials[0])
    assert blamed_scope(candidate, Failure.AUTH, given) is scope
    blamed = Blamed(Failure.AUTH, given, None)
    trigger = Trigger("auth")
    events = it.pool.bad(it.route(), candidate, blamed, probe=False, now=at(0.0), trigger=trigger)
    assert only(events).scope is scope


def test_an_operator_s_rule_may_let_ill_health_rest_the_whole_provider() -> None:
    it = play()
    hop = it.hop(0)
    told: list[Event] = []
    for n in range(3):
        told += it.pool.bad(
            it.route(),
            Candidate(hop, hop.target.provider.credentials[0]),
            Blamed(Failure.SERVER_ERROR, Scope.PROVIDER, None),
            probe=False,
            now=at(n),
            trigger=Trigger("server_error"),
        )
    started = only(told)
    assert (started.scope, started.provider, started.model) == (Scope.PROVIDER, "p", "")


def test_every_end_is_told_once_when_its_time_comes() -> None:
    it = play("a", "b")
    short = only(fail(it, "rate_limited", key=0))
    long = only(fail(it, "auth", key=1))
    assert it.pool.expire(at(14.0)) == []
    (first,) = it.pool.expire(at(20.0))
    (second,) = it.pool.expire(at(400.0))
    assert isinstance(first, CooldownEnded)
    assert isinstance(second, CooldownEnded)
    assert [first.cooldown_id, second.cooldown_id] == [short.cooldown_id, long.cooldown_id]
    assert it.pool.expire(at(4000.0)) == []


def test_an_extended_rest_is_not_told_to_be_over_at_its_first_end() -> None:
    it = play()
    fail(it, "rate_limited", stated=10.0)
    fail(it, "rate_limited", now=5.0, stated=60.0)
    assert it.pool.expire(at(30.0)) == []
    assert kinds(it.pool.expire(at(70.0))) == ["cooldown_ended"]
