from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.made_up import GOOD, made_up
from tests.benchmarks.tables import BEGIN, END, PAGE, number, render, write


def test_the_tables_tell_figures_ratios_and_verdicts() -> None:
    text = render(made_up(GOOD))
    assert "| aiohttp | 1,500 [1,000..2,000] | 300 [200..400] |" in text
    assert "| evenkeel | 3,800 [2,500..5,100] ×2.52 | 152 [100..204] ×0.51 |" in text
    assert "≥ 10 P: not measured" in text
    assert "| added p50 at 100 requests per second | ≤ 0.7 A: 0.50 | **holds** |" in text


def test_troubles_and_parts_are_told() -> None:
    results = made_up(GOOD)
    results.troubles.append("litellm: not installed")
    results.parts["scrape"] = {"evenkeel": {"longest stall ms": [9.0, 12.0, 10.0]}}
    text = render(results)
    assert "- litellm: not installed" in text
    assert "| evenkeel | 10.0 [9.00..12.0] |" in text


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write("new\n", page)
    write("newer\n", page)
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no markers"):
        write("new", page)
    assert page.read_text(encoding="utf-8") == "nothing"


def test_the_page_has_the_markers() -> None:
    assert PAGE.read_text(encoding="utf-8").count(BEGIN) == 1
    assert PAGE.read_text(encoding="utf-8").count(END) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12345.6, "12,346"), (-250, "-250"), (99.94, "99.9"), (1.234, "1.23"), (0.0042, "0.004")],
)
def test_numbers_have_the_digits_that_mean_something(value: float, shown: str) -> None:
    assert number(value) == shown
