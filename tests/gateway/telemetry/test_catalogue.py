from __future__ import annotations

import re
from pathlib import Path

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


def test_the_unit_is_in_the_name() -> None:
    units = {metric.unit for metric in METRICS}
    assert units == {"", "seconds", "bytes", "tokens", "usd"}
    assert all(metric.unit for metric in METRICS if metric.kind is Kind.HISTOGRAM)


def test_the_page_on_metrics_gives_kind_and_labels_and_names_what_may_be_missing() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(evenkeel_\w+)(?:\{([a-z,]*)\})?` \| (\w+) \|", page, re.MULTILINE)
    told = {name: (tuple(filter(None, labels.split(","))), kind) for name, labels, kind in rows}
    assert told == {metric.name: (metric.labels, metric.kind.value) for metric in METRICS}
    [sentence] = re.findall(r"All of them are there from the start.*?\n\n", page, re.DOTALL)
    assert set(re.findall(r"evenkeel_\w+", sentence)) == {
        metric.name for metric in METRICS if metric.empty_because
    }
