"""One cause behind many failures: a whole pool of keys refused, or our own network away."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import Rotation, Stability
from gateway.events import (
    CooldownEnd,
    CooldownEnded,
    CooldownSource,
    CooldownStarted,
    Failure,
    LocalNetwork,
    PoolWideFailure,
    Scope,
    Switched,
)
from gateway.routing.guard import NetworkGuard, PoolGuard
from tests.gateway.routing.building import (
    NOT_SEEN,
    Play,
    Script,
    answer,
    at,
    bad,
    candidate_of,
    config,
    kinds,
    provider,
    route,
    sent,
)

USUAL = Stability()
FIFTY = [f"k{n:02}" for n in range(50)]


def alike(of: PoolGuard, key: str, failure: Failure, seconds: float) -> int:
    return len(of.alike(key, failure, USUAL, at(seconds).instant))


def pool(*keys: str, others: str = "q", **more: Any) -> Play:
    providers = [provider("p", *keys), *(provider(name) for name in others)]
    targets = [f"{each.name}/m" for each in providers]
    return Play(config(*providers, routes=[route("coder", *targets)], **more))


def started(of: Play, scope: Scope) -> list[CooldownStarted]:
    return [
        event
        for event in kinds(of.events, CooldownStarted)
        if event.scope is scope and event.source is not CooldownSource.HOLD
    ]


# -- the books ---------------------------------------------------------------------------------


def test_three_different_keys_refused_alike_within_seconds_are_one_cause() -> None:
    it = PoolGuard()
    assert alike(it, "a", Failure.AUTH, 0.0) == 0
    assert alike(it, "a", Failure.AUTH, 1.0) == 0
    assert alike(it, "b", Failure.AUTH, 2.0) == 0
    assert alike(it, "c", Failure.AUTH, 3.0) == 3


def test_different_refusals_or_long_between_them_are_no_one_cause() -> None:
    it = PoolGuard()
    found = [
        alike(it, "a", Failure.AUTH, 0.0),
        alike(it, "b", Failure.RATE_LIMITED, 1.0),
        alike(it, "c", Failure.QUOTA_EXHAUSTED, 2.0),
        alike(it, "d", Failure.AUTH, 9.0),
        alike(it, "e", Failure.AUTH, 18.0),
    ]
    assert found == [0] * 5


def test_ill_health_is_no_key_s_refusal() -> None:
    it = PoolGuard()
    assert [alike(it, key, Failure.SERVER_ERROR, 0.0) for key in "abcd"] == [0] * 4


def test_the_network_is_away_when_no_provider_can_be_connected_to() -> None:
    it, both = NetworkGuard(), frozenset("pq")
    assert not it.failed("p", both, 10.0, at(0.0).instant)
    assert it.failed("q", both, 10.0, at(5.0).instant)
    assert it.away
    # It is told once.
    assert not it.failed("p", both, 10.0, at(6.0).instant)
    it.reached("q")
    assert not it.away


def test_failures_long_apart_or_of_a_single_provider_are_no_network_s() -> None:
    it = NetworkGuard()
    assert not it.failed("p", frozenset("pq"), 10.0, at(0.0).instant)
    assert not it.failed("q", frozenset("pq"), 10.0, at(11.0).instant)
    alone = NetworkGuard()
    assert not alone.failed("p", frozenset("p"), 10.0, at(0.0).instant)


# -- a pool of keys ----------------------------------------------------------------------------

REFUSED: Script = {"p": bad("auth")}


def test_fifty_refused_keys_cost_three_attempts_and_no_key_is_blamed() -> None:
    it = pool(*FIFTY)
    told = [it.ask(REFUSED, now=n * 0.5) for n in range(10)]
    assert told[0].tried == ["p/m k00", "p/m k01", "p/m k02", "q/m main"]
    assert all(each.tried == ["q/m main"] for each in told[1:])
    (failure,) = kinds(it.events, PoolWideFailure)
    assert (failure.provider, failure.failure, failure.credentials) == ("p", "auth", 3)
    (rest,) = started(it, Scope.PROVIDER)
    assert (rest.reason, rest.level) == ("pool_wide", 1)
    assert 30.0 <= rest.duration_seconds <= 36.0
    ends = kinds(it.events, CooldownEnded)
    assert [(event.credential, event.ended) for event in ends] == [
        ("k00", CooldownEnd.SUPERSEDED),
        ("k01", CooldownEnd.SUPERSEDED),
    ]
    assert not any(key.spot.rests(at(5.0).instant) for key in it.pool.providers["p"].credentials)


def test_at_recovery_one_probe_brings_all_keys_back() -> None:
    it = pool(*FIFTY, cooldown_min_seconds=0.0, cooldown_multiplier=0.0, return_good_seconds=0.0)
    it.ask(REFUSED)
    told = it.ask(now=40.0)
    assert told.tried == ["p/m k02"]
    assert (told.of(CooldownEnded)[0].scope, told.of(CooldownEnded)[0].ended) == (
        Scope.PROVIDER,
        CooldownEnd.EXPIRED,
    )
    keys = it.pool.providers["p"].credentials
    assert not any(key.spot.unproven or key.spot.cooldown for key in keys)
    assert not it.pool.providers["p"].spot.unproven


def test_stragglers_of_a_refused_pool_are_no_news_of_their_keys() -> None:
    spread = provider("p", *FIFTY, rotation=Rotation.LEAST_IN_FLIGHT)
    it = Play(config(spread, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    calls = [it.call() for _ in range(8)]
    assert [candidate_of(sent(call, 0.0)) for call in calls] == [f"p/m {k}" for k in FIFTY[:8]]
    events = []
    for call in calls:
        events += call.failed(bad("auth"), at(1.0), NOT_SEEN)
    assert [candidate_of(sent(call, 1.0)) for call in calls] == ["q/m main"] * 8
    assert len(kinds(events, PoolWideFailure)) == 1
    providers = [e for e in kinds(events, CooldownStarted) if e.scope is Scope.PROVIDER]
    assert len(providers) == 1
    assert not any(key.spot.rests(at(1.0).instant) for key in it.pool.providers["p"].credentials)


def test_a_refused_probe_lets_the_whole_pool_rest_again_and_longer() -> None:
    it = pool(*FIFTY, cooldown_min_seconds=0.0, cooldown_multiplier=0.0)
    it.ask(REFUSED)
    told = it.ask(REFUSED, now=40.0)
    assert told.tried == ["p/m k02", "q/m main"]
    second = started(it, Scope.PROVIDER)[1]
    assert (second.reason, second.level) == ("pool_wide", 2)
    assert 60.0 <= second.duration_seconds <= 72.0
    assert len(kinds(it.events, PoolWideFailure)) == 1
    assert [event.credential for event in started(it, Scope.CREDENTIAL)] == ["k00", "k01"]


def test_without_another_provider_the_whole_pool_is_walked() -> None:
    it = pool(*FIFTY[:10], others="")
    dead = {f"p/m {key}": bad("auth") for key in FIFTY[:9]}
    told = it.ask(dead)
    assert told.tried == [f"p/m {key}" for key in FIFTY[:10]]
    assert kinds(it.events, PoolWideFailure) == []
    assert it.ask(dead, now=1.0).tried == ["p/m k09"]


def test_limits_that_last_are_the_keys_own() -> None:
    it = pool("a", "b", "c", "d")
    told = it.ask({"p": bad("quota_exhausted", stated=3600.0)})
    assert told.tried == ["p/m a", "p/m b", "p/m c", "p/m d", "q/m main"]
    assert told.of(PoolWideFailure) == []


def test_what_was_stated_is_kept_also_where_the_pool_was_refused_as_a_whole() -> None:
    it = pool("a", "b", "c", "d")
    told = it.ask({"p": bad("rate_limited", stated=50.0)})
    assert told.tried == ["p/m a", "p/m b", "p/m c", "q/m main"]
    assert [event.ended for event in told.of(CooldownEnded)] == []
    # The third refusal is kept by the provider: it stated more than the guess.
    assert it.pool.providers["p"].spot.rests(at(50.0).instant)


def test_a_rest_from_before_stays_with_its_key() -> None:
    it = pool("a", "b", "c", "d")
    it.ask({"p/m a": bad("rate_limited", stated=30.0)}, now=0.0)
    a = it.pool.providers["p"].credentials[0]
    it.pool.expire(at(40.0))
    told = it.ask({"p": bad("auth")}, now=41.0)
    assert told.of(PoolWideFailure)[0].credentials == 3
    # a was on trial for its limit, and still is: nothing of that was disproved.
    assert [spot.unproven for spot in a.models.values()] == [True]
    assert not a.spot.unproven


# -- our own network ---------------------------------------------------------------------------

UNREACHABLE: Script = {name: bad("connect", processed=False) for name in "pqr"}


def test_when_nothing_can_be_connected_to_nobody_is_blamed_and_it_is_told_once() -> None:
    it = pool(others="qr")
    for n in range(30):
        it.ask(UNREACHABLE, now=float(n))
    (event,) = kinds(it.events, LocalNetwork)
    assert event.providers == 3
    rests = started(it, Scope.TARGET)
    assert {rest.reason for rest in rests} == {"local_network"}
    assert all(rest.duration_seconds <= 1.0 for rest in rests)
    assert kinds(it.events, Switched) == []
    assert not any(hop.hold.rests(at(30.0).instant) for hop in it.route().hops)
    assert all(hop.target.spot.level(at(30.0).instant) == 0 for hop in it.route().hops)


def test_when_the_network_is_back_every_target_serves_within_two_seconds() -> None:
    it = pool(others="qr")
    for n in range(10):
        it.ask(UNREACHABLE, now=float(n))
    told = it.ask(now=11.5)
    assert told.tried == ["p/m main"]
    assert told.gave_up is None
    others = {"p": bad("rate_limited", stated=20.0)}
    assert it.ask(others, now=11.6).tried == ["p/m main", "q/m main"]


def test_when_the_network_is_back_no_route_leaves_a_target_for_its_rest() -> None:
    """`p` still rests for the network's sake when `q` is the first to be reached again."""
    it = pool(others="q")
    it.ask(UNREACHABLE, now=1.0)
    told = it.ask({"p": bad("connect")}, now=1.05)
    assert told.tried == ["p/m main", "q/m main"]
    assert told.gave_up is None
    assert told.waits
    ended = [each.ended for each in kinds(told.events, CooldownEnded) if each.model == "m"]
    assert CooldownEnd.SUPERSEDED in ended
    assert kinds(it.events, Switched) == []
    assert it.ask(now=1.05 + sum(told.waits)).tried == ["p/m main"]


