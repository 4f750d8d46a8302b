"""The timeline keeps what is worth telling, in the words of the history, and the weather with it."""

from __future__ import annotations

from collections import Counter

from gateway.dry_run.stage import play
from gateway.dry_run.timeline import WEATHER
from tests.gateway.dry_run.building import lasting, script


def test_decisions_stand_between_the_changes_of_the_weather() -> None:
    happened = play(script()).happened
    kinds = Counter(each.item["kind"] for each in happened)
    assert {"switched", "cooldown_started", "session_moved", WEATHER} <= set(kinds)
    changes = [
        (each.at_seconds, each.item["failure"]) for each in happened if each.item["kind"] == WEATHER
    ]
    assert changes == [(600.0, "server_error"), (900.0, None)]


def test_good_requests_and_plain_attempts_are_not_told() -> None:
    happened = play(lasting(script(), 500)).happened
    assert happened == ()


def test_of_attempts_only_probes_are_told() -> None:
    attempts = [
        each.item for each in play(script()).happened if each.item["kind"] == "attempt_finished"
    ]
    assert attempts
    assert all(item["probe"] for item in attempts)


def test_refused_requests_are_told() -> None:
    down = ("simulated: {answer_tokens: 2}", "simulated: {weather: [{failure: server_error}]}")
    items = [each.item for each in play(script(down)).happened]
    refused = [item for item in items if item["kind"] == "request_finished"]
    assert refused
    assert all(item["outcome"] == "exhausted" for item in refused)


def test_items_have_the_names_of_the_history() -> None:
    switched = next(
        each.item for each in play(script()).happened if each.item["kind"] == "switched"
    )
    assert (switched["from"], switched["to"]) == ("primary/large", "backup/large")
    assert "from_target" not in switched
