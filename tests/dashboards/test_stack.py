from __future__ import annotations

import re

import yaml

from dashboards import stack
from dashboards.rules.files import alerts


def test_inhibition_names_alerts_that_exist() -> None:
    names = {alert.name for alert in alerts()}
    for bigger, smaller, _ in stack.INHIBITED:
        assert bigger in names
        matched = {name for name in names if re.fullmatch(smaller, name)}
        assert matched
        assert bigger not in matched


def test_the_job_is_the_one_that_the_alerts_look_for() -> None:
    jobs = {match for alert in alerts() for match in re.findall(r'job="([^"]+)"', alert.expr)}
    assert jobs == {stack.JOB}
    scraped = yaml.safe_load(stack.prometheus(stack.COMPOSE))["scrape_configs"]
    assert [each["job_name"] for each in scraped] == [stack.JOB]


def test_sources_have_fixed_uids_and_the_history_is_asked_with_a_key_of_the_environment() -> None:
    found = yaml.safe_load(stack.datasources(stack.COMPOSE))["datasources"]
    assert [each["uid"] for each in found] == [
        "evenkeel-prometheus",
        "evenkeel-tempo",
        "evenkeel-history",
    ]
    assert found[2]["secureJsonData"] == {"httpHeaderValue1": "Bearer ${EVENKEEL_ADMIN_KEY}"}
    assert found[0]["jsonData"]["exemplarTraceIdDestinations"][0]["name"] == "trace_id"


def test_both_places_are_told_apart() -> None:
    made = stack.files()
    assert "gateway:8080" in made["prometheus.yml"]
    assert "127.0.0.1:8080" in made["native/prometheus.yml"]
