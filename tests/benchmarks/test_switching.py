from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_values

from gateway.config import Config
from gateway.events import RequestFinished, RequestOutcome
from tests.benchmarks import switching
from tests.storage.samples import example


@pytest.mark.parametrize("name", switching.HOURS)
def test_each_hour_is_a_script_with_the_defaults(name: str) -> None:
    script = switching.script(name)
    assert script.scenario.duration_seconds == switching.HOUR_SECONDS
    assert script.config.stability == Config().stability
    [traffic] = script.scenario.traffic
    assert traffic.requests_per_minute == switching.PER_SECOND * 60
    assert script.config.providers["first"].simulated.weather
    assert not script.config.providers["second"].simulated.weather
    assert replace(script.scenario, traffic=()).operator == ()


def test_two_minutes_of_thirty_seconds_each() -> None:
    found = switching.hour("30 s ok, 30 s 500", seconds=120.0, per_second=10.0)
    assert found["requests"] is not None
    assert found["requests"] > 1000
    assert found["lost"] == 0
    assert found["switches"] == 1
    assert found["changes"] == 1


def test_changes_are_in_the_order_of_the_requests_beginnings() -> None:
    changes = switching.Changes()
    request = example(RequestFinished)
    for started, provider in ((3, "a"), (1, "a"), (2, "b"), (4, "a")):
        changes.hear(
            with_values(request, started=started, provider=provider, outcome=RequestOutcome.OK)
        )
    changes.hear(
        with_values(request, started=5, provider="b", outcome=RequestOutcome.UPSTREAM_ERROR)
    )
    assert changes.count() == 2
