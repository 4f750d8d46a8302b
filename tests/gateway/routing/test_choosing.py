"""Who is tried next and why the others are not: a pool's state in, a candidate and skips out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

import pytest

from gateway.config import Billing, RouteTarget
from gateway.events import CooldownSource, Failure, SkipReason
from gateway.routing.affinity import Seat
from gateway.routing.choosing import SKIPS_REPORTED_MAX, Wanted
from gateway.routing.cooldown import Lease, Spot, Trigger
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
    it = play(speaks=lambda provider, client: provider.dialect == client)
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


# -- proved and on trial -------------------------------------------------------------------------


def on_trial(spot: Spot) -> None:
    spot.doubt(0, START.instant)


def probes(of: Play, wanted: Wanted | None = None, *, now: float = 0.0) -> bool:
    return of.pool.choose(of.route(), wanted or Wanted("openai"), at(now)).probe


def test_proved_targets_come_before_those_on_trial_the_pointer_s_own_excepted() -> None:
    it = play()
    on_trial(it.hop(0).target.spot)
    assert (chosen(it), probes(it)) == ("p/m a", True)
    it.route().active = it.hop(2)
    for hop in it.route().hops[:2]:
        hop.evidence.next_probe = at(60.0).instant
    assert (chosen(it), probes(it)) == ("r/m main", False)
    lay(it.hop(2).target.spot, 10.0)
    assert (chosen(it), probes(it)) == ("q/m main", False)
    lay(it.hop(1).target.spot, 10.0)
    assert (chosen(it), probes(it)) == ("p/m a", True)


def test_a_better_target_that_was_not_looked_at_tells_what_is_known_of_it() -> None:
    it = play()
    it.route().active = it.hop(2)
    p, q = it.hop(0), it.hop(1)
    p.evidence.next_probe = q.evidence.next_probe = at(60.0).instant
    lay(p.target.spot, 10.0, "overloaded")
    assert chosen(it) == "r/m main"
    assert skips(it) == [
        ("p/m", "", SkipReason.COOLING, "overloaded"),
        ("q/m", "", SkipReason.NOT_PREFERRED, ""),
    ]
    lay(p.hold, 10.0, "connect")
    q.penalty.add(3000.0, q.stability, START.instant)
    assert skips(it) == [
        ("p/m", "", SkipReason.HELD, "connect"),
        ("q/m", "", SkipReason.SUPPRESSED, "flapping"),
    ]


def test_a_session_keeps_its_own_key_also_where_that_is_on_trial() -> None:
    it = play()
    a, b = it.hop(0).target.provider.credentials
    wanted = Wanted("openai", seat=Seat(it.hop(0), b))
    assert chosen(it, wanted) == "p/m b"
    on_trial(b.spot)
    assert (chosen(it, wanted), probes(it, wanted)) == ("p/m b", True)
    lay(b.spot, 10.0)
    assert chosen(it, wanted) == "p/m a"
    on_trial(a.spot)
    assert chosen(it, wanted) == "p/m a"


# -- the least bad -------------------------------------------------------------------------------


def least_bad(of: Play, wanted: Wanted | None = None, *, now: float = 0.0) -> str:
    found = of.pool.least_bad(of.route(), wanted or Wanted("openai"), at(now))
    return " ".join(found.key) if found is not None else ""


def resting(*seconds: float) -> Play:
    """Everything rests by guesses: the keys of p, then q and r."""
    it = play()
    for hop, length in zip(it.route().hops, seconds, strict=True):
        lay(hop.target.spot, length)
    return it


def test_the_guess_that_ends_first_is_doubted_first_and_none_is_when_fresh() -> None:
    it = resting(300.0, 200.0, 250.0)
    assert chosen(it, now=15.0) == ""
    assert least_bad(it, now=14.0) == ""
    assert least_bad(it, now=15.0) == "q/m main"


def test_a_candidate_with_a_stated_rest_is_not_doubted() -> None:
    it = resting(300.0, 200.0, 250.0)
    it.hop(1).target.provider.spot.rest(
        100.0, source=CooldownSource.STATED, trigger=Trigger("x"), now=START, rng=Random(1)
    )
    assert least_bad(it, now=15.0) == "r/m main"


def test_the_least_bad_keeps_to_caps_and_queues() -> None:
    settings = config(provider("p", max_in_flight=1), routes=[route("coder", "p/m")])
    it = Play(settings)
    lay(it.hop(0).target.spot, 300.0)
    assert least_bad(it, now=20.0) == "p/m main"
    it.pool.providers["p"].queue["somebody"] = None
    assert least_bad(it, now=20.0) == ""
    it.pool.providers["p"].queue.clear()
    take(it, Candidate(it.hop(0), it.pool.providers["p"].credentials[0]))
    assert least_bad(it, now=20.0) == ""


def test_nobody_doubts_what_is_being_probed() -> None:
    it = resting(300.0, 200.0, 250.0)
    it.hop(1).target.lease = Lease("r1.1", at(30.0).instant)
    assert least_bad(it, now=20.0) == "r/m main"
    assert least_bad(it, now=30.0) == "q/m main"


# -- what it costs -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "all rest", "all on trial"])
def test_the_work_of_choosing_grows_no_faster_than_the_pool(state: str) -> None:
    def work(keys: int) -> int:
        names = [f"k{n}" for n in range(keys)]
        it = Play(
            config(
                *(provider(each, *names) for each in "pqr"),
                routes=[route("coder", "p/m", "q/m", "r/m")],
            )
        )
        for of in it.pool.providers.values():
            for n, key in enumerate(of.credentials):
                if state == "all rest":
                    lay(key.spot, 100.0 + n)
                elif state == "all on trial":
                    on_trial(key.spot)
        return calls_of(lambda: chosen(it))

    small, large = work(50), work(200)
    assert large <= 4.4 * small


def calls_of(action: Callable[[], object]) -> int:
    """Function calls made by it: a measure of work that no busy machine can spoil."""
    count = 0

    def counting(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count
