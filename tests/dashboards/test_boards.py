"""Every panel of every board, as far as it can be judged without Grafana and Prometheus."""

from __future__ import annotations

import re

import pytest

from dashboards.build import BOARDS
from dashboards.model import Board, History, Panel, Query, Viz
from gateway.telemetry.catalogue import METRICS, Kind

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
QUERIES = [query for _, panel in PANELS for query in panel.queries if isinstance(query, Query)]
BY_PROCESS = re.compile(r"process_[a-z_]+")


def names(expr: str) -> set[str]:
    """Metrics of ours in an expression, histograms by their family."""
    found = set(re.findall(r"evenkeel_[a-z_]+", expr))
    families = {metric.name for metric in METRICS if metric.kind is Kind.HISTOGRAM}
    return {
        next((name for name in families if each.startswith(f"{name}_")), each) for each in found
    }


def test_there_are_six_boards_and_no_uid_is_given_twice() -> None:
    assert len(BOARDS) == 6 == len({board.uid for board in BOARDS})


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda each: getattr(each, "title", ""))
def test_a_panel_says_what_it_shows(board: Board, panel: Panel) -> None:
    assert panel.title
    assert panel.description.endswith(".")
    assert len(panel.description) > 8
    assert panel.unit
    assert panel.queries
    assert panel.width <= 24
    sources = {type(query) for query in panel.queries}
    assert len(sources) == 1
    uids = {each.uid for each in BOARDS}
    assert all(uid in uids - {board.uid} for _, uid in panel.links)


def test_titles_are_told_apart_within_a_board() -> None:
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles)), board.title


def test_no_metric_of_the_catalogue_is_on_no_board() -> None:
    shown = {name for query in QUERIES for name in names(query.expr)}
    assert shown == {metric.name for metric in METRICS}


def test_rates_use_grafanas_own_window() -> None:
    for query in QUERIES:
        windows = set(re.findall(r"rate\([^[]+\[([^]]+)\]", query.expr))
        assert windows <= {"$__rate_interval", "5m", "15m", "30m", "1h"}, query.expr


def test_every_series_is_narrowed_by_the_gateway() -> None:
    for query in QUERIES:
        series = re.findall(r"(?:evenkeel|process)_[a-z_]+\{([^}]*)\}", query.expr)
        bare = re.findall(r"(?:evenkeel|process)_[a-z_]+(?![a-z_{])", query.expr)
        assert series
        assert not bare, query.expr
        assert all('job=~"$job"' in each for each in series)


def test_variables_that_are_used_are_offered() -> None:
    for board in BOARDS:
        used = {
            name
            for panel in board.panels
            for query in panel.queries
            if isinstance(query, Query)
            for name in re.findall(r"\$(route|provider)\b", query.expr)
        }
        assert used <= set(board.variables), board.title


def test_history_is_asked_by_paths_of_its_api() -> None:
    found = [q for _, panel in PANELS for q in panel.queries if isinstance(q, History)]
    assert len(found) >= 4
    assert all(query.path.startswith("/api/v1/") for query in found)
    assert all("limit=" in query.path for query in found)


PANEL_UNITS = {"seconds": {"s"}, "bytes": {"bytes"}, "usd": {"currencyUSD"}}
"""Unit of a metric → those of panels that show its values."""


def test_a_panel_has_the_unit_of_what_it_shows() -> None:
    """Counts of a histogram's observations apart, and shares, which have none; a table names many."""
    families = {metric.name: metric for metric in METRICS}
    looked_at = 0
    for _, panel in PANELS:
        for query in panel.queries:
            if not isinstance(query, Query) or panel.viz is Viz.TABLE or " / " in query.expr:
                continue
            units = {families[name].unit for name in names(query.expr)} & set(PANEL_UNITS)
            for unit in units:
                looked_at += 1
                assert panel.unit in PANEL_UNITS[unit], panel.title
    assert looked_at >= 15
