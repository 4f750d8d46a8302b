"""Boards as Grafana's classic JSON (schemaVersion 39, which Grafana 10.4 to 13 read)."""

from __future__ import annotations

from typing import Any, Final

from dashboards.model import Board, History, Mapped, Panel, Query, Viz
from gateway.telemetry import catalogue

Json = dict[str, Any]

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
PROMETHEUS: Final = {"type": "prometheus", "uid": "${datasource}"}
HISTORY: Final = {"type": "yesoreyeram-infinity-datasource", "uid": "${history}"}
LABELLED_BY: Final = {"route": catalogue.REQUESTS, "provider": catalogue.PROVIDER_INFO}
"""Variable → a metric that has all its values from the start."""


def rendered(board: Board, boards: tuple[Board, ...]) -> Json:
    """The JSON of one board; `boards` are all of them, which the links at its top name."""
    panels: list[Json] = []
    y = 0
    for row in board.rows:
        panels.append(_row(row.title, len(panels) + 1, y))
        y += 1
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            panels.append(_panel(panel, board, len(panels) + 1, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": list(board.tags),
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_board_link(other) for other in boards if other is not board],
        "annotations": {"list": _annotations()},
        "templating": {"list": _variables(board)},
        "panels": panels,
    }


def _board_link(board: Board) -> Json:
    return {
        "title": board.title,
        "type": "link",
        "url": f"/d/{board.uid}",
        "icon": "dashboard",
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
        "tooltip": board.description,
    }


def _row(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place}


def _panel(panel: Panel, board: Board, number: int, x: int, y: int) -> Json:
    below = () if board.below is None else (board.below,)
    source = HISTORY if isinstance(panel.queries[0], History) else PROMETHEUS
    defaults: Json = {
        "unit": panel.unit,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.thresholds],
        },
        "mappings": [_mapping(panel.mappings)] if panel.mappings else [],
        "noValue": "none",
        "custom": _custom(panel),
    }
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.maximum is not None:
        defaults |= {"min": 0, "max": panel.maximum}
    return {
        "id": number,
        "type": panel.viz.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "targets": [_target(query, chr(65 + n)) for n, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": _options(panel),
        "transformations": list(panel.transformations),
        "links": [
            {"title": title, "url": f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"}
            for title, uid in panel.links or below
        ],
    }


def _target(query: Query | History, ref: str) -> Json:
    if isinstance(query, History):
        return _rows(query.path, query.columns, ref)
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "exemplar": query.exemplars,
        "format": "heatmap" if query.heatmap else "table" if query.table else "time_series",
    }


def _rows(path: str, columns: tuple[tuple[str, str, str], ...], ref: str) -> Json:
    """A query of the Infinity data source. The history's times are microseconds since 1970, which
    it is told as a computed column in milliseconds."""
    plain = [each for each in columns if each[2] != "timestamp"]
    times = [each for each in columns if each[2] == "timestamp"]
    return {
        "refId": ref,
        "datasource": HISTORY,
        "type": "json",
        "source": "url",
        "format": "table",
        "parser": "backend",
        "url": path,
        "url_options": {"method": "GET", "data": ""},
        "root_selector": "items",
        "columns": [
            *(_column(name, name, "number") for name, _, _ in times),
            *(_column(*each) for each in plain),
        ],
        "computed_columns": [
            _column(f"{name} / 1000", heading, "timestamp_epoch") for name, heading, _ in times
        ],
    }


def _column(selector: str, text: str, kind: str) -> Json:
    return {"selector": selector, "text": text, "type": kind}


def _mapping(mapped: tuple[Mapped, ...]) -> Json:
    options = {
        f"{each.value:g}": {"text": each.text, "color": each.colour, "index": n}
        for n, each in enumerate(mapped)
    }
    return {"type": "value", "options": options}


def _custom(panel: Panel) -> Json:
    match panel.viz:
        case Viz.LINES:
            stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
            return {
                "lineWidth": 1,
                "fillOpacity": 30 if panel.stacked else 0,
                "showPoints": "never",
                "stacking": stacking,
                "thresholdsStyle": {"mode": "dashed" if len(panel.thresholds) > 1 else "off"},
            }
        case Viz.TIMELINE:
            return {"fillOpacity": 80, "lineWidth": 0}
        case _:
            return {}


def _options(panel: Panel) -> Json:
    match panel.viz:
        case Viz.STAT:
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "background",
                "graphMode": "area",
                "textMode": "auto",
                "justifyMode": "auto",
                "orientation": "auto",
            }
        case Viz.LINES:
            return {
                "legend": {
                    "displayMode": "table",
                    "placement": "right",
                    "showLegend": True,
                    "calcs": ["lastNotNull", "max"],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case Viz.TIMELINE:
            return {
                "mergeValues": True,
                "showValue": "auto",
                "alignValue": "left",
                "rowHeight": 0.9,
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case Viz.HEATMAP:
            return {
                "calculate": False,
                "yAxis": {"unit": panel.unit},
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "tooltip": {"mode": "single", "yHistogram": True},
            }
        case Viz.BARS:
            return {
                "displayMode": "gradient",
                "orientation": "horizontal",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            }
        case _:
            return {"showHeader": True, "cellHeight": "sm"}


# -- variables and annotations ---------------------------------------------------------------------


def _variables(board: Board) -> list[Json]:
    found = [
        _source("datasource", "Prometheus", "prometheus"),
        _source("history", "History", "yesoreyeram-infinity-datasource"),
        _values("job", f"label_values({catalogue.BUILD_INFO.name}, job)"),
        _values("instance", f'label_values({catalogue.BUILD_INFO.name}{{job=~"$job"}}, instance)'),
    ]
    for name in board.variables:
        metric = LABELLED_BY[name]
        assert name in metric.labels
        found.append(_values(name, f'label_values({metric.name}{{job=~"$job"}}, {name})'))
    return found


def _source(name: str, label: str, kind: str) -> Json:
    return {"name": name, "label": label, "type": "datasource", "query": kind, "hide": 0}


def _values(name: str, query: str) -> Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }


def _annotations() -> list[Json]:
    """Exact, from the history: what a scrape may step over."""
    window = "since=${__from}000&until=${__to}000&limit=1000"
    return [
        _annotation("Switches", f"/api/v1/switches?{window}", "red", "reason"),
        _annotation("Reloads", f"/api/v1/events?kind=config_reloaded&{window}", "blue", "kind"),
        _annotation("Operators", f"/api/v1/events?kind=operator_acted&{window}", "purple", "note"),
    ]


def _annotation(name: str, url: str, colour: str, text: str) -> Json:
    return {
        "name": name,
        "enable": True,
        "iconColor": colour,
        "datasource": HISTORY,
        "target": _rows(url, (("ts", "time", "timestamp"), (text, "text", "string")), name),
    }
