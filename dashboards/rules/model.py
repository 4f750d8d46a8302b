"""Rules and alerts as data, before they are Prometheus' or Grafana's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    PAGE = "page"
    """Somebody gets up: users are hurt."""
    TICKET = "ticket"
    """Somebody looks within the day."""
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series worked out in advance. Names are `level:metric:operations`."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    name: str
    expr: str
    """True for the label sets that the alert is about. A value never matters."""
    severity: Severity
    summary: str
    """With Prometheus' templates, `{{ $labels.route }}`."""
    description: str
    board: str
    """Uid of the dashboard to open."""
    runbook: str
    """Anchor in docs/runbooks.md."""
    history: str
    """Path of the history API that shows what happened, `{{ $labels.route }}` filled in."""
    wait: str = "0s"
    """`for`: how long it must be true."""
    keep: str = "0s"
    """`keep_firing_for`: how long it stays on after it was true, so that it does not flap itself."""

    def labels(self) -> Mapping[str, str]:
        return {"severity": self.severity.value}
