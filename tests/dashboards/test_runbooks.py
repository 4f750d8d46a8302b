"""docs/runbooks.md has a section for each alert, and every query on it runs."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dashboards.rules.files import alerts
from gateway.telemetry.catalogue import METRICS
from tests.end_to_end.gateways import DATABASE, gateway, settings_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
SIMULATED = {"dialect": "simulated", "models": {"list": ["m"]}}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """Anchor → text, of the second half of the page."""
    parts = re.split(r"^### (.*)$", PAGE.partition("\n## Alerts\n")[2], flags=re.MULTILINE)
    return {anchor(parts[n]): parts[n + 1] for n in range(1, len(parts), 2)}


def test_every_alert_has_its_section_and_no_section_is_about_none() -> None:
    found = sections()
    assert {alert.runbook for alert in alerts()} == set(found)
    for alert in alerts():
        assert f"`{alert.name}`" in found[alert.runbook]
    named = {name for text in found.values() for name in re.findall(r"`(Evenkeel\w+)`", text)}
    assert named == {alert.name for alert in alerts()}


def test_ten_questions_are_answered_by_a_board_a_query_and_a_statement() -> None:
    questions = PAGE.partition("## Ten questions")[2].partition("\n## Alerts\n")[0]
    parts = re.split(r"^### .*\?$", questions, flags=re.MULTILINE)[1:]
    assert len(parts) == 10
    assert all("```promql" in part and "```sql" in part for part in parts)


def test_queries_name_metrics_of_the_catalogue() -> None:
    known = {metric.name for metric in METRICS}
    named = {name for text in blocks("promql") for name in re.findall(r"evenkeel_\w+", text)}
    assert named
    assert named <= known


async def test_every_statement_runs_on_the_schema(tmp_path: Path) -> None:
    settings = settings_of({"a": SIMULATED, "b": SIMULATED}, {"coder": ["a/m", "b/m"]})
    async with gateway(tmp_path, settings) as g:
        assert (await g.client.chat()).status == 200
        await g.settled()
        with closing(sqlite3.connect(f"file:{tmp_path / DATABASE}?mode=ro", uri=True)) as db:
            for statement in blocks("sql"):
                db.execute(statement).fetchall()


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md", "docs/metrics.md"])
def test_it_is_linked(name: str) -> None:
    assert "runbooks.md" in (ROOT / name).read_text(encoding="utf-8")
