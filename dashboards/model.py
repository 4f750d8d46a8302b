"""A board as data: rows of panels with their queries, before it is Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Viz(StrEnum):
    """Kinds of panels, by Grafana's names."""

    STAT = "stat"
    LINES = "timeseries"
    TIMELINE = "state-timeline"
    HEATMAP = "heatmap"
    TABLE = "table"
    BARS = "bargauge"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL."""

    expr: str
    legend: str = ""
    """Grafana's template, `{{route}}`; empty: the series' own name."""
    instant: bool = False
    table: bool = False
    """One row a series, as tables need it."""
    exemplars: bool = False
    heatmap: bool = False
    empty_because: str = ""
    """Why it may return nothing though all is well; empty: it must return data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Rows of the gateway's own history, asked for over HTTP (the Infinity data source)."""

    path: str
    """Of `/api/v1`, with its query. Grafana's `${__from}` is milliseconds, hence `${__from}000`."""
    columns: tuple[tuple[str, str, str], ...]
    """Field, heading, and `timestamp`, `string` or `number`. Times are microseconds."""
    empty_because: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A value, and the word and colour it is shown by."""

    value: float
    text: str
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    title: str
    description: str
    viz: Viz
    queries: tuple[Query | History, ...]
    unit: str = "short"
    width: int = 12
    """Of 24 columns."""
    height: int = 8
    thresholds: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    mappings: tuple[Mapped, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Title and uid of the board that tells more; empty: the one below the panel's own."""
    decimals: int | None = None
    stacked: bool = False
    maximum: float | None = None
    transformations: tuple[dict[str, Any], ...] = ()
    overrides: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[str, ...] = ()
    """Of `route` and `provider`."""
    below: tuple[str, str] | None = None
    """Title and uid of the next level, for panels that name none. None: the lowest."""
    tags: tuple[str, ...] = field(default=("evenkeel",))

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)
