from __future__ import annotations

import re
from pathlib import Path

import yaml

from dashboards.build import BOARDS
from dashboards.rules import burning
from dashboards.rules.files import alerting_rules, alerts, grafana_rules, recording_rules
from dashboards.rules.model import Severity
from gateway.telemetry.catalogue import METRICS, Kind

ROOT = Path(__file__).parents[3]
SUFFIXES = ("_bucket", "_count", "_sum")


def test_alerts_have_a_name_of_their_own_and_say_all_that_is_needed() -> None:
    found = alerts()
    assert len({alert.name for alert in found}) == len(found) == 17
    uids = {board.uid for board in BOARDS}
    for alert in found:
        assert alert.name.startswith("Evenkeel")
        assert alert.summary
        assert alert.description.endswith(".")
        assert alert.board in uids
        assert alert.history.startswith("/api/v1/")


def test_pages_wait_and_end_at_once() -> None:
    for alert in alerts():
        if alert.severity is Severity.PAGE:
            assert alert.wait != "0s"
            assert alert.keep == "0s"


def test_expressions_name_metrics_of_the_catalogue_and_recorded_series() -> None:
    known = {metric.name for metric in METRICS}
    histograms = {metric.name for metric in METRICS if metric.kind is Kind.HISTOGRAM}
    known |= {name + suffix for name in histograms for suffix in SUFFIXES}
    recorded = {each.record for each in burning.recordings()}
    exprs = [alert.expr for alert in alerts()] + [each.expr for each in burning.recordings()]
    for expr in exprs:
        for name in re.findall(r"[a-z_:]*evenkeel_[a-z0-9_:]+", expr):
            assert name in known | recorded, expr


def test_both_forms_hold_the_same_alerts() -> None:
    rules = [
        rule for group in yaml.safe_load(alerting_rules())["groups"] for rule in group["rules"]
    ]
    twins = [rule for group in yaml.safe_load(grafana_rules())["groups"] for rule in group["rules"]]
    assert [rule["alert"] for rule in rules] == [twin["title"] for twin in twins]
    for rule, twin in zip(rules, twins, strict=True):
        assert rule["expr"] in twin["data"][0]["model"]["expr"]
        assert rule.get("for", "0s") == twin["for"]
        assert rule["annotations"].items() <= twin["annotations"].items()


def test_recorded_names_follow_the_convention() -> None:
    for rule in yaml.safe_load(recording_rules())["groups"][0]["rules"]:
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])
