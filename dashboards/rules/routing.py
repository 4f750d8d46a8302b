"""Alerts on routes: nobody left to serve, flapping, and what comes before it."""

from __future__ import annotations

from dashboards.rules.model import Alert, Severity
from gateway.telemetry import catalogue as m

_FROM_TO = f"sum by (route, from, to) (increase({m.SWITCHES.name}[1h])) >= 2"
_TO_FROM = (
    f'label_replace(label_replace(label_replace({_FROM_TO}, "x", "$1", "from", "(.*)"), '
    '"from", "$1", "to", "(.*)"), "to", "$1", "x", "(.*)")'
)
_RELAPSES = (
    f"sum by (provider) (label_replace(increase({m.RELAPSES.name}[1h]), "
    '"provider", "$1", "target", "([^/]*)/.*"))'
)
_SWITCHES = "/api/v1/switches?route={{ $labels.route }}&order=desc&limit=50"


def alerts() -> tuple[Alert, ...]:
    return (*_candidates(), *_switching(), *_places())


def _candidates() -> tuple[Alert, ...]:
    candidates, configured = m.ROUTE_CANDIDATES.name, m.ROUTE_CONFIGURED.name
    return (
        Alert(
            name="EvenkeelNoCandidateLeft",
            expr=f"max by (route) ({candidates}) == 0",
            severity=Severity.PAGE,
            wait="1m",
            summary="{{ $labels.route }} has no candidate left",
            description="Every key of every target of this route rests or is disabled: its "
            "requests wait or are refused.",
            board="evenkeel-credentials",
            runbook="no-candidate-left",
            history="/api/v1/cooldowns?order=desc&limit=100",
        ),
        Alert(
            name="EvenkeelSingleCandidateLeft",
            expr=f"max by (route) ({candidates}) == 1 and max by (route) ({configured}) > 1",
            severity=Severity.TICKET,
            wait="10m",
            keep="10m",
            summary="{{ $labels.route }} has a single candidate left",
            description="The next failure leaves this route without anybody to serve it.",
            board="evenkeel-credentials",
            runbook="single-candidate-left",
            history="/api/v1/cooldowns?order=desc&limit=100",
        ),
    )


def _switching() -> tuple[Alert, ...]:
    """Flapping is kept on for as long as the windows of the two smaller ones, and these wait for it: so
    that they never speak of the same story before it, or after it is over."""
    return (
        Alert(
            name="EvenkeelRouteFlapping",
            expr=f"max by (route) ({m.FLAPPING.name}) == 1 "
            f"or sum by (route) (increase({m.REVERSALS.name}[10m])) >= 6",
            severity=Severity.TICKET,
            keep="1h",
            summary="{{ $labels.route }} is flapping",
            description="A target of this route was left again and again. Damping keeps it behind "
            "the others until its penalty has decayed; prompts are read anew at every switch.",
            board="evenkeel-routing",
            runbook="a-route-flaps",
            history=_SWITCHES,
        ),
        Alert(
            name="EvenkeelRoutePingPong",
            expr=f"max by (route) (({_FROM_TO}) and on (route, from, to) ({_TO_FROM}))",
            severity=Severity.TICKET,
            wait="1m",
            summary="{{ $labels.route }} goes back and forth between two targets",
            description="Both directions of one pair were switched twice or more within an hour.",
            board="evenkeel-routing",
            runbook="a-route-flaps",
            history=_SWITCHES,
        ),
        Alert(
            name="EvenkeelShortDwell",
            expr=f'sum by (route) (increase({m.DWELL.name}_bucket{{le="300.0"}}[1h])) >= 3',
            severity=Severity.INFO,
            wait="5m",
            summary="{{ $labels.route }} left targets within five minutes",
            description="Three times or more within an hour: less than a prompt cache lives.",
            board="evenkeel-routing",
            runbook="a-route-flaps",
            history=_SWITCHES,
        ),
    )


def _places() -> tuple[Alert, ...]:
    return (
        Alert(
            name="EvenkeelPrimaryAwayTooLong",
            expr=f"sum by (route) ({m.ROUTE_ACTIVE.name} * on (instance, route, target) "
            f"{m.ROUTE_POSITION.name}) > 0 and on (route) ({m.TARGET_STATE.name} == 0 "
            f"and on (instance, route, target) {m.ROUTE_POSITION.name} == 0)",
            severity=Severity.TICKET,
            wait="1h",
            summary="{{ $labels.route }} does not go back to its first target",
            description="Its first target has been ready for an hour, and another one serves. A "
            "pin, `return: manual`, no new sessions to test it with, or a spent budget of moves.",
            board="evenkeel-routing",
            runbook="the-primary-stays-away",
            history=_SWITCHES,
        ),
        Alert(
            name="EvenkeelRelapses",
            expr=f"{_RELAPSES} / sum by (provider) (increase({m.COOLDOWNS.name}[1h])) > 0.5 "
            f"and {_RELAPSES} >= 6",
            severity=Severity.TICKET,
            keep="30m",
            summary="{{ $labels.provider }} fails again right after its rests",
            description="More than half of its cooldowns within an hour, and six at least, began "
            "sooner after the one before than that had lasted: the rests are too short.",
            board="evenkeel-routing",
            runbook="rests-are-too-short",
            history="/api/v1/cooldowns?provider={{ $labels.provider }}&order=desc&limit=50",
        ),
        Alert(
            name="EvenkeelCredentialParked",
            expr=f"max by (provider, credential) ({m.CREDENTIAL_STATE.name}) == 8",
            severity=Severity.TICKET,
            wait="5m",
            summary="{{ $labels.provider }} refuses the key {{ $labels.credential }}",
            description="It was refused as a key: revoked, expired or not allowed. It is tried "
            "again now and then; somebody should replace it.",
            board="evenkeel-credentials",
            runbook="a-credential-is-parked",
            history="/api/v1/attempts?provider={{ $labels.provider }}"
            "&credential={{ $labels.credential }}&failure=auth&order=desc&limit=20",
        ),
    )
