from __future__ import annotations

import re

import pytest

from gateway.telemetry.catalogue import METRICS, Kind, Metric

BASE_UNITS = ("_seconds", "_bytes", "_usd", "_usd_total")


def test_no_name_is_given_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names)) > 30


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_labels_follow_the_rules_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"evenkeel_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert all(re.fullmatch(r"[a-z]+", label) for label in metric.labels)
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_histograms_have_rising_buckets_and_others_none(metric: Metric) -> None:
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    if metric.buckets:
        assert metric.name.endswith(BASE_UNITS)


def test_no_label_could_hold_what_a_client_wrote() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert not labels & {"session", "client", "requested", "request", "user", "path", "key"}
