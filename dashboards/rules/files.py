"""Rules and alerts as files: Prometheus' own form, and Grafana's provisioning of the same alerts."""

from __future__ import annotations

from typing import Any, Final

import yaml

from dashboards.rules import burning, process, routing
from dashboards.rules.model import Alert

HEADER: Final = "# Written by `python -m dashboards` from dashboards/rules; edit there.\n"
GROUPS: Final = {
    "evenkeel-users": burning.alerts,
    "evenkeel-routing": routing.alerts,
    "evenkeel-gateway": process.alerts,
}
GRAFANA_SECONDS: Final = 60
"""How often Grafana evaluates."""


def alerts() -> tuple[Alert, ...]:
    return tuple(alert for made in GROUPS.values() for alert in made())


def recording_rules() -> str:
    rules = [{"record": each.record, "expr": each.expr} for each in burning.recordings()]
    return _yaml({"groups": [{"name": "evenkeel-recording", "rules": rules}]})


def alerting_rules() -> str:
    groups = [
        {"name": name, "rules": [_rule(alert) for alert in made()]} for name, made in GROUPS.items()
    ]
    return _yaml({"groups": groups})


def grafana_rules() -> str:
    """For Grafana's provisioning/alerting: one rule each, that fires where the query has a value."""
    groups = [
        {
            "orgId": 1,
            "name": name,
            "folder": "Evenkeel",
            "interval": f"{GRAFANA_SECONDS}s",
            "rules": [_grafana(alert) for alert in made()],
        }
        for name, made in GROUPS.items()
    ]
    return _yaml({"apiVersion": 1, "groups": groups})


def _rule(alert: Alert) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expr}
    if alert.wait != "0s":
        rule["for"] = alert.wait
    if alert.keep != "0s":
        rule["keep_firing_for"] = alert.keep
    return rule | {"labels": dict(alert.labels()), "annotations": _annotations(alert)}


def _annotations(alert: Alert) -> dict[str, str]:
    return {
        "summary": alert.summary,
        "description": alert.description,
        "dashboard": f"/d/{alert.board}",
        "runbook": f"docs/runbooks.md#{alert.runbook}",
        "history": alert.history,
    }


def _grafana(alert: Alert) -> dict[str, Any]:
    reduced = {"type": "reduce", "expression": "A", "reducer": "last", "refId": "B"}
    above = {
        "type": "threshold",
        "expression": "B",
        "refId": "C",
        "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
    }
    query = {"expr": f"({alert.expr}) * 0 + 1", "instant": True, "refId": "A"}
    rule: dict[str, Any] = {
        "uid": alert.name.lower(),
        "title": alert.name,
        "condition": "C",
        "for": alert.wait,
        "keepFiringFor": alert.keep,
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": dict(alert.labels()),
        "annotations": _annotations(alert),
        "data": [
            _grafana_query("A", "evenkeel-prometheus", query),
            _grafana_query("B", "__expr__", reduced),
            _grafana_query("C", "__expr__", above),
        ],
    }
    return rule


def _grafana_query(ref: str, source: str, model: dict[str, Any]) -> dict[str, Any]:
    window = {"from": 600, "to": 0}
    return {"refId": ref, "datasourceUid": source, "relativeTimeRange": window, "model": model}


def _yaml(content: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
