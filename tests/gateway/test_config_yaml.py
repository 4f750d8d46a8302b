"""Text to tree: what is read, what is put in, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config_yaml import FILE_BYTES_MAX, TOO_MUCH, Problem, Tree, read


def tree(text: str, **environ: str) -> Tree:
    reading = read(text, environ)
    assert reading.problems == []
    return reading.tree


def problems(text: str, **environ: str) -> list[Problem]:
    return read(text, environ).problems


def test_scalars_stay_the_text_that_was_written() -> None:
    text = "{a: off, b: 4.10, c: 010, d: 2026-01-01, e: 12:30, f: 'null', g: !!str 5}"
    assert tree(text) == {
        "a": "off",
        "b": "4.10",
        "c": "010",
        "d": "2026-01-01",
        "e": "12:30",
        "f": "null",
        "g": "5",
    }


@pytest.mark.parametrize("empty", ["", "~", "null"])
def test_a_key_without_a_value_has_none(empty: str) -> None:
    assert tree(f"a: {empty}") == {"a": None}


def test_an_empty_file_is_no_tree() -> None:
    assert tree("") is None
    assert tree("# nothing\n") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}-${B}y", "xone-two: {z}y"),
        ("${NONE:-three}", "three"),
        ("${EMPTY:-three}", "three"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("$A and $$", "$A and $$"),
    ],
)
def test_variables_are_put_into_values(text: str, value: str) -> None:
    found = tree(f"a: ['{text}']", A="one", B="two: {z}", EMPTY="")
    assert found == {"a": [value]}


def test_what_a_variable_holds_is_not_read_again() -> None:
    assert tree("a: ${A}", A="${B}") == {"a": "${B}"}


def test_the_reading_tells_which_variables_a_value_was_made_of() -> None:
    reading = read("a: [{b: '${A}${B:-x}'}]", {"A": "1"})
    assert reading.variables == {"a[0].b": ["A", "B"]}


@given(st.text())
def test_no_value_of_a_variable_can_become_structure(value: str) -> None:
    assert tree("a: ${A}\nb: '${A}'", A=value) == {"a": value, "b": value}


def test_a_variable_that_is_not_set_is_a_problem_at_its_place() -> None:
    [problem] = problems("a: [x, 'y${NONE}']")
    assert problem.path == "a[1]"
    assert "variable NONE is not set" in problem.text


@pytest.mark.parametrize("text", ["${", "${1A}", "${A", "${A-b}", "${}"])
def test_a_malformed_variable_is_a_problem(text: str) -> None:
    assert "`$${`" in problems(f"a: '{text}'", A="x")[0].text


def test_a_key_that_stands_twice_is_a_problem_with_its_line() -> None:
    found = problems("a:\n  b: 1\n  c: 2\n  b: 3\na: 4")
    expected = "the key stands here a second time"
    assert found == [
        Problem("a.b", f"line 4: {expected}"),
        Problem("a", f"line 5: {expected}"),
    ]


def test_a_syntax_error_tells_line_and_column() -> None:
    [problem] = problems("a: 1\nb: [2,\n")
    assert problem.path == ""
    assert problem.text.startswith("not YAML: line 3, column 1: ")


@pytest.mark.parametrize(
    "text", ["a: *hunter2-alias", "a: !hunter2-tag x", "a: {hunter2-key: ", "%hunter2-percent"]
)
def test_a_syntax_error_does_not_quote_the_file(text: str) -> None:
    found = problems(text)
    assert found
    assert "hunter2" not in str([problem.text for problem in found])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x [1, *x]", "a[1]"),
        ("a: !!binary aGk=", "a"),
        ("a: !!python/object/apply:os.system [x]", "a"),
        ("a: {b: !!set {x}}", "a.b"),
        ("a: {<<: {b: 1}}", "a"),
        ("a: {[1]: 2}", "a"),
    ],
)
def test_what_is_not_plain_is_a_problem_at_its_place(text: str, path: str) -> None:
    assert [problem.path for problem in problems(text)] == [path]


def test_aliases_are_read() -> None:
    assert tree("a: &x {k: 1}\nb: *x") == {"a": {"k": "1"}, "b": {"k": "1"}}


def test_two_documents_are_a_problem() -> None:
    assert "not YAML" in problems("a: 1\n---\nb: 2")[0].text


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text", ["[" * 2000, "[" * 60 + "]" * 60, BOMB, "x" * (FILE_BYTES_MAX + 1)]
)
def test_a_hostile_file_is_refused(text: str) -> None:
    assert problems(text) == [Problem("", TOO_MUCH)]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("{}[]:&*!|>-#\"'\n\t${}")))
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text, {})


def test_a_character_that_cannot_be_printed_is_located() -> None:
    [problem] = problems("a: 1\nb: \x07")
    assert problem.text.startswith("not YAML: line 2, column 4: ")


def test_escaped_pairs_of_json_are_joined_and_halves_refused() -> None:
    assert tree(r'{"a\ud83d\ude00": "\ud83d\ude00"}') == {"a\U0001f600": "\U0001f600"}
    assert problems(r'a: "\ud83d"') == [Problem("a", "holds half a character")]
    assert problems(r'b: {"\ud83d": 1}') == [Problem("b", "holds half a character")]
    assert problems("a: ${A}", A="\udcff") == [Problem("a", "holds half a character")]


def test_the_example_needs_no_more_than_its_variables() -> None:
    text = (Path(__file__).parents[2] / "evenkeel.example.yaml").read_text(encoding="utf-8")
    names = {problem.text.split()[2] for problem in problems(text)}
    assert names == {"EVENKEEL_CLIENT_KEY", "EVENKEEL_ADMIN_KEY"} | {
        "OPENAI_API_KEY",
        "OPENAI_API_KEY_2",
    }
