"""Are users hurt? One screen for whoever was just woken."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, Panel, Query, Row, Viz
from dashboards.query import increase, quantile, rate, series, share, standard, total
from gateway.telemetry import catalogue as m

BAD = '=~"upstream_error|exhausted|shed"'
"""Outcomes of requests that are the gateway's or a provider's fault."""

_USERS = Row(
    title="Users",
    panels=(
        Panel(
            title="Failed requests",
            description="Share of requests that ended in an error that was not the client's own. "
            "Above 1 % users notice.",
            viz=Viz.STAT,
            unit="percentunit",
            width=4,
            height=5,
            decimals=2,
            thresholds=c.up_to(0.005, 0.01),
            queries=(
                Query(
                    expr=share(
                        rate(m.REQUESTS, window="5m", outcome=BAD), rate(m.REQUESTS, window="5m")
                    )
                ),
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Candidates left",
            description="Credentials of the worst-off route that could be tried now. "
            "At 0 nobody on that route is served.",
            viz=Viz.STAT,
            width=4,
            height=5,
            thresholds=c.from_(1, 2),
            queries=(Query(expr=total(m.ROUTE_CANDIDATES, how="min")),),
            links=(("Credentials", c.CREDENTIALS),),
        ),
        Panel(
            title="Flapping routes",
            description="Routes whose target goes back and forth so often that damping holds it "
            "where it is.",
            viz=Viz.STAT,
            width=4,
            height=5,
            thresholds=c.up_to(1, 1),
            queries=(Query(expr=total(m.FLAPPING)),),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="On fallback",
            description="Share of served requests that another target served than the one that "
            "should have.",
            viz=Viz.STAT,
            unit="percentunit",
            width=4,
            height=5,
            decimals=1,
            thresholds=c.up_to(0.2, 0.8),
            queries=(
                Query(
                    expr=share(
                        rate(m.FALLBACKS, window="5m"),
                        rate(m.REQUESTS, window="5m", outcome='="ok"'),
                    )
                ),
            ),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="First token, p95",
            description="How long 19 of 20 attempts took to their first content.",
            viz=Viz.STAT,
            unit="s",
            width=4,
            height=5,
            thresholds=c.up_to(8, 20),
            queries=(
                Query(
                    expr=quantile(0.95, m.FIRST_TOKEN, window="15m"),
                    empty_because="no answer has come in the last 15 minutes",
                ),
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Gateway overhead, p99",
            description="What the gateway itself added before the first upstream call, waits "
            "excluded.",
            viz=Viz.STAT,
            unit="s",
            width=4,
            height=5,
            thresholds=c.up_to(0.01, 0.05),
            queries=(
                Query(
                    expr=quantile(0.99, m.OVERHEAD, window="15m"),
                    empty_because="no request has come in the last 15 minutes",
                ),
            ),
            links=(("Gateway internals", c.INTERNALS),),
        ),
    ),
)

_TRAFFIC = Row(
    title="Traffic",
    panels=(
        Panel(
            title="Requests by outcome",
            description="Finished requests a second. Everything but `ok` and `client_error` is the "
            "gateway's or a provider's.",
            viz=Viz.LINES,
            unit="reqps",
            stacked=True,
            queries=(Query(expr=rate(m.REQUESTS, "outcome"), legend="{{outcome}}"),),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Rescued requests",
            description="Requests a second that were served although an attempt had failed: what "
            "users did not notice.",
            viz=Viz.LINES,
            unit="reqps",
            queries=(Query(expr=rate(m.RESCUES, "route"), legend="{{route}}"),),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Request duration",
            description="From a request's headers to the last byte of its answer.",
            viz=Viz.LINES,
            unit="s",
            queries=tuple(
                Query(
                    expr=quantile(q, m.REQUEST_DURATION),
                    legend=f"p{q * 100:g}",
                    exemplars=True,
                    empty_because="no request ended in the window",
                )
                for q in (0.5, 0.95, 0.99)
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
        Panel(
            title="Who serves each route",
            description="One lane for each target; it is filled while the route's pointer stands "
            "there.",
            viz=Viz.TIMELINE,
            queries=(
                Query(
                    expr=f"max by (route, target) ({series(m.ROUTE_ACTIVE)}) == 1",
                    legend="{{route}} · {{target}}",
                ),
            ),
            thresholds=c.BLUE,
            links=(("Routing", c.ROUTING),),
        ),
    ),
)

_MONEY = Row(
    title="Money and sessions",
    panels=(
        Panel(
            title="Cost an hour",
            description="Of attempts whose price is known, by provider.",
            viz=Viz.LINES,
            unit="currencyUSD",
            stacked=True,
            queries=(Query(expr=f"3600 * {rate(m.COST, 'provider')}", legend="{{provider}}"),),
            links=(("Sessions, cache and cost", c.SESSIONS),),
        ),
        Panel(
            title="Switches in the last day",
            description="Changes of the serving target, by route. A return counts as well.",
            viz=Viz.BARS,
            queries=(
                Query(
                    expr=increase(m.SWITCHES, "route", window="1d"),
                    legend="{{route}}",
                    instant=True,
                ),
            ),
            thresholds=c.up_to(6, 20),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Requests that wait",
            description="For a key, for room under a cap, or for a cooldown that ends soon.",
            viz=Viz.LINES,
            queries=(Query(expr=total(m.QUEUE_WAITERS, "route"), legend="{{route}}"),),
            links=(("Credentials", c.CREDENTIALS),),
        ),
        Panel(
            title="Processes",
            description="How long each gateway has been up.",
            viz=Viz.LINES,
            unit="s",
            queries=(
                Query(
                    expr=f"time() - {standard('process_start_time_seconds')}",
                    legend="{{instance}}",
                ),
            ),
            links=(("Gateway internals", c.INTERNALS),),
        ),
    ),
)

BOARD = Board(
    uid=c.OVERVIEW,
    title="Evenkeel: overview",
    description="Are users hurt, is a route flapping, what is left, what does it cost?",
    variables=("route", "provider"),
    rows=(_USERS, _TRAFFIC, _MONEY),
)
