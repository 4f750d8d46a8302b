"""The state of each key: who rests, until when, and what is left of its limits."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, History, Panel, Query, Row, Viz
from dashboards.query import rate, series, total
from gateway.telemetry import catalogue as m

KEY = "{{provider}} · {{credential}}"
BY_KEY = "provider", "credential"

_KEYS = Row(
    title="Keys",
    panels=(
        Panel(
            title="State of each credential",
            description="Parked: it rests because the provider refused it, and is looked at again "
            "now and then. A limit of one model only shows in the panel beside it.",
            viz=Viz.TIMELINE,
            height=9,
            queries=(Query(expr=total(m.CREDENTIAL_STATE, *BY_KEY, how="max"), legend=KEY),),
            mappings=c.KEY_STATES,
        ),
        Panel(
            title="Models that rest for a credential",
            description="Models and quota groups that are limited for one key alone.",
            viz=Viz.LINES,
            height=9,
            queries=(Query(expr=total(m.CREDENTIAL_MODELS, *BY_KEY, how="max"), legend=KEY),),
        ),
        Panel(
            title="Ready in",
            description="Until the rest of a whole credential ends; 0 for those that do not rest.",
            viz=Viz.BARS,
            unit="s",
            queries=(
                Query(
                    expr=f"clamp_min(max by (provider, credential) ({series(m.CREDENTIAL_READY)}) "
                    "- time(), 0)",
                    legend=KEY,
                    instant=True,
                ),
            ),
            thresholds=c.up_to(60, 3600),
        ),
        Panel(
            title="Attempts under way",
            description="On each credential; caps are `max_in_flight`.",
            viz=Viz.LINES,
            queries=(Query(expr=total(m.CREDENTIAL_IN_FLIGHT, *BY_KEY), legend=KEY),),
        ),
    ),
)

_LIMITS = Row(
    title="Quotas and limits",
    panels=(
        Panel(
            title="Left of the scarcest limit",
            description="The smallest share that a provider's headers last said is left.",
            viz=Viz.LINES,
            unit="percentunit",
            maximum=1,
            thresholds=c.from_(0.1, 0.3),
            queries=(
                Query(
                    expr=total(m.QUOTA_REMAINING, *BY_KEY, how="min"),
                    legend=KEY,
                    empty_because=m.QUOTA_REMAINING.empty_because,
                ),
            ),
        ),
        Panel(
            title="Stated resets",
            description="Ends of running cooldowns, by place: those the providers stated and our "
            "own guesses.",
            viz=Viz.TABLE,
            queries=(
                Query(
                    expr=f"1000 * (max by (provider, target, scope) ({series(m.COOLDOWN_UNTIL)}) > 0)",
                    instant=True,
                    table=True,
                    empty_because="nothing is cooling",
                ),
            ),
            overrides=(
                {
                    "matcher": {"id": "byName", "options": "Value"},
                    "properties": [{"id": "unit", "value": "dateTimeAsLocal"}],
                },
            ),
        ),
        Panel(
            title="Limits and refusals",
            description="Failed attempts that blame a key: rate limits, exhausted quotas, refused "
            "keys.",
            viz=Viz.LINES,
            unit="reqps",
            queries=(
                Query(
                    expr=rate(
                        m.ATTEMPTS,
                        "provider",
                        "failure",
                        failure='=~"rate_limited|quota_exhausted|auth"',
                    ),
                    legend="{{provider}} {{failure}}",
                ),
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Rotations",
            description="Failed attempts followed by one on another key of the same target.",
            viz=Viz.LINES,
            unit="reqps",
            queries=(
                Query(
                    expr=rate(m.ROTATIONS, "provider", "reason"),
                    legend="{{provider}} {{reason}}",
                    empty_because="no provider has two keys",
                ),
            ),
        ),
        Panel(
            title="The last cooldowns",
            description="From the history: what rested, why, until when and how it ended.",
            viz=Viz.TABLE,
            width=24,
            queries=(
                History(
                    path="/api/v1/cooldowns?since=${__from}000&until=${__to}000"
                    "&order=desc&limit=200",
                    columns=(
                        ("started", "began", "timestamp"),
                        ("until", "until", "timestamp"),
                        ("scope", "scope", "string"),
                        ("provider", "provider", "string"),
                        ("model", "model", "string"),
                        ("credential", "credential", "string"),
                        ("reason", "reason", "string"),
                        ("source", "source", "string"),
                        ("ended", "ended", "string"),
                    ),
                    empty_because=c.QUIET,
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid=c.CREDENTIALS,
    title="Evenkeel: credentials and quotas",
    description="The state of each key: who rests, until when, and what is left of its limits.",
    variables=("provider",),
    rows=(_KEYS, _LIMITS),
)
