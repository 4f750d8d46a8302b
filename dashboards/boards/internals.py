"""The gateway itself: loop, queues, store, memory."""

from __future__ import annotations

from dashboards.boards import common as c
from dashboards.model import Board, History, Panel, Query, Row, Viz
from dashboards.query import quantile, rate, series, standard, total
from gateway.telemetry import catalogue as m

AT = "{{instance}}"

_LOOP = Row(
    title="Loop and process",
    panels=(
        Panel(
            title="Event loop lag",
            description="The worst delay of the last fifteen seconds: what every request waited "
            "as well.",
            viz=Viz.LINES,
            unit="s",
            width=8,
            thresholds=c.up_to(0.1, 0.5),
            queries=(Query(expr=series(m.LOOP_LAG), legend=AT),),
        ),
        Panel(
            title="Overhead before the first call",
            description="Time of the gateway's own, waits excluded.",
            viz=Viz.LINES,
            unit="s",
            width=8,
            queries=tuple(
                Query(
                    expr=quantile(q, m.OVERHEAD, "phase"),
                    legend=f"{{{{phase}}}} p{q * 100:g}",
                    empty_because="no request came in the window",
                )
                for q in (0.5, 0.99)
            ),
        ),
        Panel(
            title="Processor",
            description="Seconds of processor time a second, of one core each.",
            viz=Viz.LINES,
            unit="percentunit",
            width=8,
            queries=(
                Query(
                    expr=f"rate({standard('process_cpu_seconds_total')}[$__rate_interval])",
                    legend=AT,
                ),
            ),
        ),
        Panel(
            title="Memory",
            description="Resident memory of the process.",
            viz=Viz.LINES,
            unit="bytes",
            width=8,
            queries=(Query(expr=standard("process_resident_memory_bytes"), legend=AT),),
        ),
        Panel(
            title="Open files and sockets",
            description="Against the process's limit.",
            viz=Viz.LINES,
            width=8,
            queries=(
                Query(expr=standard("process_open_fds"), legend=f"{AT} open"),
                Query(expr=standard("process_max_fds"), legend=f"{AT} limit"),
            ),
        ),
        Panel(
            title="Price of a scrape",
            description="What making the text of /metrics took, off the event loop.",
            viz=Viz.LINES,
            unit="s",
            width=8,
            queries=(Query(expr=series(m.SCRAPE_SECONDS), legend=AT),),
        ),
    ),
)

_STORE = Row(
    title="Events and store",
    panels=(
        Panel(
            title="Events written",
            description="A second, by the store.",
            viz=Viz.LINES,
            unit="ops",
            width=8,
            queries=(Query(expr=rate(m.EVENTS_WRITTEN, "instance"), legend=AT),),
        ),
        Panel(
            title="Events that wait",
            description="For the store, in memory and in the file beside the database.",
            viz=Viz.LINES,
            unit="bytes",
            width=8,
            queries=(
                Query(expr=series(m.QUEUE_BYTES), legend=f"{AT} in memory"),
                Query(expr=series(m.JOURNAL_BYTES), legend=f"{AT} in the file"),
            ),
        ),
        Panel(
            title="Events and spans that were lost",
            description="Should be 0.",
            viz=Viz.STAT,
            width=8,
            thresholds=c.up_to(1, 1),
            queries=(
                Query(expr=f"sum ({series(m.EVENTS_DROPPED)})", legend="events"),
                Query(expr=f"sum ({series(m.SINK_DROPPED)})", legend="of a sink"),
                Query(expr=f"sum ({series(m.SPANS_DROPPED)})", legend="spans"),
            ),
        ),
        Panel(
            title="Batches a sink did not take at once",
            description="They are tried again; a line that stays up is a sink in trouble.",
            viz=Viz.LINES,
            unit="ops",
            width=8,
            queries=(Query(expr=rate(m.SINK_FAILURES, "sink"), legend="{{sink}}"),),
        ),
        Panel(
            title="Size of the store",
            description="With its write-ahead log.",
            viz=Viz.LINES,
            unit="bytes",
            width=8,
            queries=(Query(expr=series(m.STORE_BYTES), legend=AT),),
        ),
        Panel(
            title="Age of the oldest rows",
            description="How far back each table reaches. It levels off where retention deletes.",
            viz=Viz.LINES,
            unit="s",
            width=8,
            queries=(
                Query(
                    expr=f"time() - {total(m.STORE_OLDEST, 'table', how='min')}",
                    legend="{{table}}",
                    empty_because=m.STORE_OLDEST.empty_because,
                ),
            ),
        ),
        Panel(
            title="Answers ahead of their rows",
            description="Sent before the store was sure of what happened, though "
            "`storage.durability` is strict: the store was too slow, or away.",
            viz=Viz.STAT,
            width=8,
            thresholds=c.up_to(1, 1),
            queries=(Query(expr=f"sum ({series(m.UNSAFE_ANSWERS)})"),),
        ),
        Panel(
            title="Version and configuration",
            description="A configuration that was rejected leaves the old one in use: stale.",
            viz=Viz.TABLE,
            width=8,
            queries=(
                Query(expr=series(m.BUILD_INFO), instant=True, table=True),
                Query(expr=series(m.CONFIG_INFO), instant=True, table=True),
                Query(expr=series(m.CONFIG_STALE), instant=True, table=True),
            ),
        ),
        Panel(
            title="The process's own events",
            description="From the history: starts, stops, reloads, operators' acts.",
            viz=Viz.TABLE,
            width=24,
            queries=(
                History(
                    path="/api/v1/events?kind=process_started,process_stopped,config_reloaded,"
                    "config_rejected,operator_acted,data_gap&order=desc&limit=200",
                    columns=(
                        ("ts", "time", "timestamp"),
                        ("kind", "kind", "string"),
                        ("actor", "actor", "string"),
                        ("action", "action", "string"),
                        ("target", "target", "string"),
                        ("note", "note", "string"),
                    ),
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid=c.INTERNALS,
    title="Evenkeel: gateway internals",
    description="The gateway itself: loop, queues, store, memory.",
    rows=(_LOOP, _STORE),
)
