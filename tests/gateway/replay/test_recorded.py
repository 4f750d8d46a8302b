from __future__ import annotations

from gateway.events import Scope
from tests.gateway.replay.building import SINCE, at, attempt, failed, recorded, request


def test_requests_have_their_attempts_in_order_whatever_the_order_of_the_rows() -> None:
    second = attempt(2.0, "b/model", request_id="r1", n=3)
    found = recorded([request(1.0)], [second, failed(1.0, request_id="r1")])
    [asked] = found.requests
    assert [each.target for each in asked.tried] == ["a/model", "b/model"]
    assert [each.target for each in found.observed] == ["a/model", "b/model"]


def test_what_began_before_the_window_or_never_came_to_a_choice_is_left_out() -> None:
    rows = [request(-1.0), request(1.0, route=""), request(2.0, outcome="shed"), request(3.0)]
    found = recorded(rows, [])
    assert [each.request_id for each in found.requests] == ["r3"]
    assert found.left_out == 2


def test_a_skipped_candidate_is_no_observation() -> None:
    assert recorded([request(1.0)], [attempt(1.0, attempt_id=None)]).observed == []


def test_lengths_that_chance_made_are_found_in_rests_extensions_and_pauses() -> None:
    events = [
        {
            "kind": "cooldown_started",
            "ts": at(5.0),
            "duration_seconds": 33.0,
            "until": at(38.0),
            "source": "ladder",
        },
        {
            "kind": "cooldown_extended",
            "ts": at(10.0),
            "duration_seconds": 60.0,
            "until": at(65.0),
            "source": "stated",
        },
    ]
    attempts = [failed(1.0), attempt(1.8, request_id="r1", n=2)]
    found = recorded([request(1.0)], attempts, events=events)
    assert [(each.ts - SINCE, each.seconds) for each in found.draws] == [
        (1_100_000, 0.7),
        (5_000_000, 33.0),
        (10_000_000, 55.0),
    ]
    assert found.cooldowns == 1


def test_a_shared_quota_is_the_configuration_s_to_name() -> None:
    row = failed(1.0, scope="quota_group", failure="quota_exhausted")
    [seen] = recorded([], [row]).observed
    assert seen.scope is Scope.CREDENTIAL_MODEL


def test_the_window_is_the_part_of_it_that_has_requests() -> None:
    found = recorded([request(10.0), request(20.0)], [])
    assert (found.since, found.until) == (at(10.0), at(21.0) + 1)
