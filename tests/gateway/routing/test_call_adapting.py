"""A history that another provider wrote, and requests that want no fallback, as scripts."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import CooldownStarted, HistoryAdapted, RequestOutcome
from gateway.routing.repairs import REPAIRS_MAX
from gateway.routing.steps import Bad, Send
from tests.gateway.routing.building import SEEN, Play, at, bad, config, provider, route

FOREIGN = bad("bad_request", repairs=("thinking", "tool_ids"))


def play(*keys: str, **stability: Any) -> Play:
    routes = [route("coder", "p/m", "q/m")]
    return Play(config(provider("p", *keys), provider("q"), routes=routes, **stability))


def test_a_refused_history_is_adapted_and_sent_to_the_same_candidate_once_more() -> None:
    told = play().ask({"p": bad("rate_limited", stated=5.0), "q": [FOREIGN]})
    assert told.tried == ["p/m main", "q/m main", "q/m main"]
    assert [row[2:] for row in told.rows] == [
        ("failed", "rate_limited"),
        ("failed", "bad_request"),
        ("ok", ""),
    ]
    [adapted] = told.of(HistoryAdapted)
    assert (adapted.attempt_id, adapted.provider) == ("r1.3", "q")
    assert adapted.adapted == ("thinking", "tool_ids")
    assert [each.provider for each in told.of(CooldownStarted)] == ["p"]
    assert (told.finished.outcome, told.finished.attempts) == (RequestOutcome.OK, 3)
    assert told.finished.fallback_from == "p/m"


def test_what_is_refused_with_the_adapted_history_too_is_the_request_s_own_fault() -> None:
    told = play().ask({"p": [FOREIGN, bad("bad_request")]})
    assert told.tried == ["p/m main", "p/m main"]
    assert told.gave_up is not None
    assert told.gave_up.own_fault
    assert not told.of(CooldownStarted)


def test_one_thing_refused_after_another_is_adapted_in_turn_and_within_bounds() -> None:
    ids, thinking = (bad("bad_request", repairs=(each,)) for each in ("tool_ids", "thinking"))
    told = play().ask({"p": [ids, thinking]})
    assert told.tried == ["p/m main"] * 3
    assert [each.adapted for each in told.of(HistoryAdapted)] == [("tool_ids",), ("thinking",)]
    endless = play().ask({"p": ids})
    assert len(endless.tried) == 1 + REPAIRS_MAX
    assert endless.gave_up is not None


def test_the_other_keys_of_the_target_get_the_adapted_history_at_once() -> None:
    it = play("one", "two")
    call = it.call()
    assert sent(call.step(at(0))[0]) == ("one", False)
    call.failed(FOREIGN, at(0), SEEN)
    assert sent(call.step(at(0))[0]) == ("one", True)
    call.failed(bad("rate_limited"), at(0), SEEN)
    assert sent(call.step(at(0))[0]) == ("two", True)
    call.committed(at(0))
    assert call.adapted() == ("thinking", "tool_ids")


def test_the_next_target_gets_the_history_as_it_came() -> None:
    call = play().call()
    call.step(at(0))
    call.failed(FOREIGN, at(0), SEEN)
    call.step(at(0))
    call.failed(bad("server_error"), at(0), SEEN)
    step = call.step(at(0))[0]
    assert isinstance(step, Send)
    assert (step.provider.name, step.adapt) == ("q", False)
    call.committed(at(0))
    assert call.adapted() == ()


def test_an_adapted_attempt_spends_nothing_of_the_attempts() -> None:
    told = play(max_attempts=2).ask({"p": [FOREIGN, bad("server_error")]})
    assert told.tried == ["p/m main", "p/m main", "q/m main"]


def test_a_probe_that_is_refused_for_its_history_is_still_the_probe() -> None:
    it = play()
    it.ask({"p/m main": bad("rate_limited", stated=5.0)})
    call = it.call(now=7.0)
    step = call.step(at(7))[0]
    assert isinstance(step, Send)
    assert (step.provider.name, step.probe) == ("p", True)
    call.failed(FOREIGN, at(7), SEEN)
    again = call.step(at(7))[0]
    assert isinstance(again, Send)
    assert (again.provider.name, again.probe, again.adapt) == ("p", True, True)


@pytest.mark.parametrize(
    ("failure", "handed_on"),
    [
        (bad("server_error"), True),
        (bad("overloaded"), True),
        (bad("auth"), False),
    ],
)
def test_a_request_without_fallback_gets_the_first_target_s_error(
    failure: Bad, *, handed_on: bool
) -> None:
    told = play().ask({"p": failure}, no_fallback=True)
    assert told.tried == ["p/m main"]
    assert told.gave_up is not None
    assert told.gave_up.hand_on is handed_on


def test_a_request_without_fallback_still_walks_its_target_s_keys() -> None:
    told = play("one", "two").ask({"p/m one": bad("rate_limited")}, no_fallback=True)
    assert told.tried == ["p/m one", "p/m two"]
    assert told.gave_up is None


def sent(step: object) -> tuple[str, bool]:
    assert isinstance(step, Send)
    return step.credential.name, step.adapt
