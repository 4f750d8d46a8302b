"""Which target serves each route, why it changed, and whether it holds still."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, History, Panel, Query, Row, Viz
from dashboards.query import increase, quantile, rate, series, share, total
from gateway.telemetry import catalogue as m

MATRIX = (
    {
        "id": "groupingToMatrix",
        "options": {"columnField": "to", "rowField": "from", "valueField": "Value"},
    },
)

_NOW = Row(
    title="Where routes stand",
    panels=(
        Panel(
            title="Serving target",
            description="One lane for each target, filled while the route's pointer stands there: "
            "the length of a block is the dwell.",
            viz=Viz.TIMELINE,
            height=9,
            queries=(
                Query(
                    expr=f"max by (route, target) ({series(m.ROUTE_ACTIVE)}) == 1",
                    legend="{{route}} · {{target}}",
                ),
            ),
            thresholds=c.BLUE,
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="State of each target",
            description="As its route sees it. Held: usable, but behind the others until its "
            "fallback cooldown ends. On trial: its rest is over and nothing is proved yet.",
            viz=Viz.TIMELINE,
            height=9,
            queries=(
                Query(
                    expr=f"max by (route, target) ({series(m.TARGET_STATE)})",
                    legend="{{route}} · {{target}}",
                ),
            ),
            mappings=c.STATES,
            links=(("Credentials", c.CREDENTIALS),),
        ),
        Panel(
            title="Time since the last switch",
            description="0 where a route has not switched since the process started.",
            viz=Viz.STAT,
            unit="s",
            width=8,
            thresholds=c.from_(60, 300),
            queries=(
                Query(
                    expr=f"(time() - max by (route) ({series(m.ROUTE_LAST_SWITCH)} > 0)) "
                    f"or 0 * max by (route) ({series(m.ROUTE_LAST_SWITCH)})",
                    legend="{{route}}",
                ),
            ),
        ),
        Panel(
            title="Flapping",
            description="Yes while a target of the route is suppressed.",
            viz=Viz.STAT,
            width=8,
            mappings=c.YES_NO,
            thresholds=c.up_to(1, 1),
            queries=(Query(expr=total(m.FLAPPING, "route", how="max"), legend="{{route}}"),),
        ),
        Panel(
            title="Candidates left, and of how many",
            description="Credentials, over all targets of the route, that could be tried now.",
            viz=Viz.STAT,
            width=8,
            thresholds=c.from_(1, 2),
            queries=(
                Query(expr=total(m.ROUTE_CANDIDATES, "route", how="min"), legend="{{route}}"),
                Query(
                    expr=total(m.ROUTE_CONFIGURED, "route", how="max"), legend="{{route}} in all"
                ),
            ),
            links=(("Credentials", c.CREDENTIALS),),
        ),
        Panel(
            title="Place of the serving target",
            description="0 is the route's first choice; a line that stays up is a primary that "
            "does not come back.",
            viz=Viz.LINES,
            width=24,
            height=6,
            queries=(
                Query(
                    expr=f"sum by (route) ({series(m.ROUTE_ACTIVE)} "
                    f"* on (instance, route, target) {series(m.ROUTE_POSITION)})",
                    legend="{{route}}",
                ),
            ),
        ),
    ),
)

_SWITCHES = Row(
    title="Switches",
    panels=(
        Panel(
            title="Switches by kind",
            description="A forced one leaves a target that is down, a return goes back to a better "
            "one, an operator's was made by hand.",
            viz=Viz.LINES,
            unit="cph",
            queries=(
                Query(
                    expr=f"3600 * {rate(m.SWITCHES, 'route', 'kind')}", legend="{{route}} {{kind}}"
                ),
            ),
        ),
        Panel(
            title="From → to",
            description="Switches within the time shown; both directions of a pair often is "
            "ping-pong.",
            viz=Viz.TABLE,
            queries=(
                Query(
                    expr=f"{increase(m.SWITCHES, 'from', 'to')} > 0",
                    instant=True,
                    table=True,
                    empty_because=c.QUIET,
                ),
            ),
            transformations=MATRIX,
        ),
        Panel(
            title="Why targets were left",
            description="Forced switches within the time shown, by reason.",
            viz=Viz.BARS,
            queries=(
                Query(
                    expr=increase(m.SWITCHES, "reason", kind='="forced"') + " > 0",
                    legend="{{reason}}",
                    instant=True,
                    empty_because=c.QUIET,
                ),
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Reversals",
            description="Switches that undid the one before them, an hour.",
            viz=Viz.LINES,
            unit="cph",
            queries=(Query(expr=f"3600 * {rate(m.REVERSALS, 'route')}", legend="{{route}}"),),
            thresholds=c.up_to(3, 6),
        ),
        Panel(
            title="The last switches",
            description="From the history: exact times, what was held and the penalty then.",
            viz=Viz.TABLE,
            width=24,
            queries=(
                History(
                    path="/api/v1/switches?since=${__from}000&until=${__to}000"
                    "&order=desc&limit=200",
                    columns=(
                        ("ts", "time", "timestamp"),
                        ("route", "route", "string"),
                        ("from", "from", "string"),
                        ("to", "to", "string"),
                        ("kind", "kind", "string"),
                        ("reason", "reason", "string"),
                        ("dwell_seconds", "dwell", "number"),
                        ("hold_seconds", "hold", "number"),
                        ("penalty", "penalty", "number"),
                        ("request_id", "request", "string"),
                    ),
                    empty_because=c.QUIET,
                ),
            ),
        ),
    ),
)

_DAMPING = Row(
    title="Damping",
    panels=(
        Panel(
            title="Penalty against its lines",
            description="1000 for each departure, halved every half-life. A target is suppressed "
            "from the upper line on until it falls below the lower one.",
            viz=Viz.LINES,
            queries=(
                Query(
                    expr=total(m.FLAP_PENALTY, "route", "target", how="max"),
                    legend="{{route}} · {{target}}",
                ),
                Query(expr=total(m.FLAP_SUPPRESS_AT, how="min"), legend="suppress at"),
                Query(expr=total(m.FLAP_REUSE_AT, how="min"), legend="reuse at"),
            ),
        ),
        Panel(
            title="Dwell, median",
            description="How long targets had served when their route left them. Below five "
            "minutes prompt caches are lost for nothing.",
            viz=Viz.LINES,
            unit="s",
            queries=(
                Query(
                    expr=quantile(0.5, m.DWELL, "route", window="1h"),
                    legend="{{route}}",
                    empty_because="no route has switched within an hour",
                ),
            ),
        ),
        Panel(
            title="Probes by result",
            description="Attempts that tested a place on trial, or a better target before a return.",
            viz=Viz.LINES,
            unit="cph",
            queries=(
                Query(
                    expr=f"3600 * {rate(m.PROBES, 'target', 'result')}",
                    legend="{{target}} {{result}}",
                ),
            ),
        ),
        Panel(
            title="Share of relapses",
            description="Cooldowns that began sooner after the one before, in the same place, than "
            "that had lasted: rests that were too short.",
            viz=Viz.LINES,
            unit="percentunit",
            maximum=1,
            queries=(
                Query(
                    expr=share(rate(m.RELAPSES, window="30m"), rate(m.COOLDOWNS, window="30m")),
                    legend="relapses",
                ),
            ),
        ),
        Panel(
            title="Fallbacks by reason",
            description="Requests that another target served than the one that should have.",
            viz=Viz.LINES,
            unit="reqps",
            stacked=True,
            queries=(Query(expr=rate(m.FALLBACKS, "reason"), legend="{{reason}}"),),
        ),
        Panel(
            title="Sessions that moved",
            description="Detour: away while home rests. Rehome: back. Rebind: a new home after a "
            "pause.",
            viz=Viz.LINES,
            unit="cph",
            queries=(
                Query(
                    expr=f"3600 * {rate(m.SESSION_MOVES, 'route', 'kind')}",
                    legend="{{route}} {{kind}}",
                ),
            ),
            links=(("Sessions, cache and cost", c.SESSIONS),),
        ),
    ),
)

BOARD = Board(
    uid=c.ROUTING,
    title="Evenkeel: routing and flapping",
    description="Which target serves each route, why it changed, and whether it holds still.",
    below=("Providers", c.PROVIDERS),
    variables=("route", "provider"),
    rows=(_NOW, _SWITCHES, _DAMPING),
)
