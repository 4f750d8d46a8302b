"""The core against its invariants, under random traffic (see `traffic`)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, settings

from tests.gateway.routing.traffic import (
    AFTER_CONTENT,
    BEFORE_CONTENT,
    NAMES,
    SESSIONS,
    Traffic,
)

TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(
    max_examples=50,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def some_fact(traffic: Traffic, rng: Random) -> None:
    """One random step of a day's traffic; ill health and short times are the likelier ones."""
    which = rng.randrange(12)
    match rng.choices(
        ["ask", "step", "fail", "break", "commit", "finish", "abandon", "wait"],
        [14, 30, 14, 1, 12, 12, 2, 15],
    )[0]:
        case "ask":
            traffic.ask(rng.choice(NAMES), rng.random() < 0.5, rng.choice(SESSIONS))
        case "step":
            traffic.step(which)
        case "fail":
            failure = rng.choice(BEFORE_CONTENT)
            stated = rng.choice([None, None, None, 2.0, 90.0, 7200.0])
            traffic.fail(which, failure, stated, rng.random() < 0.5)
        case "break":
            traffic.fail_after_content(which, rng.choice(AFTER_CONTENT))
        case "commit":
            traffic.commit(which)
        case "finish":
            traffic.finish(which)
        case "abandon":
            traffic.abandon(which)
        case _:
            traffic.wait(rng.choice([0.0, 0.5, 5.0, 20.0, 60.0, 350.0, 3000.0]))


@pytest.mark.parametrize("seed", range(40))
def test_a_day_of_random_traffic_keeps_every_promise(seed: int) -> None:
    traffic, rng = Traffic(), Random(seed)
    for _ in range(500):
        some_fact(traffic, rng)
        traffic.places_in_flight_are_those_of_the_open_attempts()
        traffic.the_pointer_is_where_the_last_switch_said()
        traffic.the_pool_lists_what_the_events_say_rests()
        traffic.one_probe_at_most_is_under_way_on_a_target()
        traffic.nobody_waits_but_open_requests_that_were_told_to()
    traffic.the_configured_order_is_never_rewritten()
    traffic.teardown()
