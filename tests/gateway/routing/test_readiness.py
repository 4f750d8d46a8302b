"""What keeps a target away and for how long."""

from __future__ import annotations

from random import Random

from gateway.events import CooldownSource
from gateway.routing.cooldown import Spot, Trigger
from gateway.routing.readiness import (
    credential_ready_in,
    credential_rest,
    kept_away_by,
    open_rest,
    ready_in,
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
