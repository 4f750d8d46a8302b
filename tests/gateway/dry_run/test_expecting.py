"""What is expected of a figure, in every way a file can say it."""

from __future__ import annotations

import pytest

from gateway.config_yaml import Tree
from gateway.dry_run.expecting import Expectation, faults, read
from gateway.dry_run.figures import Figures

FIGURES = Figures(switches=3, flapping=0, served_share=0.98)


def fault(name: str, wanted: Tree) -> str:
    expected, problems = read({name: wanted})
    assert problems == []
    return "".join(faults(expected, FIGURES))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("switches", "3"),
        ("switches", "true"),
        ("switches", {"max": "3"}),
        ("switches", {"min": "3"}),
        ("switches", {"min": "1", "max": "4"}),
        ("flapping", "false"),
        ("served_share", {"min": "0.95"}),
    ],
)
def test_what_holds_has_no_fault(name: str, wanted: Tree) -> None:
    assert fault(name, wanted) == ""


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("switches", "2", "switches: expected 2, was 3"),
        ("switches", "false", "switches: expected 0, was 3"),
        ("flapping", "true", "flapping: expected at least 1, was 0"),
        ("switches", {"max": "2"}, "switches: expected at most 2, was 3"),
        (
            "served_share",
            {"min": "0.99", "max": "1"},
            "served_share: expected at least 0.99 and at most 1, was 0.98",
        ),
        (
            "time_to_leave_seconds",
            {"max": "10"},
            "time_to_leave_seconds: expected at most 10, but there was none",
        ),
    ],
)
def test_what_does_not_hold_is_said_with_both_values(name: str, wanted: Tree, said: str) -> None:
    assert fault(name, wanted) == said


@pytest.mark.parametrize("value", ["", "many", "nan", "inf", ["1"], None])
def test_what_is_no_number_is_a_problem(value: Tree) -> None:
    _, [problem] = read({"switches": value})
    assert problem.path == "expect.switches"


def test_nothing_expected_is_nothing_missed() -> None:
    assert read(None) == ((), [])
    assert faults([], FIGURES) == []
    assert Expectation(figure="switches").fault(FIGURES) == ""
