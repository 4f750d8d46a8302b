from __future__ import annotations

import math

import pytest

from tests.benchmarks.figures import (
    Round,
    Spread,
    of_sorted,
    percentile,
    ratio,
    ratios,
    spread,
    usable,
    values,
)


def rounds(*found: float, disturbed: tuple[int, ...] = (), figure: str = "us") -> list[Round]:
    return [
        Round(number, {figure: value}, disturbed=number in disturbed)
        for number, value in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (99.9, 100), (100, 100)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_are_not_above(
    percent: float, expected: float
) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_percentiles_of_one_value_and_of_none() -> None:
    assert of_sorted([7.0], 0) == of_sorted([7.0], 99.9) == 7.0
    assert math.isnan(percentile([], 50))


def test_a_spread_is_median_least_and_most() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
    assert Spread.of([]) is None


def test_ratios_are_taken_within_a_round() -> None:
    # Twice as slow in the second round, both of them: the ratio does not notice.
    assert ratios(rounds(1, 2, 3), rounds(2, 4, 6), "us") == [0.5, 0.5, 0.5]
    assert ratio(rounds(1, 2, 9), rounds(2, 4, 6), "us") == Spread(0.5, 0.5, 1.5)


def test_rounds_that_one_of_both_lacks_are_left_out_of_ratios() -> None:
    assert ratios(rounds(1, 2, 3), rounds(2, 4), "us") == [0.5, 0.5]
    assert ratios(rounds(1), [], "us") == []
    assert ratios(rounds(1), rounds(0), "us") == []
    assert ratios(rounds(1), rounds(1, figure="other"), "us") == []


def test_disturbed_rounds_are_left_out_where_two_others_are_not() -> None:
    assert values(rounds(1, 2, 50, disturbed=(2,)), "us") == [1, 2]
    assert values(rounds(1, 2, 50, disturbed=(1, 2)), "us") == [1, 2, 50]
    assert [each.number for each in usable(rounds(5, disturbed=(0,)))] == [0]
    # Disturbed in one of the two is disturbed; if that leaves none, all have to do.
    base = rounds(2, 2, 2, 2, disturbed=(0,))
    assert ratios(rounds(1, 2, 3, 4, disturbed=(3,)), base, "us") == [1.0, 1.5]
    one, other = rounds(1, 2, 3, 4, disturbed=(0, 1)), rounds(2, 2, 2, 2, disturbed=(2, 3))
    assert ratios(one, other, "us") == [0.5, 1.0, 1.5, 2.0]


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert values(rounds(1, math.nan, 3), "us") == [1, 3]
    assert spread(rounds(math.nan), "us") is None
    assert ratios(rounds(1, math.nan), rounds(2, 2), "us") == [0.5]
