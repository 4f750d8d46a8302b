"""Who is listed in a refusal, with which reason and when each is ready again."""

from __future__ import annotations

import pytest

from gateway.events import SkipReason
from gateway.routing.answer import refuse
from gateway.routing.parts import parts
from tests.gateway.routing.building import Play, Told, bad, config, provider, route


def play() -> Play:
    providers = [provider("p", "a", "b"), provider("q"), provider("r")]
    return Play(config(*providers, routes=[route("coder", "p/m", "q/m", "r/m")]))


def listed(told: Told) -> list[tuple[str, str, str]]:
    assert told.gave_up is not None
    return [(each.target, each.credential, each.reason) for each in told.gave_up.parts]


def test_nobody_asked_and_nobody_passed_over_is_an_empty_list() -> None:
    assert parts([], [], play().route().active_since) == ()


def test_attempts_come_first_then_those_passed_over_each_once() -> None:
    it = play()
    it.ask({"p/m a": bad("auth"), "p/m b": bad("auth"), "q": bad("rate_limited", stated=40.0)})
    told = it.ask({"r": bad("model_not_found", message="No such model.")}, now=1.0)
    assert listed(told) == [
        ("r/m", "main", "model_not_found"),
        ("p/m", "a", "auth"),
        ("p/m", "b", "auth"),
        ("q/m", "main", "rate_limited"),
    ]
    assert told.gave_up is not None
    first, _, _, last = told.gave_up.parts
    assert first.message == "No such model."
    assert last.ready_in_seconds is not None
    assert 39.0 <= last.ready_in_seconds <= 41.0


def test_each_key_is_ready_at_its_own_time() -> None:
    it = Play(config(provider("p", "a", "b"), routes=[route("coder", "p/m")]))
    stated = {"p/m a": bad("rate_limited", stated=10.0), "p/m b": bad("rate_limited", stated=20.0)}
    told = it.ask(stated)
    assert told.gave_up is not None
    soon, late = (each.ready_in_seconds for each in told.gave_up.parts)
    assert soon is not None
    assert late is not None
    assert 10.0 <= soon <= 11.0
    assert 20.0 <= late <= 22.0


def test_a_target_for_which_no_attempt_was_left_is_ready_when_it_could_be_asked() -> None:
    names = "pqrst"
    providers = [provider(name) for name in names]
    it = Play(config(*providers, routes=[route("coder", *(f"{name}/m" for name in names))]))
    told = it.ask({name: bad("first_content_timeout") for name in names})
    assert told.gave_up is not None
    last = told.gave_up.parts[-1]
    assert (last.target, last.reason) == ("t/m", SkipReason.ATTEMPTS_SPENT)
    assert last.ready_in_seconds == 0.0


@pytest.mark.parametrize(("failure", "limit"), [("rate_limited", True), ("auth", False)])
def test_a_pool_refused_as_a_whole_counts_as_what_it_was_refused_for(
    failure: str, *, limit: bool
) -> None:
    keys = ("a", "b", "c")
    it = Play(config(provider("p", *keys), provider("q"), routes=[route("coder", "p/m", "q/m")]))
    down = {"p": bad(failure), "q": bad("server_error")}
    it.ask(down)
    gave_up = it.ask(down, now=1.0).gave_up
    assert gave_up is not None
    found = [part for part in gave_up.parts if part.reason == "pool_wide"]
    assert found
    assert {part.limit for part in found} == {limit}
    refusal = refuse("coder", found)
    assert refusal.status == (429 if limit else 503)
