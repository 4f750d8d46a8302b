"""How fast the error budget burns: the share of failed requests over several windows.

Windows and factors are those of the SRE workbook: a page where two days' or a month's budget is gone in
hours, a ticket where it will be gone in days. The short window lets an alert end when the trouble does.
"""

from __future__ import annotations

from typing import Final

from dashboards.rules.model import Alert, Recording, Severity
from gateway.telemetry import catalogue as m

OBJECTIVE: Final = 0.995
"""Share of requests that should succeed."""
BUDGET: Final = 1 - OBJECTIVE
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
FAILED: Final = 'outcome=~"upstream_error|exhausted|shed"'
REQUESTS_MIN: Final = 50
"""In the long window: with fewer, one failure would be an alert."""


def ratio(window: str) -> str:
    return f"route:evenkeel_request_errors_per_requests:ratio_rate{window}"


def recordings() -> tuple[Recording, ...]:
    name = m.REQUESTS.name
    rates = [
        Recording(
            record="route:evenkeel_requests:rate5m", expr=f"sum by (route) (rate({name}[5m]))"
        ),
        Recording(
            record="provider_model:evenkeel_time_to_first_token_seconds:p95_5m",
            expr="histogram_quantile(0.95, sum by (provider, model, le) "
            f"(rate({m.FIRST_TOKEN.name}_bucket[5m])))",
        ),
        Recording(
            record="route:evenkeel_switches:increase30m",
            expr=f"sum by (route) (increase({m.SWITCHES.name}[30m]))",
        ),
    ]
    ratios = [
        Recording(
            record=ratio(window),
            expr=f"sum by (route) (rate({name}{{{FAILED}}}[{window}])) "
            f"/ sum by (route) (rate({name}[{window}]))",
        )
        for window in WINDOWS
    ]
    return (*rates, *ratios)


def _burn(
    name: str, factor: float, windows: tuple[str, str], wait: str, severity: Severity
) -> Alert:
    long, short = windows
    limit = f"{factor * BUDGET:.4g}"
    enough = f"sum by (route) (increase({m.REQUESTS.name}[{long}])) > {REQUESTS_MIN}"
    return Alert(
        name=name,
        expr=f"{ratio(long)} > {limit} and {ratio(short)} > {limit} and {enough}",
        severity=severity,
        wait=wait,
        summary="Requests for {{ $labels.route }} fail: "
        "{{ $value | humanizePercentage }} over " + long,
        description=f"The error budget (objective {OBJECTIVE:.1%}) burns {factor:g} times too fast. "
        "Users of this route get errors that are not their own.",
        board="evenkeel-overview",
        runbook="requests-fail",
        history="/api/v1/requests?route={{ $labels.route }}&outcome=exhausted,upstream_error"
        "&order=desc&limit=50",
    )


def alerts() -> tuple[Alert, ...]:
    page, ticket = Severity.PAGE, Severity.TICKET
    return (
        _burn("EvenkeelErrorBudgetFastBurn", 14.4, ("1h", "5m"), "2m", page),
        _burn("EvenkeelErrorBudgetSlowBurn", 6, ("6h", "30m"), "15m", page),
        _burn("EvenkeelErrorBudgetBurn1d", 3, ("1d", "2h"), "1h", ticket),
        _burn("EvenkeelErrorBudgetBurn3d", 1, ("3d", "6h"), "3h", ticket),
    )
