"""Who exists and who is in flight; memory that a client's text may not grow."""

from __future__ import annotations

import pytest

from gateway.config import Fallback, ModelRules
from gateway.events import CooldownEnded, CooldownSource
from gateway.routing.choosing import Wanted
from gateway.routing.pool import DIRECT_CHAINS_MAX, TARGETS_MAX
from gateway.routing.state import LIMITS_MAX, Candidate
from tests.gateway.routing.building import (
    START,
    Play,
    at,
    bad,
    config,
    credential,
    provider,
    route,
)


def play() -> Play:
    providers = [provider("p", credential("a", max_in_flight=1), "b"), provider("q")]
    routes = [route("coder", "p/m", "q/m"), route("writer", "p/m")]
    return Play(config(*providers, routes=routes, fallback=Fallback(compatible={"p": ("q",)})))


def test_routes_share_their_targets_and_not_their_holds() -> None:
    it = play()
    coder, writer = it.hop(0), it.hop(0, "writer")
    assert coder.target is writer.target
    assert coder.hold is not writer.hold


def test_a_direct_name_is_found_again_as_the_same_chain_and_shares_targets() -> None:
    it = play()
    direct = it.route("p/m")
    assert it.route("p/m") is direct
    assert direct.hops[0].target is it.hop(0).target
    assert [hop.target.name for hop in direct.hops] == ["p/m", "q/m"]
    assert list(it.pool.direct_routes()) == [direct]


def test_a_name_that_nobody_configured_is_none_and_leaves_nothing_behind() -> None:
    it = Play(config(provider("p", models=ModelRules(list=("m",)))))
    for name in ("x/m", "p/other", "", "p"):
        assert it.pool.route(name, START) is None
    assert list(it.pool.direct_routes()) == []
    assert list(it.pool.targets()) == []


def test_a_taken_place_is_counted_until_it_is_given_back() -> None:
    it = play()
    p = it.pool.providers["p"]
    candidate = Candidate(it.hop(0), p.credentials[0])
    it.pool.take(it.route(), candidate, attempt="r1.1", probe_seconds=None, now=START)
    assert (p.in_flight, p.credentials[0].in_flight, p.credentials[0].used) == (1, 1, 1)
    it.pool.give_back(candidate, "r1.1")
    assert (p.in_flight, p.credentials[0].in_flight, p.credentials[0].used) == (0, 0, 1)
    with pytest.raises(AssertionError):
        it.pool.give_back(candidate, "r1.1")


def test_invented_model_names_do_not_grow_memory_without_bound() -> None:
    it = play()
    for n in range(TARGETS_MAX + 50):
        it.route(f"q/{n}")
    assert len(list(it.pool.direct_routes())) == DIRECT_CHAINS_MAX
    assert len(list(it.pool.targets())) <= TARGETS_MAX
    configured = {hop.target for name in ("coder", "writer") for hop in it.route(name).hops}
    assert configured <= set(it.pool.targets())


def test_invented_model_names_do_not_grow_the_memory_of_limits_without_bound() -> None:
    p = play().pool.providers["p"]
    for n in range(LIMITS_MAX * 3):
        p.limit_spot(p.credentials[0], f"m{n}")
    assert len(p.credentials[0].models) <= LIMITS_MAX


def test_a_dropped_direct_chain_still_has_the_ends_of_its_holds_told() -> None:
    it = play()
    it.ask({"p": bad("server_error")}, name="p/x")
    for n in range(DIRECT_CHAINS_MAX):
        it.route(f"q/{n}")
    assert it.route("p/x").hops[0].hold.cooldown is None
    it.ask({"p": bad("server_error")}, name="p/x", now=1.0)
    ends = [event for event in it.pool.expire(at(1000.0)) if isinstance(event, CooldownEnded)]
    assert [event.route for event in ends if event.source is CooldownSource.HOLD] == ["p/x"] * 2


def test_an_answer_in_full_is_evidence_of_health() -> None:
    it = play()
    it.ask(name="writer")
    window = it.hop(0).target.breaker.window(stability=it.config.stability, now=START.instant)
    assert window == (1, 0)


def test_a_good_answer_between_failures_keeps_a_target_closed() -> None:
    it = Play(config(provider("p"), routes=[route("coder", "p/m")]))
    for now, script in enumerate(({"p": bad("server_error")}, {"p": bad("server_error")}, {})):
        it.ask(script, now=float(now))
    told = it.ask({"p": bad("server_error")}, now=3.0)
    assert [event.kind for event in told.events] == ["attempt_finished", "request_finished"]


def test_the_same_seed_and_the_same_facts_lead_to_the_same_events() -> None:
    def run() -> list[object]:
        it = play()
        for n in range(30):
            it.ask({"p": bad("server_error"), "q/m main": [bad("auth")] * (n % 2)}, now=n * 20.0)
        return list(it.events)

    assert run() == run()


def test_choosing_reports_a_full_provider_for_every_route_that_names_it() -> None:
    capped = provider("p", max_in_flight=1)
    it = Play(config(capped, routes=[route("coder", "p/m"), route("writer", "p/n")]))
    it.call().step(START)
    assert it.pool.choose(it.route("writer"), Wanted("openai"), START).candidate is None
