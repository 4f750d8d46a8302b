"""Alerts on the gateway itself."""

from __future__ import annotations

from dashboards.rules.model import Alert, Severity
from gateway.telemetry import catalogue as m

_EVENTS = "/api/v1/events?order=desc&limit=50&kind="
_BOARD = "evenkeel-internals"


def alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            name="EvenkeelDown",
            expr='up{job="evenkeel"} == 0 or absent(up{job="evenkeel"})',
            severity=Severity.PAGE,
            wait="1m",
            summary="A gateway cannot be scraped",
            description="{{ $labels.instance }} does not answer /metrics: it is down, or its loop "
            "stands still.",
            board=_BOARD,
            runbook="the-gateway-is-down",
            history=f"{_EVENTS}process_started,process_stopped",
        ),
        Alert(
            name="EvenkeelEventsDropped",
            expr=f"sum by (instance) (increase({m.EVENTS_DROPPED.name}[10m])) > 0",
            severity=Severity.TICKET,
            keep="10m",
            summary="{{ $labels.instance }} loses events",
            description="Neither the database nor the file beside it takes them: the history has a "
            "gap, which a `data_gap` row marks.",
            board=_BOARD,
            runbook="events-are-lost",
            history=f"{_EVENTS}data_gap",
        ),
        Alert(
            name="EvenkeelStoreInTrouble",
            expr=f"max by (instance) ({m.JOURNAL_BYTES.name}) > 0",
            severity=Severity.TICKET,
            wait="5m",
            summary="{{ $labels.instance }} cannot write to its database",
            description="Events wait in the file beside it, and are written when it works again.",
            board=_BOARD,
            runbook="events-are-lost",
            history=f"{_EVENTS}data_gap,process_started",
        ),
        Alert(
            name="EvenkeelConfigStale",
            expr=f"max by (instance) ({m.CONFIG_STALE.name}) == 1",
            severity=Severity.TICKET,
            wait="5m",
            summary="{{ $labels.instance }} runs an old configuration",
            description="The configuration last read was rejected. A restart would fail.",
            board=_BOARD,
            runbook="the-configuration-was-rejected",
            history=f"{_EVENTS}config_rejected,config_reloaded",
        ),
        Alert(
            name="EvenkeelLoopLag",
            expr=f"max by (instance) ({m.LOOP_LAG.name}) > 0.5",
            severity=Severity.TICKET,
            wait="5m",
            summary="{{ $labels.instance }} is late by {{ $value | humanizeDuration }}",
            description="Its event loop wakes sleepers late, and every request waits as long.",
            board=_BOARD,
            runbook="the-gateway-is-slow",
            history="/api/v1/requests?order=desc&limit=50",
        ),
    )
