"""The rules as the real Prometheus reads them, and each alert in weather that is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.build import OUTPUT
from dashboards.rules.files import alerts
from dashboards.rules.model import Severity
from dashboards.stack import INHIBITED
from tests.dashboards.rules.cases import CASES, CLEAN_FAILOVER, TEN_REVERSALS, Story
from tests.programs import run

ROOT = Path(__file__).parents[2]
RULES = sorted(str(path) for path in (ROOT / OUTPUT / "rules").glob("*.yml"))
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'
FLAPPING = 'ALERTS{alertstate="firing",alertname="EvenkeelRouteFlapping"}'


def firing(*names: str, at: str) -> dict[str, Any]:
    """Exactly these fire then."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    return {"expr": FIRING, "eval_time": at, "exp_samples": samples}


def played(story: Story, expectations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    series = [{"series": name, "values": values} for name, values in story.items()]
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": list(expectations),
    }


def judge(folder: Path, *tests: Mapping[str, Any]) -> None:
    path = folder / "tests.yml"
    whole = {"rule_files": RULES, "evaluation_interval": "1m", "tests": list(tests)}
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    told = run("promtool", "test", "rules", str(path))
    assert told.returncode == 0, told.stdout


def test_prometheus_accepts_the_rules() -> None:
    told = run("promtool", "check", "rules", *RULES)
    assert told.returncode == 0, told.stdout
    assert "SUCCESS" in told.stdout


@pytest.mark.parametrize("name", ["alertmanager.yml", "native/alertmanager.yml"])
def test_alertmanager_accepts_its_configuration(name: str) -> None:
    told = run("amtool", "check-config", str(ROOT / OUTPUT / name))
    assert told.returncode == 0, told.stdout


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {alert.name for alert in alerts()}


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_alone_when_it_should_and_only_then(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    judge(
        tmp_path,
        played(case.fires, [firing(name, at=case.at)]),
        played(case.silent, [firing(at=case.at)]),
    )


def test_a_gateway_that_nobody_scrapes_is_down(tmp_path: Path) -> None:
    judge(tmp_path, played({"other": "1x10"}, [firing("EvenkeelDown", at="5m")]))


def test_few_requests_are_no_reason_to_page(tmp_path: Path) -> None:
    few = {
        'up{job="evenkeel",instance="g"}': "1x60",
        'evenkeel_requests_total{route="coder",outcome="exhausted"}': "0x10 1x50",
        'evenkeel_requests_total{route="coder",outcome="ok"}': "0x9 2 2x50",
    }
    judge(tmp_path, played(few, [firing(at=f"{at}m") for at in (12, 20, 40)]))


def test_a_single_clean_failover_alerts_nobody(tmp_path: Path) -> None:
    judge(tmp_path, played(CLEAN_FAILOVER, [firing(at=f"{at}m") for at in range(1, 200, 3)]))


def test_ten_reversals_in_ten_minutes_are_one_flapping_alert_and_one_recovery(
    tmp_path: Path,
) -> None:
    on_and_off = {
        "expr": f"changes((count({FLAPPING}) or vector(0))[3h:1m])",
        "eval_time": "3h",
        "exp_samples": [{"labels": "{}", "value": 2}],
    }
    loud = ("EvenkeelRouteFlapping", "EvenkeelRoutePingPong", "EvenkeelShortDwell")
    # Alertmanager keeps the two smaller ones to itself while the bigger one fires: always.
    smaller = f'ALERTS{{alertstate="firing",alertname=~"{loud[1]}|{loud[2]}"}}'
    alone = {
        "expr": f"count_over_time((count({smaller}) unless on () {FLAPPING})[3h:1m])",
        "eval_time": "3h",
        "exp_samples": [],
    }
    quiet = firing(at="179m")
    judge(tmp_path, played(TEN_REVERSALS, [firing(*loud, at="20m"), quiet, on_and_off, alone]))
    silenced = "|".join(smaller for bigger, smaller, _ in INHIBITED if bigger == loud[0])
    assert set(silenced.split("|")) == set(loud[1:])
    assert Severity.PAGE not in {each.severity for each in alerts() if each.name in loud}
