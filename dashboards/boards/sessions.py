"""What moving costs: caches, tokens and money."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, Panel, Query, Row, Viz
from dashboards.query import increase, rate, series, share
from gateway.telemetry import catalogue as m

BILLING = (
    f"* on (provider) group_left (billing) (max by (provider, billing) ({series(m.PROVIDER_INFO)}))"
)
"""Joins a sum by provider to its billing class."""

_CACHE = Row(
    title="Sessions and caches",
    panels=(
        Panel(
            title="Share of input read from caches",
            description="What providers said they had cached. A dip after a switch is its price.",
            viz=Viz.LINES,
            unit="percentunit",
            maximum=1,
            queries=(
                Query(
                    expr=share(
                        rate(m.TOKENS, "provider", kind='="cached"'),
                        rate(m.TOKENS, "provider", kind='="input"'),
                    ),
                    legend="{{provider}}",
                ),
            ),
        ),
        Panel(
            title="Cache left behind by moves",
            description="Cached input tokens, an hour, that sessions had where they moved away "
            "from: the next prompt is read in full.",
            viz=Viz.LINES,
            queries=(
                Query(
                    expr=f"3600 * {rate(m.CACHE_LOST, 'route', 'kind')}",
                    legend="{{route}} {{kind}}",
                ),
            ),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Sessions that moved",
            description="Within the time shown, by route and kind.",
            viz=Viz.BARS,
            queries=(
                Query(
                    expr=increase(m.SESSION_MOVES, "route", "kind"),
                    legend="{{route}} {{kind}}",
                    instant=True,
                ),
            ),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Tokens by kind",
            description="A second. Cached and cache-write tokens are parts of the input, reasoning "
            "tokens a part of the output.",
            viz=Viz.LINES,
            queries=(Query(expr=rate(m.TOKENS, "kind"), legend="{{kind}}"),),
        ),
    ),
)

_COST = Row(
    title="Cost",
    panels=(
        Panel(
            title="Cost within the time shown",
            description="Of attempts whose price is known.",
            viz=Viz.STAT,
            unit="currencyUSD",
            width=6,
            height=6,
            queries=(Query(expr=f"sum (increase({series(m.COST)}[$__range]))", instant=True),),
        ),
        Panel(
            title="Cost of falling back",
            description="Of requests that another target served than the one that should have.",
            viz=Viz.STAT,
            unit="currencyUSD",
            width=6,
            height=6,
            queries=(
                Query(expr=f"sum (increase({series(m.FALLBACK_COST)}[$__range]))", instant=True),
            ),
            links=(("Routing", c.ROUTING),),
        ),
        Panel(
            title="Cost an hour by billing class",
            description="Flat and free plans that run out make the metered line rise.",
            viz=Viz.LINES,
            unit="currencyUSD",
            stacked=True,
            height=6,
            queries=(
                Query(
                    expr=f"sum by (billing) (3600 * {rate(m.COST, 'provider')} {BILLING})",
                    legend="{{billing}}",
                ),
            ),
        ),
        Panel(
            title="Cost an hour by model",
            description="Of attempts whose price is known.",
            viz=Viz.LINES,
            unit="currencyUSD",
            width=24,
            queries=(
                Query(
                    expr=f"3600 * {rate(m.COST, 'provider', 'model')}",
                    legend="{{provider}}/{{model}}",
                ),
            ),
            links=(("Providers", c.PROVIDERS),),
        ),
    ),
)

BOARD = Board(
    uid=c.SESSIONS,
    title="Evenkeel: sessions, cache and cost",
    description="What moving costs: caches, tokens and money.",
    below=("Providers", c.PROVIDERS),
    variables=("route", "provider"),
    rows=(_CACHE, _COST),
)
