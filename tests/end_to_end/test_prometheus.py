"""Every panel of every board, asked of a real Prometheus that has scraped a flapping gateway."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.build import BOARDS
from dashboards.grafana import rendered
from dashboards.model import Board, History, Panel, Query
from dashboards.rules import burning
from dashboards.rules.files import alerts, grafana_rules
from gateway.clock import SystemClock
from gateway.telemetry.catalogue import METRICS, Kind
from tests.end_to_end.flapping import limited, settings, traffic
from tests.end_to_end.gateways import Client, client_of, program, write
from tests.end_to_end.neighbours import Prometheus, collector, prometheus
from tests.programs import run

WATCH_SECONDS = 120.0
STEP_SECONDS = 1
LABELS = {
    "route": "coder",
    "provider": "broken",
    "target": "broken/large",
    "credential": "one",
    "instance": "127.0.0.1",
}
"""Filled into the history queries of alerts."""
Rows = list[tuple[str, str, str, int, str]]
"""Board, panel, query, how many rows, why it may be empty."""


async def test_every_panel_shows_something_and_every_rule_can_be_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with limited() as upstream, collector() as spans:
        write(tmp_path, settings(upstream, spans.url))
        async with program(tmp_path, "serve", "--port", "0") as p:
            url = await p.url()
            async with client_of(url) as client, prometheus(tmp_path, url) as prom:
                began = SystemClock().now().timestamp / 1e6
                await traffic(client, WATCH_SECONDS / 2)
                await client.post("/api/v1/reload", {})
                await client.post("/api/v1/cooldowns/reset", {"note": "by hand"})
                await traffic(client, WATCH_SECONDS / 2)
                watch = Watch(prom, client, began, SystemClock().now().timestamp / 1e6)
                rows = await watch.rows()
                with capsys.disabled():
                    sys.stdout.write(table(rows))
                assert [row for row in rows if not row[3] and not row[4]] == []
                await watch.shown_is_scraped()
                await watch.variables_and_annotations()
                await watch.rules()
                await watch.exemplars()
                await watch.histories_of_alerts()
                text = (await client.get("/metrics")).body.decode()
        assert "Traceback" not in p.text()
    told = run("promtool", "check", "metrics", stdin=text)
    assert told.returncode == 0, told.stdout
    assert not told.stdout


class Watch:
    """One stretch of time, asked about."""

    def __init__(self, prom: Prometheus, client: Client, began: float, ended: float) -> None:
        self._prom = prom
        self._client = client
        self._began = began
        self._ended = ended

    async def rows(self) -> Rows:
        return [
            (board.title, panel.title, _short(query), await self._count(query), query.empty_because)
            for board, panel, query in _queries()
        ]

    async def _count(self, query: Query | History) -> int:
        """Series with a number in them, or rows of the history that have the columns."""
        if isinstance(query, History):
            items = await self._items(query.path)
            return sum({name for name, _, _ in query.columns} <= set(item) for item in items)
        return await self._numbers(self._filled(query.expr), instant=query.instant)

    async def _numbers(self, expr: str, *, instant: bool = False) -> int:
        if instant:
            found = await self._prom.asked("query", query=expr, time=f"{self._ended:.3f}")
        else:
            found = await self._prom.asked(
                "query_range",
                query=expr,
                start=f"{self._began:.3f}",
                end=f"{self._ended:.3f}",
                step=str(STEP_SECONDS),
            )
        return sum(
            any(
                not math.isnan(float(value)) for _, value in each.get("values", [each.get("value")])
            )
            for each in found["result"]
        )

    def _filled(self, text: str) -> str:
        """Grafana's variables, as a reader has them who looks at this stretch of time."""
        values = {
            "$__rate_interval": "15s",
            "$__range": f"{math.ceil(self._ended - self._began)}s",
            "${__from}": str(round(self._began * 1000)),
            "${__to}": str(round(self._ended * 1000)),
        }
        for name, value in values.items():
            text = text.replace(name, value)
        text = re.sub(r"\$(job|instance|route|provider)\b", ".*", text)
        assert "$" not in text, text
        return text

    async def _items(self, path: str) -> list[dict[str, Any]]:
        got = await self._client.get(self._filled(path))
        assert got.status == 200, (path, got.body)
        items: list[dict[str, Any]] = got.json["items"]
        return items

    async def shown_is_scraped(self) -> None:
        """No board shows a metric that the live gateway lacks, nor does a rule."""
        scraped = {name for name, _ in await self._client.metrics()}
        families = {metric.name: metric for metric in METRICS}
        exprs = [query.expr for _, _, query in _queries() if isinstance(query, Query)]
        exprs += [alert.expr for alert in alerts()]
        exprs += [each.expr for each in burning.recordings()]
        for expr in exprs:
            for name in re.findall(r"(?<![:a-z_])(?:evenkeel|process)_[a-z_]+", expr):
                metric = families.get(name)
                histogram = metric is not None and metric.kind is Kind.HISTOGRAM
                assert (f"{name}_bucket" if histogram else name) in scraped, expr

    async def variables_and_annotations(self) -> None:
        for board in BOARDS:
            made = rendered(board, BOARDS)
            for each in made["templating"]["list"]:
                if each["type"] == "query":
                    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
                    assert asked is not None
                    series = self._filled(asked[1])
                    got = await self._prom.got(f"label/{asked[2]}/values?match[]={series}")
                    assert got, each
            for each in made["annotations"]["list"]:
                items = await self._items(each["target"]["url"])
                assert items, each["name"]

    async def rules(self) -> None:
        """All of them can be evaluated, Grafana's form too; recorded series exist; nothing but the weather is told of."""
        groups = (await self._prom.got("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}, rules
        assert {rule["name"] for rule in rules} == {
            *(alert.name for alert in alerts()),
            *(each.record for each in burning.recordings()),
        }
        for group in yaml.safe_load(grafana_rules())["groups"]:
            for rule in group["rules"]:
                await self._prom.asked("query", query=rule["data"][0]["model"]["expr"])
        for each in burning.recordings():
            assert await self._numbers(each.record), each.record
        firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
        assert "EvenkeelRouteFlapping" in firing
        assert not firing & {"EvenkeelDown", "EvenkeelEventsDropped", "EvenkeelConfigStale"}

    async def exemplars(self) -> None:
        found = await self._prom.asked(
            "query_exemplars",
            query="evenkeel_time_to_first_token_seconds_bucket",
            start=f"{self._began:.3f}",
            end=f"{self._ended:.3f}",
        )
        labels = [one["labels"] for each in found for one in each["exemplars"]]
        assert labels
        assert all(len(each["trace_id"]) == 32 for each in labels)

    async def histories_of_alerts(self) -> None:
        """What each alert's note says to look at is there when pasted."""
        for alert in alerts():
            path = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda name: LABELS[name[1]], alert.history)
            await self._items(path)


def _queries() -> Iterator[tuple[Board, Panel, Query | History]]:
    for board in BOARDS:
        for panel in board.panels:
            for query in panel.queries:
                yield board, panel, query


def table(rows: Rows) -> str:
    width = max(len(f"{board} / {panel}") for board, panel, *_ in rows)
    lines = [
        f"{f'{board} / {panel}':{width}}  {query:26}  {count:5}  {why if not count else ''}".rstrip()
        for board, panel, query, count, why in rows
    ]
    return "\n".join(("", f"{'panel':{width}}  {'query':26}   rows", *lines))


def _short(query: Query | History) -> str:
    if isinstance(query, History):
        return query.path.partition("?")[0]
    names = re.findall(r"(?:evenkeel|process)_[a-z_]+", query.expr)
    return str(names[0]).removeprefix("evenkeel_")[:26]
