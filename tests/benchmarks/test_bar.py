from __future__ import annotations

import copy

import pytest

from tests.benchmarks.bar import Demand, Line, Verdict, as_json, lines, verdict
from tests.benchmarks.figures import Spread
from tests.benchmarks.made_up import GOOD, made_up
from tests.benchmarks.results import Results

HOLDS, MISSED, UNKNOWN = Verdict.HOLDS, Verdict.MISSED, Verdict.NOT_MEASURED


def line(results: Results, beginning: str) -> Line:
    [found] = [each for each in lines(results) if each.figure.startswith(beginning)]
    return found


def of(demands: tuple[Demand, ...]) -> list[Verdict]:
    return [each.verdict for each in demands]


def test_every_line_of_the_bar_is_there() -> None:
    assert len(lines(Results())) == 11


def test_what_is_not_measured_is_never_a_pass() -> None:
    for each in lines(Results()):
        assert {*of(each.must), *of(each.aim)} == {UNKNOWN}, each.figure


def test_ratios_within_the_rounds_are_held_against_the_limits() -> None:
    found = line(made_up(GOOD), "requests per second")
    assert found.must[0].value == Spread(2.525, 2.5, 2.55)
    assert of(found.must) == [HOLDS, UNKNOWN, UNKNOWN]
    assert of(found.aim) == [MISSED, MISSED, UNKNOWN, UNKNOWN]
    assert (verdict(found.must), verdict(found.aim)) == (UNKNOWN, MISSED)


def test_observability_is_the_difference_to_the_gateway_without_sinks() -> None:
    found = line(made_up(GOOD), "CPU of all observability")
    assert found.must[0].value is not None
    assert found.must[0].value.middle == pytest.approx(0.055)
    assert found.aim[1].value == Spread(17, 10, 24)
    assert of(found.must) + of(found.aim) == [HOLDS] * 3


@pytest.mark.parametrize(
    ("beginning", "must", "aim"),
    [
        ("added p50", [HOLDS], [HOLDS]),
        ("first chunk", [HOLDS], [HOLDS, UNKNOWN]),
        ("CPU per paced chunk", [HOLDS], [HOLDS]),
        ("chunks per second", [HOLDS], [MISSED, UNKNOWN]),
        ("streams held", [HOLDS, HOLDS], [HOLDS, HOLDS]),
        ("fallback", [HOLDS, HOLDS], [UNKNOWN, UNKNOWN]),
        ("start to ready", [HOLDS, HOLDS], [UNKNOWN, UNKNOWN]),
    ],
)
def test_each_line_reads_its_own_figures(
    beginning: str, must: list[Verdict], aim: list[Verdict]
) -> None:
    found = line(made_up(GOOD), beginning)
    assert (of(found.must), of(found.aim)) == (must, aim)


@pytest.mark.parametrize(
    ("beginning", "scenario", "figure", "worse"),
    [
        ("added p50", "rate-100", "added p50 us", 701),
        ("first chunk", "paced", "first chunk p50 us", 601),
        ("CPU per paced chunk", "paced", "CPU us/chunk", 35.1),
        ("chunks per second", "burst", "chunks/s", 199_000),
        ("streams held", "held-1000", "whole", 0.999),
        ("streams held", "held-1000", "transit p99 us", 20_001),
        ("fallback", "failover", "fallback added p50 us", 351),
        ("fallback", "failover", "sticky added p50 us", 101),
        ("start to ready", "start", "ready s", 1.51),
        ("start to ready", "start", "idle MB", 80.1),
    ],
)
def test_a_figure_just_beyond_its_limit_is_missed(
    beginning: str, scenario: str, figure: str, worse: float
) -> None:
    values = copy.deepcopy({name: dict(subjects) for name, subjects in GOOD.items()})
    values[scenario]["evenkeel"] = {**values[scenario]["evenkeel"], figure: [worse]}
    assert verdict(line(made_up(values), beginning).must) is MISSED


def test_a_fallback_that_few_requests_needed_is_not_measured() -> None:
    values = copy.deepcopy({name: dict(subjects) for name, subjects in GOOD.items()})
    values["failover"]["evenkeel"] = {**values["failover"]["evenkeel"], "fallback tried": [0.5]}
    assert of(line(made_up(values), "fallback").must)[0] is UNKNOWN


def test_parts_are_held_against_the_limits_too() -> None:
    results = made_up(GOOD)
    pair = "openai<-anthropic us/chunk", "anthropic<-openai us/chunk"
    results.parts["translate"] = {
        "ours": {pair[0]: [3.0, 3.0], pair[1]: [20.0, 20.0]},
        "litellm": {pair[0]: [300.0, 400.0], pair[1]: [300.0, 400.0]},
    }
    results.parts["scrape"] = {"evenkeel": {"longest stall ms": [12.0, 9.0, 15.0]}}
    found = line(results, "chat ↔ messages")
    assert of(found.must) + of(found.aim) == [HOLDS, HOLDS, HOLDS, MISSED]
    found = line(results, "loop stall")
    assert (of(found.must), of(found.aim)) == ([HOLDS], [MISSED])


def test_the_bar_as_json_tells_values_limits_and_verdicts() -> None:
    [found] = [each for each in as_json(made_up(GOOD)) if each["figure"].startswith("added p50")]
    assert (found["must hold"], found["aim"]) == ("holds", "holds")
    [demand] = found["must demands"]
    assert demand["limit"] == 0.7
    assert demand["value"] == {"middle": 0.5, "least": 0.5, "most": 0.5}
