"""What keeps a target away and for how long."""

from __future__ import annotations

from random import Random

from gateway.events import CooldownSource
from gateway.routing.cooldown import Lease, Spot, Trigger
from gateway.routing.readiness import (
    PROBE_SECONDS,
    Admission,
    being_probed,
    credential_ready_in,
    credential_rest,
    has_turn,
    kept_away_by,
    look,
    open_rest,
    ready_in,
    stands_back,
)
from tests.gateway.routing.building import START, Play, at, config, provider, route

NOW = START.instant


def play() -> Play:
    return Play(config(provider("p", "a", "b"), routes=[route("coder", "p/m")]))


def lay(spot: Spot, seconds: float, reason: str) -> None:
    spot.rest(
        seconds, source=CooldownSource.LADDER, trigger=Trigger(reason), now=START, rng=Random(1)
    )


def test_a_target_is_ready_while_one_of_its_keys_is() -> None:
    hop = play().hop(0)
    lay(hop.target.provider.credentials[0].spot, 50.0, "auth")
    assert ready_in(hop, NOW) == 0.0
    assert kept_away_by(hop, NOW) is None
    assert credential_ready_in(hop.target, hop.target.provider.credentials[0], NOW) == 50.0


def test_a_target_waits_for_the_soonest_of_its_keys() -> None:
    hop = play().hop(0)
    a, b = hop.target.provider.credentials
    lay(a.spot, 50.0, "auth")
    lay(b.spot, 20.0, "quota_exhausted")
    assert ready_in(hop, NOW) == 20.0
    rest = kept_away_by(hop, NOW)
    assert rest is not None
    assert rest.reason == "quota_exhausted"


def test_a_key_waits_for_the_last_of_its_own_rests() -> None:
    hop = play().hop(0)
    provider, key = hop.target.provider, hop.target.provider.credentials[0]
    lay(key.spot, 10.0, "auth")
    lay(provider.limit_spot(key, "m"), 30.0, "rate_limited")
    rest = credential_rest(hop.target, key, NOW)
    assert rest is not None
    assert (rest.reason, credential_ready_in(hop.target, key, NOW)) == ("rate_limited", 30.0)
    assert credential_rest(hop.target, key, at(30.0).instant) is None


def test_a_target_s_own_rest_adds_to_those_of_its_keys() -> None:
    hop = play().hop(0)
    for key in hop.target.provider.credentials:
        lay(key.spot, 20.0, "auth")
    lay(hop.target.spot, 40.0, "overloaded")
    assert ready_in(hop, NOW) == 40.0
    for seconds, reason in ((0.0, "overloaded"), (39.0, "overloaded")):
        rest = kept_away_by(hop, at(seconds).instant)
        assert rest is not None
        assert rest.reason == reason
    assert open_rest(hop.target, at(40.0).instant) is None


def test_a_hold_keeps_nothing_away() -> None:
    hop = play().hop(0)
    lay(hop.hold, 300.0, "server_error")
    assert (ready_in(hop, NOW), kept_away_by(hop, NOW)) == (0.0, None)


# -- what is found at several places -------------------------------------------------------------


def admission(*spots: Spot | None, now: float = 0.0, recheck: float | None = None) -> Admission:
    return look(spots, at(now).instant, recheck_seconds=recheck).admission


def test_the_most_limiting_place_decides() -> None:
    hop = play().hop(0)
    a, b, c = hop.target.spot, hop.target.provider.spot, hop.hold
    assert admission(a, b, None) is Admission.READY
    b.unproven = True
    assert admission(a, b) is Admission.TRIAL
    b.probe(Lease("x", at(5.0).instant), NOW)
    assert admission(a, b) is Admission.PROBING
    assert admission(a, b, now=5.0) is Admission.TRIAL
    lay(a, 2.0, "auth")
    lay(c, 9.0, "overloaded")
    found = look((a, b, c), NOW, recheck_seconds=None)
    assert found.admission is Admission.RESTING
    assert found.rest is not None
    assert found.rest.reason == "overloaded"


def test_a_long_stated_rest_may_be_tried_by_who_may_look() -> None:
    hop = play().hop(0)
    spot = hop.target.spot
    spot.rest(5000.0, source=CooldownSource.STATED, trigger=Trigger("x"), now=START, rng=Random(1))
    assert admission(spot, now=900.0) is Admission.RESTING
    assert admission(spot, now=899.0, recheck=900.0) is Admission.RESTING
    assert admission(spot, now=900.0, recheck=900.0) is Admission.TRIAL


def test_what_is_probed_is_told_to_be_ready_within_a_second() -> None:
    hop = play().hop(0)
    spot = hop.target.spot
    spot.unproven = True
    key = hop.target.provider.credentials[0]
    assert credential_ready_in(hop.target, key, NOW) == 0.0
    spot.probe(Lease("x", at(5.0).instant), NOW)
    assert credential_ready_in(hop.target, key, NOW) == PROBE_SECONDS
    assert being_probed(hop.target, key, NOW)
    assert not being_probed(hop.target, key, at(5.0).instant)
    lay(key.spot, 20.0, "auth")
    assert not being_probed(hop.target, key, NOW)


def test_a_provider_has_a_turn_for_the_first_of_its_queue_only() -> None:
    state = play().pool.providers["p"]
    assert has_turn(state, "a")
    state.queue.update({"a": None, "b": None})
    assert (has_turn(state, "a"), has_turn(state, "b"), has_turn(state, "")) == (
        True,
        False,
        False,
    )


def test_a_held_or_suppressed_target_stands_back() -> None:
    hop = play().hop(0)
    assert not stands_back(hop, NOW)
    lay(hop.hold, 10.0, "x")
    assert stands_back(hop, NOW)
    assert not stands_back(hop, at(10.0).instant)
    hop.penalty.add(3000.0, hop.stability, NOW)
    assert stands_back(hop, at(10.0).instant)
