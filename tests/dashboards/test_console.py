"""The console's files, read as text: nothing from elsewhere, nothing inline, nothing set as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.routing.snapshot import State
from storage.rows import KINDS

CONSOLE = Path(__file__).parents[2] / "dashboards" / "console"
PAGE = (CONSOLE / "index.html").read_text(encoding="utf-8")
SCRIPTS = sorted(CONSOLE.glob("*.js"))
FILES = sorted(path for path in CONSOLE.iterdir() if path.is_file())


def names(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text))


def test_every_file_that_is_asked_for_is_there_and_no_other() -> None:
    asked = names(r'(?:src|href)="/console/([^"]+)"', PAGE)
    for script in SCRIPTS:
        asked |= names(r'from "\./([^"]+)"', script.read_text(encoding="utf-8"))
    assert asked | {"index.html"} == {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text)


def test_the_page_holds_no_script_style_or_handler_of_its_own() -> None:
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", PAGE)
    assert all(
        not body.strip() for body in re.findall(r"<script[^>]*>(.*?)</script>", PAGE, re.DOTALL)
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_data_is_never_set_as_markup_or_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(forbidden, text)
    assert "localStorage" not in text


def test_the_scripts_find_every_element_they_look_for() -> None:
    app = (CONSOLE / "app.js").read_text(encoding="utf-8")
    looked_for = names(r'\bat\("([\w-]+)"\)', app) | names(r'\bdraw\("([\w-]+)"', app)
    assert looked_for
    assert looked_for <= names(r'\bid="([\w-]+)"', PAGE)


def test_every_event_has_a_sentence_on_the_page() -> None:
    words = (CONSOLE / "words.js").read_text(encoding="utf-8")
    table = words.partition("const SENTENCES = {")[2].partition("\n};")[0]
    assert set(re.findall(r"^  (\w+):", table, flags=re.MULTILINE)) == set(KINDS)


def test_both_schemes_give_every_colour() -> None:
    style = (CONSOLE / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert names(r"(--[\w-]+):", light) == names(r"(--[\w-]+):", dark)
    assert names(r"var\((--[\w-]+)\)", style) <= names(r"(--[\w-]+):", light)


def test_states_have_a_mark_and_a_word_beside_the_colour() -> None:
    view = (CONSOLE / "view.js").read_text(encoding="utf-8")
    for table in ("MARKS", "STATES"):
        [known] = re.findall(rf"const {table} = \{{(.*?)\}};", view, re.DOTALL)
        assert {state.value for state in State} <= names(r"(\w+):", known)


def test_every_act_of_an_operator_is_said_in_words() -> None:
    words = (CONSOLE / "words.js").read_text(encoding="utf-8")
    table = words.partition("const ACTS = {")[2].partition("\n};")[0]
    hands = Path(__file__).parents[2] / "gateway" / "routing" / "hands.py"
    told = names(r'_told\("(\w+)"', hands.read_text(encoding="utf-8")) | {"reload"}
    assert set(re.findall(r"^  (\w+):", table, flags=re.MULTILINE)) == told
