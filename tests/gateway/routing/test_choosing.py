"""Who is tried next and why the others are not: a pool's state in, a candidate and skips out."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.config import Billing, RouteTarget
from gateway.events import CooldownSource, Failure, SkipReason
from gateway.routing.choosing import SKIPS_REPORTED_MAX, Wanted
from gateway.routing.cooldown import Spot, Trigger
from gateway.routing.state import Candidate
from tests.gateway.routing.building import START, Play, at, config, credential, provider, route


def play(**more: Any) -> Play:
    providers = [provider("p", "a", "b"), provider("q"), provider("r")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m", "r/m")]), **more)


def lay(spot: Spot, seconds: float, reason: str = "server_error") -> None:
    """Let a place rest; the pool is not told, as it has nothing to expire in these tests."""
    spot.rest(
        seconds,
        source=CooldownSource.LADDER,
        trigger=Trigger(reason),
        now=START,
        rng=Random(1),
    )


def take(of: Play, candidate: Candidate) -> None:
    of.pool.take(of.route(), candidate, attempt="", probe_seconds=None, now=START)


def chosen(of: Play, wanted: Wanted | None = None, *, now: float = 0.0) -> str:
    candidate = of.pool.choose(of.route(), wanted or Wanted("openai"), at(now)).candidate
    return " ".join(candidate.key) if candidate else ""


def skips(
    of: Play, wanted: Wanted | None = None, *, now: float = 0.0
) -> list[tuple[str, str, SkipReason, str]]:
    passed = of.pool.choose(of.route(), wanted or Wanted("openai"), at(now)).skips
    return [(skip.hop.target.name, skip.credential, skip.reason, skip.cause) for skip in passed]


def test_the_first_target_s_first_key_is_chosen_and_nobody_is_passed_over() -> None:
    it = play()
    assert (chosen(it), skips(it)) == ("p/m a", [])


def test_a_resting_key_is_passed_over_for_the_next_one() -> None:
    it = play()
    lay(it.hop(0).target.provider.credentials[0].spot, 10.0, "auth")
    assert chosen(it) == "p/m b"
    assert skips(it) == [("p/m", "a", SkipReason.COOLING, "auth")]
    assert chosen(it, now=10.0) == "p/m a"


def test_a_limit_of_one_model_leaves_the_key_to_the_others() -> None:
    providers = [provider("p"), provider("q")]
    routes = [route("coder", "p/m", "q/m"), route("other", "p/n")]
    it = Play(config(*providers, routes=routes))
    p = it.pool.providers["p"]
    lay(p.limit_spot(p.credentials[0], "m"), 10.0, "rate_limited")
    assert chosen(it) == "q/m main"
    candidate = it.pool.choose(it.route("other"), Wanted("openai"), START).candidate
    assert candidate is not None
    assert candidate.target.name == "p/n"


def test_a_limit_of_a_quota_group_stops_all_its_models() -> None:
    p = provider("p", quota_groups={"pro": ("m", "n")})
    routes = [route("coder", "p/m", "q/m"), route("other", "p/n"), route("third", "p/o")]
    it = Play(config(p, provider("q"), routes=routes))
    state = it.pool.providers["p"]
    lay(state.limit_spot(state.credentials[0], "m"), 10.0, "rate_limited")
    assert chosen(it) == "q/m main"
    assert it.pool.choose(it.route("other"), Wanted("openai"), START).candidate is None
    assert it.pool.choose(it.route("third"), Wanted("openai"), START).candidate is not None


@pytest.mark.parametrize("which", ["target", "provider"])
def test_a_resting_target_or_provider_is_passed_over_whole(which: str) -> None:
    it = play()
    target = it.hop(0).target
    lay(target.spot if which == "target" else target.provider.spot, 10.0)
    assert chosen(it) == "q/m main"
    assert skips(it) == [("p/m", "", SkipReason.COOLING, "server_error")]


def test_of_two_rests_the_one_that_ends_last_is_told() -> None:
    it = play()
    target = it.hop(0).target
    lay(target.provider.spot, 10.0, "quota_exhausted")
    lay(target.spot, 20.0, "overloaded")
    assert skips(it) == [("p/m", "", SkipReason.COOLING, "overloaded")]
    lay(target.provider.spot, 30.0, "quota_exhausted")
    assert skips(it) == [("p/m", "", SkipReason.COOLING, "quota_exhausted")]


def test_a_held_target_stands_behind_the_unheld_ones() -> None:
    it = play()
    lay(it.hop(0).hold, 300.0)
    assert chosen(it) == "q/m main"
    assert skips(it) == [("p/m", "", SkipReason.HELD, "server_error")]
    assert chosen(it, now=300.0) == "p/m a"


def test_a_hold_never_removes_the_last_candidate() -> None:
    it = play()
    lay(it.hop(0).hold, 300.0)
    lay(it.hop(1).target.spot, 300.0)
    lay(it.hop(2).target.provider.spot, 300.0)
    assert chosen(it) == "p/m a"


def test_held_targets_keep_the_configured_order_among_themselves() -> None:
    it = play()
    for index, seconds in enumerate((900.0, 300.0, 600.0)):
        lay(it.hop(index).hold, seconds)
    assert (chosen(it), skips(it)) == ("p/m a", [])


def test_a_full_key_spills_to_the_next_and_a_full_provider_to_the_next_target() -> None:
    p = provider("p", credential("a", max_in_flight=1), credential("b"), max_in_flight=2)
    it = Play(config(p, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    taken = []
    for _ in range(3):
        candidate = it.pool.choose(it.route(), Wanted("openai"), START).candidate
        assert candidate is not None
        take(it, candidate)
        taken.append(candidate)
    assert [" ".join(each.key) for each in taken] == ["p/m a", "p/m b", "q/m main"]
    assert skips(it) == [("p/m", "", SkipReason.AT_CAPACITY, "")]
    it.pool.give_back(taken[0], "")
    assert chosen(it) == "p/m a"


def test_a_spill_does_not_end_the_draining_of_a_key() -> None:
    p = provider("p", credential("a", max_in_flight=1), credential("b"))
    it = Play(config(p, routes=[route("coder", "p/m")]))
    a, b = (Candidate(it.hop(0), key) for key in it.pool.providers["p"].credentials)
    take(it, a)
    assert chosen(it) == "p/m b"
    take(it, b)
    it.pool.give_back(a, "")
    assert chosen(it) == "p/m a"


def test_what_a_request_has_used_up_is_not_offered_again() -> None:
    it = play()
    assert chosen(it, Wanted("openai", tried={("p/m", "a")})) == "p/m b"
    assert chosen(it, Wanted("openai", tried={("p/m", "a"), ("p/m", "b")})) == "q/m main"
    given_up = Wanted("openai", given_up={"p/m"})
    assert chosen(it, given_up) == "q/m main"
    assert skips(it, given_up) == [("p/m", "", SkipReason.SAME_FAULT, "")]
    spent = Wanted("openai", spent={"p", "q"})
    assert chosen(it, spent) == "r/m main"
    assert [each[2] for each in skips(it, spent)] == [SkipReason.ATTEMPTS_SPENT] * 2


def test_a_target_that_does_not_speak_the_client_s_dialect_is_passed_over() -> None:
    it = play(speaks=lambda provider, client: provider == client)
    assert chosen(it, Wanted("anthropic")) == ""
    assert {each[2] for each in skips(it, Wanted("anthropic"))} == {SkipReason.DIALECT}


def test_a_body_too_long_for_a_target_goes_to_one_with_a_larger_window() -> None:
    small = RouteTarget(target="p/m", context_tokens=1000)
    it = Play(config(provider("p"), provider("q"), routes=[route("coder", small, "q/m")]))
    assert chosen(it, Wanted("openai", body_tokens=1000)) == "p/m main"
    assert chosen(it, Wanted("openai", body_tokens=1001)) == "q/m main"
    assert skips(it, Wanted("openai", body_tokens=1001))[0][2] is SkipReason.CONTEXT_SIZE


@pytest.mark.parametrize(("allowed", "expected"), [(True, "q/m main"), (False, "r/m main")])
def test_a_dearer_target_serves_only_where_the_route_allows_it(
    allowed: bool, expected: str
) -> None:
    providers = [
        provider("p", billing=Billing.FLAT),
        provider("q", billing=Billing.METERED),
        provider("r", billing=Billing.FREE),
    ]
    targets = route("coder", "p/m", "q/m", "r/m", allow_metered_fallback=allowed)
    it = Play(config(*providers, routes=[targets]))
    lay(it.hop(0).target.spot, 10.0)
    assert chosen(it) == expected


def test_a_provider_without_credentials_is_told_as_disabled_and_never_chosen() -> None:
    none = provider("p")
    bare = type(none)(name="p", dialect=none.dialect)
    it = Play(config(bare, provider("q"), routes=[route("coder", "p/m", "q/m")]))
    assert chosen(it) == "q/m main"
    assert skips(it) == [("p/m", "", SkipReason.DISABLED, "")]


def test_of_a_large_resting_pool_only_the_soonest_keys_are_told() -> None:
    names = [f"k{n:02}" for n in range(20)]
    it = Play(config(provider("p", *names), routes=[route("coder", "p/m")]))
    for n, key in enumerate(it.pool.providers["p"].credentials):
        lay(key.spot, 100.0 - n, "auth")
    told = [each[1] for each in skips(it)]
    assert told == names[-SKIPS_REPORTED_MAX:]


def test_choosing_changes_nothing() -> None:
    it = play()
    before = [(key.in_flight, key.used) for key in it.pool.providers["p"].credentials]
    for _ in range(5):
        chosen(it)
    assert before == [(key.in_flight, key.used) for key in it.pool.providers["p"].credentials]


def test_skips_are_in_route_order_whatever_the_order_of_choosing() -> None:
    it = play()
    lay(it.hop(0).hold, 300.0)
    lay(it.hop(1).target.spot, 300.0, Failure.CONNECT.value)
    assert chosen(it) == "r/m main"
    assert [each[0] for each in skips(it)] == ["p/m", "q/m"]
