"""Scenarios are found and read, and every mistake in one is named at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Dialect
from gateway.config_file import ConfigError
from gateway.dry_run import reading
from gateway.dry_run.scenario import Act
from tests.gateway.dry_run.building import TEXT, script


def problems(*changes: tuple[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        script(*changes)
    return list(caught.value.problems)


def test_a_dozen_scenarios_are_shipped_each_with_words_and_expectations() -> None:
    names = reading.shipped()
    assert len(names) >= 12
    for name in names:
        found = reading.load(name, cwd=Path("nowhere"))
        assert found.scenario.name == name
        assert found.scenario.description
        assert found.expected, name


def test_a_scenario_is_traffic_a_configuration_and_what_should_come_of_it() -> None:
    found = script()
    assert found.scenario.name == "small"
    assert found.scenario.duration_seconds == 1800
    assert [each.sessions for each in found.scenario.traffic] == [3]
    assert found.config.providers["primary"].dialect is Dialect.SIMULATED
    assert [each.figure for each in found.expected] == ["failed"]


def test_ones_own_scenario_is_found_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TEXT)
    assert reading.load("mine.yaml", cwd=tmp_path).scenario.name == "mine"


@pytest.mark.parametrize("name", ["outtage", "no such thing", ".", "nowhere/at-all.yaml"])
def test_what_is_no_scenario_is_said_to_be_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        reading.load(name, cwd=tmp_path)
    [line] = caught.value.problems
    assert ("did you mean 'outage'?" in line) is (name == "outtage")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        reading.load("x.yaml", cwd=tmp_path)


def test_all_mistakes_are_named_at_once() -> None:
    found = problems(
        ("duration_seconds:", "duration_secconds:"),
        ("turn_seconds: 10", "turn_seconds: fast"),
        ("server_error", "server_eror"),
        ("expect: {failed: 0}", "expect: {faild: 0}"),
    )
    assert found == [
        "duration_secconds: unknown key; did you mean 'duration_seconds'?",
        "traffic[0].turn_seconds: must be a number",
        "expect.faild: no such figure; did you mean 'failed'?",
        *[line for line in found if line.startswith("config.providers.primary")],
    ]
    assert "config.providers.primary.simulated.weather[1].failure" in found[-1]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("duration_seconds: 1800", "duration_seconds: 0", "duration_seconds"),
        ("duration_seconds: 1800", "duration_seconds: 1e9", "duration_seconds"),
        ("sessions: 3", "sessions: -3", "traffic[0].sessions"),
        ("sessions: 3", "sessions: 0", "traffic[0]"),
        ("sessions: 3", "sessions: 3, route: codr", "traffic[0].route"),
        ("sessions: 3", "sessions: 3, cancel_share: 2", "traffic[0].cancel_share"),
        ("sessions: 3, turn_seconds: 10", "sessions: 9999, turn_seconds: 0.001", "traffic"),
        ("  - {sessions: 3, turn_seconds: 10}", "", "traffic"),
        ("  routes:", "  roots:", "config.roots"),
        ("targets: [primary/large, backup/large]", "targets: []", "config.routes[0].targets"),
        ("expect: {failed: 0}", "expect: {failed: {mim: 0}}", "expect.failed.mim"),
        ("expect: {failed: 0}", "expect: {failed: none}", "expect.failed"),
        ("expect: {failed: 0}", "expect: [failed]", "expect"),
        ("expect: {failed: 0}", "expect: {failed: {}}", "expect.failed"),
    ],
)
def test_what_cannot_be_meant_is_a_problem_at_its_place(old: str, new: str, place: str) -> None:
    assert any(line.startswith(f"{place}") for line in problems((old, new)))


def test_real_providers_have_no_place_in_a_scenario() -> None:
    simulated = """dialect: simulated
      credentials: [{name: main}]
      simulated: {answer_tokens: 2}"""
    real = """dialect: openai
      base_url: https://api.example.com/v1
      credentials: [{name: main, key: k}]"""
    found = problems((simulated, real))
    assert found == ["config.providers.backup.dialect: must be 'simulated' in a scenario"]


def test_a_file_that_is_no_yaml_has_one_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        reading.parse("description: a: b", name="broken")
    [line] = caught.value.problems
    assert line.startswith("broken: not YAML: line 1")


@pytest.mark.parametrize("text", ["", "just words", "- a list"])
def test_what_is_no_mapping_is_no_scenario(text: str) -> None:
    with pytest.raises(ConfigError):
        reading.parse(text, name="empty")


@pytest.mark.parametrize(
    ("deed", "place"),
    [
        ("act: pin", "operator[0].target"),
        ("act: pin, target: primary/lage", "operator[0].target"),
        ("act: pin, target: backup/large, route: x", "operator[0].route"),
        ("act: reset, provider: x", "operator[0].provider"),
        ("act: reset, credential: x", "operator[0].credential"),
        ("act: rst", "operator[0].act"),
        ("act: rest, target: backup/large, for_seconds: 0", "operator[0].for_seconds"),
        ("at_seconds: -1", "operator[0].at_seconds"),
    ],
)
def test_an_operators_acts_name_what_is_there(deed: str, place: str) -> None:
    found = problems(("config:\n", f"operator: [{{{deed}}}]\nconfig:\n"))
    assert [line.partition(":")[0] for line in found] == [place]


def test_an_operators_acts_are_read() -> None:
    deed = "{at_seconds: 60, act: clear-penalty, note: again}"
    [read] = script(("config:\n", f"operator: [{deed}]\nconfig:\n")).scenario.operator
    assert (read.at_seconds, read.act, read.note) == (60.0, Act.CLEAR_PENALTY, "again")


def test_text_that_looks_like_a_variable_is_read_once() -> None:
    text = TEXT.replace("{name: spare}", "{name: spare, cache_domain: '$${HOME}'}")
    found = reading.parse(text, name="small")
    assert found.config.providers["primary"].credentials[1].cache_domain == "${HOME}"
