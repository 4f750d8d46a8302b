"""Rate, errors and duration of each provider and model."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, History, Panel, Query, Row, Viz
from dashboards.query import increase, quantile, rate, series, share, total
from gateway.telemetry import catalogue as m

_RED = Row(
    title="Rate, errors, duration",
    panels=(
        Panel(
            title="Attempts",
            description="Upstream calls a second, by provider and model.",
            viz=Viz.LINES,
            unit="reqps",
            width=8,
            queries=(
                Query(expr=rate(m.ATTEMPTS, "provider", "model"), legend="{{provider}}/{{model}}"),
            ),
        ),
        Panel(
            title="Share that failed",
            description="Of the attempts; a client that went away is no failure.",
            viz=Viz.LINES,
            unit="percentunit",
            width=8,
            maximum=1,
            thresholds=c.up_to(0.05, 0.2),
            queries=(
                Query(
                    expr=share(
                        rate(m.ATTEMPTS, "provider", "model", outcome='="failed"'),
                        rate(m.ATTEMPTS, "provider", "model"),
                    ),
                    legend="{{provider}}/{{model}}",
                ),
            ),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Attempt duration, p95",
            description="From the start of a call to its end, however it ended.",
            viz=Viz.LINES,
            unit="s",
            width=8,
            queries=(
                Query(
                    expr=quantile(0.95, m.ATTEMPT_DURATION, "provider", "model"),
                    legend="{{provider}}/{{model}}",
                    empty_because="no attempt ended in the window",
                ),
            ),
        ),
    ),
)

_FAILURES = Row(
    title="Failures",
    panels=(
        Panel(
            title="Failures by class",
            description="What went wrong, as classified from the provider's answer. `unknown` is "
            "worth a look: the history keeps its words.",
            viz=Viz.LINES,
            unit="reqps",
            stacked=True,
            queries=(
                Query(expr=rate(m.ATTEMPTS, "failure", outcome='="failed"'), legend="{{failure}}"),
            ),
        ),
        Panel(
            title="Failures by provider",
            description="Within the time shown.",
            viz=Viz.TABLE,
            queries=(
                Query(
                    expr=increase(m.ATTEMPTS, "provider", "failure", outcome='="failed"') + " > 0",
                    instant=True,
                    table=True,
                    empty_because=c.QUIET,
                ),
            ),
            transformations=(
                {
                    "id": "groupingToMatrix",
                    "options": {
                        "columnField": "provider",
                        "rowField": "failure",
                        "valueField": "Value",
                    },
                },
            ),
        ),
        Panel(
            title="The last failed attempts",
            description="From the history, with the provider's own code.",
            viz=Viz.TABLE,
            width=24,
            queries=(
                History(
                    path="/api/v1/attempts?outcome=failed&since=${__from}000"
                    "&until=${__to}000&order=desc&limit=200",
                    columns=(
                        ("ts", "time", "timestamp"),
                        ("provider", "provider", "string"),
                        ("model", "model", "string"),
                        ("credential", "credential", "string"),
                        ("failure", "failure", "string"),
                        ("reason", "reason", "string"),
                        ("status", "status", "number"),
                        ("excerpt", "words", "string"),
                        ("request_id", "request", "string"),
                    ),
                    empty_because=c.QUIET,
                ),
            ),
        ),
    ),
)

_SPEED = Row(
    title="First token",
    panels=(
        Panel(
            title="Time to the first token",
            description="How attempts spread; the points are traces of single requests.",
            viz=Viz.HEATMAP,
            unit="s",
            queries=(
                Query(
                    expr=rate(m.FIRST_TOKEN, "le", suffix="_bucket"),
                    legend="{{le}}",
                    heatmap=True,
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Time to the first token, p50 and p95",
            description="By provider and model.",
            viz=Viz.LINES,
            unit="s",
            queries=tuple(
                Query(
                    expr=quantile(q, m.FIRST_TOKEN, "provider", "model"),
                    legend=f"{{{{provider}}}}/{{{{model}}}} p{q * 100:g}",
                    exemplars=True,
                    empty_because="no content came in the window",
                )
                for q in (0.5, 0.95)
            ),
        ),
        Panel(
            title="Output tokens a second",
            description="As the provider counted them.",
            viz=Viz.LINES,
            queries=(
                Query(
                    expr=rate(m.TOKENS, "provider", "model", kind='="output"'),
                    legend="{{provider}}/{{model}}",
                ),
            ),
            links=(("Sessions, cache and cost", c.SESSIONS),),
        ),
        Panel(
            title="Cooldowns that began",
            description="By scope and where the duration came from; `hold` is a fallback cooldown "
            "of a target on its route.",
            viz=Viz.LINES,
            unit="cph",
            stacked=True,
            queries=(
                Query(
                    expr=f"3600 * {rate(m.COOLDOWNS, 'provider', 'scope', 'source')} > 0",
                    legend="{{provider}} {{scope}} {{source}}",
                    empty_because=c.QUIET,
                ),
            ),
            links=(("Credentials", c.CREDENTIALS),),
        ),
        Panel(
            title="Dialect and billing",
            description="What each provider speaks and how it is paid for.",
            viz=Viz.TABLE,
            height=6,
            queries=(
                Query(
                    expr=total(m.PROVIDER_INFO, *m.PROVIDER_INFO.labels), table=True, instant=True
                ),
            ),
        ),
        Panel(
            title="Cooling now",
            description="Seconds until the last of the cooldowns that run at a place is over.",
            viz=Viz.TABLE,
            height=6,
            queries=(
                Query(
                    expr=f"max by (provider, target, scope) ({series(m.COOLDOWN_UNTIL)}) - time() > 0",
                    instant=True,
                    table=True,
                    empty_because="nothing is cooling",
                ),
            ),
            links=(("Credentials", c.CREDENTIALS),),
        ),
    ),
)

BOARD = Board(
    uid=c.PROVIDERS,
    title="Evenkeel: providers",
    description="Rate, errors and duration of each provider and model; failures by class.",
    below=("Credentials", c.CREDENTIALS),
    variables=("provider",),
    rows=(_RED, _FAILURES, _SPEED),
)
