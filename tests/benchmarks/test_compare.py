from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from tests.benchmarks.compare import Change, differences, main
from tests.benchmarks.made_up import Values, made_up
from tests.benchmarks.results import Results, from_json, to_json


def run(cpu: list[float], base: list[float], **more: list[float]) -> Results:
    values: Values = {
        "single-1k": {
            "aiohttp": {"CPU us/request": base},
            "evenkeel": {"CPU us/request": cpu, **more},
        }
    }
    return made_up(values)


def changes(old: Results, new: Results) -> dict[str, Change]:
    return {each.figure: each.change for each in differences(old, new)}


def test_a_machine_that_is_slower_for_all_is_no_regression() -> None:
    old, new = run([100, 101, 99], [200, 200, 200]), run([200, 202, 198], [400, 400, 400])
    assert changes(old, new) == {"CPU us/request": Change.NONE}


def test_more_beside_a_than_before_is_worse_and_less_is_better() -> None:
    old, new = run([100, 101, 99], [200] * 3), run([120, 121, 119], [200] * 3)
    assert changes(old, new) == {"CPU us/request": Change.WORSE}
    assert changes(new, old) == {"CPU us/request": Change.BETTER}


def test_what_the_rounds_differ_by_is_noise() -> None:
    old, new = run([100, 80, 125], [200] * 3), run([120, 121, 119], [200] * 3)
    assert changes(old, new) == {"CPU us/request": Change.NONE}


def test_a_change_of_a_few_percent_is_none_however_steady() -> None:
    assert changes(run([100] * 3, [200] * 3), run([104] * 3, [200] * 3)) == {
        "CPU us/request": Change.NONE
    }


def test_fewer_requests_are_worse_and_what_a_lacks_is_compared_as_it_is() -> None:
    old = run([100] * 2, [200] * 2, **{"requests/s": [900.0] * 2})
    new = run([100] * 2, [200] * 2, **{"requests/s": [700.0] * 2})
    assert changes(old, new) == {"CPU us/request": Change.NONE, "requests/s": Change.WORSE}
    beside = {each.figure: each.beside_a for each in differences(old, new)}
    assert beside == {"CPU us/request": True, "requests/s": False}


def test_the_measures_themselves_are_not_compared() -> None:
    assert {each.subject for each in differences(run([1], [1]), run([1], [9]))} == {"evenkeel"}


def test_the_command_ends_with_1_if_something_is_worse(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(to_json(run([100] * 3, [200] * 3)), encoding="utf-8")
    new.write_text(to_json(run([150] * 3, [200] * 3)), encoding="utf-8")
    worse = CliRunner().invoke(main, [str(old), str(new)])
    assert worse.exit_code == 1
    assert "WORSE  single-1k" in worse.output
    assert "1 figures, 1 worse" in worse.output
    better = CliRunner().invoke(main, [str(new), str(old)])
    assert better.exit_code == 0
    assert "1 figures, 0 worse" in better.output


def test_files_with_nothing_in_common_are_not_called_equal(tmp_path: Path) -> None:
    file, other = tmp_path / "one.json", tmp_path / "other.json"
    file.write_text(to_json(run([100], [200])), encoding="utf-8")
    other.write_text(to_json(made_up({"paced": {"evenkeel": {"whole": [1.0]}}})), encoding="utf-8")
    found = CliRunner().invoke(main, [str(file), str(other)])
    assert found.exit_code == 1
    assert "nothing in common" in found.output


def test_results_survive_their_file() -> None:
    old = run([100.5, 99.25], [200, 201])
    old.troubles.append("litellm: not installed")
    old.parts["scrape"] = {"evenkeel": {"longest stall ms": [9.0]}}
    old.pooled = {"single-1k": {"evenkeel": {"p99.9 us": 3.0}}}
    new = from_json(to_json(old))
    assert (new.rounds, new.parts, new.troubles) == (old.rounds, old.parts, old.troubles)
    assert new.pooled["single-1k"]["evenkeel"] == {"p99.9 us": 3.0}
