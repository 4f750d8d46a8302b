"""Which key is next: usable keys in, the chosen one out."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from gateway.config import Credential, Rotation
from gateway.routing.rotation import rotate
from gateway.routing.state import CredentialState, TargetState
from tests.gateway.routing.building import Play, config, credential, provider, route


def target(*keys: str | Credential, **more: Any) -> TargetState:
    play = Play(config(provider("p", *keys, **more), routes=[route("coder", "p/m")]))
    return play.hop(0).target


def chosen(of: TargetState, *, ready: list[CredentialState] | None = None, seed: int = 1) -> str:
    return rotate(of, ready or of.provider.credentials, rng=Random(seed)).name


def test_sequential_drains_the_key_it_is_on() -> None:
    it = target("a", "b", "c")
    assert chosen(it) == "a"
    it.current = it.provider.credentials[1]
    assert [chosen(it, seed=seed) for seed in range(5)] == ["b"] * 5


def test_sequential_begins_with_the_first_usable_key_when_its_own_rests() -> None:
    it = target("a", "b", "c")
    it.current = it.provider.credentials[0]
    assert chosen(it, ready=it.provider.credentials[1:]) == "b"


def test_sequential_comes_back_to_a_better_tier() -> None:
    it = target(credential("cheap", priority=1), credential("dear", priority=2))
    it.current = it.provider.credentials[1]
    assert chosen(it) == "cheap"
    assert chosen(it, ready=it.provider.credentials[1:]) == "dear"


def test_tiers_are_sorted_by_priority_whatever_the_order_of_the_file() -> None:
    keys = credential("third", priority=9), credential("first", priority=1), credential("second")
    it = target(*keys)
    assert [each.name for each in it.provider.credentials] == ["first", "second", "third"]


def test_least_in_flight_takes_the_idlest_then_the_least_used() -> None:
    it = target("a", "b", "c", rotation=Rotation.LEAST_IN_FLIGHT)
    a, b, c = it.provider.credentials
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 1
    b.used, c.used = 7, 3
    assert chosen(it) == "c"
    c.in_flight = 3
    assert chosen(it) == "b"


def test_balanced_prefers_the_less_used_key_and_never_excludes_the_other() -> None:
    it = target("a", "b", rotation=Rotation.BALANCED)
    it.provider.credentials[0].used = 12
    rng = Random(7)
    drawn = Counter(rotate(it, it.provider.credentials, rng=rng).name for _ in range(2000))
    # Weights 4 (tolerance + 1) and 16 (the gap of 12 on top).
    assert 0.76 < drawn["b"] / 2000 < 0.84


def test_balanced_levels_the_use_of_its_keys() -> None:
    it = target("a", "b", "c", rotation=Rotation.BALANCED)
    rng = Random(7)
    for _ in range(3000):
        rotate(it, it.provider.credentials, rng=rng).used += 1
    used = [each.used for each in it.provider.credentials]
    assert max(used) - min(used) < 30


def test_balanced_stays_inside_the_best_tier() -> None:
    keys = credential("a"), credential("b"), credential("reserve", priority=2)
    it = target(*keys, rotation=Rotation.BALANCED)
    assert {chosen(it, seed=seed) for seed in range(50)} == {"a", "b"}