def test_an_answer_of_anybody_shows_that_the_network_is_there() -> None:
    it = pool(others="q")
    told = it.ask({"p": bad("connect"), "q": bad("overloaded")})
    assert told.of(LocalNetwork) == []
    assert it.hop(0).hold.rests(at(0.0).instant)


@pytest.mark.parametrize("failure", ["reset_before_content", "first_content_timeout"])
def test_a_connection_that_dies_shows_nothing(failure: str) -> None:
    it = pool(others="q")
    slow = it.call()
    sent(slow, 0.0)
    it.ask(UNREACHABLE, now=1.0)
    slow.failed(bad(failure), at(2.0), NOT_SEEN)
    it.ask(UNREACHABLE, now=3.0)
    assert len(kinds(it.events, LocalNetwork)) == 1


def test_a_single_provider_that_cannot_be_connected_to_is_ill_itself() -> None:
    it = pool(others="")
    for n in range(3):
        it.ask({"p": bad("connect")}, now=float(n))
    assert kinds(it.events, LocalNetwork) == []
    (rest,) = started(it, Scope.TARGET)
    assert rest.reason == "connect"


def test_a_network_that_is_away_sends_a_late_answer_through() -> None:
    it = pool(others="q")
    slow = it.call()
    sent(slow, 0.0)
    it.ask(UNREACHABLE, now=1.0)
    assert it.pool.rests.network.away
    answer(slow, 1.5)
    assert not it.pool.rests.network.away
