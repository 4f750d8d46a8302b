"""The documents say what is there, all of it and nothing else.

Names are compared: settings, environment, events, metrics, commands and options. A table's row
is read by its first cell, so examples in the text are free. What the words say is for a reader.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import click
import pytest

from gateway import config, events
from gateway.cli import cli
from gateway.config_levels import OF_ACCOUNTS, OF_PLACES, OF_ROUTES
from gateway.config_shape import PRESETS, preset_values
from gateway.routing.policy import POLICY, Again, Blame
from gateway.telemetry import catalogue

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

WRITTEN_OTHERWISE = {"providers.*.name": None, "routes[].returns": "routes[].return"}
"""Where the file's key is not the field's name; None: the name is the key of the mapping."""

SERIES_ENDINGS = ("_bucket", "_sum", "_count", "_created")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def ticked(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(text: str) -> list[str]:
    """The first cells of all tables, headings left out."""
    lines = text.splitlines()
    ruled = [re.fullmatch(r"[|\s:-]+", line) is not None and "-" in line for line in lines]
    return [
        re.split(r"(?<!\\)\|", line)[1]
        for number, line in enumerate(lines)
        if line.startswith("|") and not ruled[number] and not ruled[min(number + 1, len(lines) - 1)]
    ]


def row_names(text: str) -> set[str]:
    return {name for cell in rows(text) for name in ticked(cell)}


# -- settings ------------------------------------------------------------------------------------


def setting_paths(kind: type[Any], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted paths as a person writes them, and whether each is a leaf."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        path = f"{prefix}{field.name}"
        written = WRITTEN_OTHERWISE.get(path, path)
        if written is None:
            continue
        inner, mark = _inside(hints[field.name])
        if inner is None:
            yield written, True
        else:
            yield f"{written}{mark}", False
            yield from setting_paths(inner, f"{written}{mark}.")


def _inside(hint: Any) -> tuple[type[Any] | None, str]:
    """The dataclass in a field, and how the path to it goes on."""
    if get_origin(hint) in {Union, types.UnionType}:
        [hint] = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is tuple:
        return _dataclass(get_args(hint)[0]), "[]"
    if get_origin(hint) is Mapping:
        return _dataclass(get_args(hint)[1]), ".*"
    return _dataclass(hint), ""


def _dataclass(hint: Any) -> type[Any] | None:
    known = isinstance(hint, type) and is_dataclass(hint) and hint.__module__ == config.__name__
    return hint if known else None


SETTINGS = dict(setting_paths(config.Config))


def test_every_setting_is_documented() -> None:
    missing = {path for path, leaf in SETTINGS.items() if leaf}
    missing -= ticked(read("docs/configuration.md"))
    assert not missing, sorted(missing)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    sections = {field.name for field in fields(config.Config)}
    known = set(SETTINGS) | {path.removesuffix("[]").removesuffix(".*") for path in SETTINGS}
    stray = {
        name
        for name in row_names(read("docs/configuration.md"))
        if re.split(r"[.\[]", name)[0] in sections and re.fullmatch(r"[\w.*\[\]]+", name)
    }
    assert not stray - known, sorted(stray - known)


def test_settings_are_found_at_every_depth() -> None:
    some = {
        "server.port",
        "auth.clients[].key",
        "providers.*.credentials[].max_in_flight",
        "providers.*.quota_groups",
        "providers.*.simulated.weather[].every",
        "routes[].return",
        "routes[].targets[].context_tokens",
        "storage.retention.max_bytes",
    }
    assert some <= {path for path, leaf in SETTINGS.items() if leaf}
    assert "providers.*.name" not in SETTINGS


def test_every_parameter_of_stability_has_its_row() -> None:
    table = row_names(read("docs/configuration.md"))
    assert not {f"stability.{key}" for key in config.STABILITY_KEYS} - table


# -- events and failures -------------------------------------------------------------------------

KINDS: Mapping[str, type[Any]] = {kind.kind: kind for kind in get_args(events.Event)}


def test_every_event_is_documented() -> None:
    assert not set(KINDS) - ticked(read("docs/events.md"))


def test_no_event_or_field_is_documented_that_does_not_exist() -> None:
    classes: list[type[Any]] = [*KINDS.values(), events.Stamped, events.Usage]
    known = {name for kind in classes for name in kind.__struct_fields__} | set(KINDS)
    known |= {"id", "kind", "from", "to"}  # What the rows add or rename.
    closed = [each for each in vars(events).values() if isinstance(each, type)]
    known |= {item.value for each in closed if issubclass(each, StrEnum) for item in each}
    stray = {name for name in row_names(read("docs/events.md")) if name.isidentifier()} - known
    assert not stray, sorted(stray)


def test_every_failure_has_its_row_in_the_page_on_stability() -> None:
    table = row_names(read("docs/stability.md"))
    assert not {each.value for each in events.Failure} - table


AGAIN = {
    "no": Again.NO,
    "once": Again.ONCE,
    "once, if it surely was not processed": Again.IF_UNPROCESSED,
    "once, when its stated end has come, if that is worth the wait": Again.WHEN_OVER,
}
BLAME = {blame.value: blame for blame in Blame} | {"set-up": Blame.SETUP}


@pytest.mark.parametrize("failure", events.Failure)
def test_the_page_on_stability_says_what_the_policy_does(failure: events.Failure) -> None:
    [row] = re.findall(rf"^\| `{failure}` \|(.*)\|$", read("docs/stability.md"), re.MULTILINE)
    blames, again, credential, target, _ = (cell.strip() for cell in row.split("|"))
    rule = POLICY[failure]
    assert BLAME[blames] is rule.blame
    assert AGAIN[again] is rule.again
    assert (credential == "yes", target == "yes") == (rule.next_credential, rule.next_target)


def test_every_parameter_named_by_the_page_on_stability_exists() -> None:
    named = {
        name
        for name in ticked(read("docs/stability.md"))
        if re.fullmatch(r"\w+_(seconds|failures|outcomes|ratio|credentials|multiplier)", name)
    }
    clocks = {field.name for field in fields(config.Timeouts)}
    assert named
    assert not named - config.STABILITY_KEYS - clocks - {"ready_in_seconds"}


def test_the_page_on_stability_gives_the_values_of_the_presets() -> None:
    text = read("docs/stability.md").partition("## Presets")[2]
    shown = {
        name: dict(zip(PRESETS, map(float, cells.strip(" |").split("|")), strict=True))
        for name, cells in re.findall(r"^\| `(\w+)` \|(.*\d.*)\|$", text, re.MULTILINE)
    }
    values = {preset: preset_values(preset) for preset in PRESETS}
    assert shown == {
        name: {preset: float(values[preset][name]) for preset in PRESETS}
        for name in values["agentic"]
    }


def test_the_table_of_settings_gives_the_defaults_and_the_presets() -> None:
    text = read("docs/configuration.md")
    for name in sorted(config.STABILITY_KEYS - {"preset"}):
        [row] = re.findall(rf"^\| `stability\.{name}` \|(.*)\|$", text, re.MULTILINE)
        told = [cell.strip(" `") for cell in row.split("|")[:3]]
        usual = told[0]
        for preset, cell in zip(PRESETS, told, strict=True):
            value = PRESETS[preset].get(name, getattr(config.Stability(), name))
            shown = cell or usual
            assert shown == str(value) or float(shown) == float(value), (name, preset)


def test_the_page_on_stability_puts_every_parameter_on_its_level() -> None:
    text = read("docs/stability.md").partition("## What can be set where")[2]
    accounts, routes, places = (
        ticked(row) - {"rate_limited_*", "quota_exhausted_*", "auth_*"}
        for row in re.findall(r"^\| in general.*$", text, re.MULTILINE)
    )
    ladders = {key for key in OF_ACCOUNTS if key.startswith(("rate_", "quota_", "auth_"))}
    assert accounts | ladders == OF_ACCOUNTS
    assert routes == OF_ROUTES
    assert places == OF_PLACES - {"preset"}


# -- metrics -------------------------------------------------------------------------------------


def metric_names() -> set[str]:
    return {metric.name for metric in catalogue.METRICS}


def test_every_metric_is_documented() -> None:
    documented = {name.partition("{")[0] for name in row_names(read("docs/metrics.md"))}
    assert not metric_names() - documented


def all_documents() -> Sequence[Path]:
    return [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))]


@pytest.mark.parametrize("path", all_documents(), ids=lambda path: path.name)
def test_no_document_names_a_metric_that_does_not_exist(path: Path) -> None:
    known = metric_names()
    known |= {name + ending for name in known for ending in SERIES_ENDINGS}
    named = set(re.findall(r"\bevenkeel_[a-z_]*[a-z]\b", path.read_text(encoding="utf-8")))
    assert not named - known


# -- commands ------------------------------------------------------------------------------------


def commands(group: click.Command, path: str = "evenkeel") -> Iterator[tuple[str, click.Command]]:
    yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


COMMANDS = dict(commands(cli))


def command_sections() -> Mapping[str, str]:
    """docs/cli.md by command: a section's heading names its command in backticks."""
    parts = re.split(r"^#+ .*?`(evenkeel[^`]*)`.*$", read("docs/cli.md"), flags=re.MULTILINE)
    sections: dict[str, str] = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        words = [word for word in heading.split() if re.fullmatch(r"[a-z-]+", word)]
        sections[" ".join(words)] = text
    return sections


def test_every_command_has_its_section_and_no_section_is_without_one() -> None:
    named = {path for path, command in COMMANDS.items() if not isinstance(command, click.Group)}
    assert set(command_sections()) - {"evenkeel"} == named


def test_every_option_is_documented_under_its_command() -> None:
    sections = command_sections()
    everywhere = re.split(r"^#+ .*?`evenkeel", read("docs/cli.md"), flags=re.MULTILINE)[0]
    missing = {
        f"{path} {option}"
        for path, command in COMMANDS.items()
        for option in options(command)
        if option not in sections.get(path, "") + everywhere
    }
    assert not missing - {"evenkeel --help"}, sorted(missing)


def test_no_option_is_documented_that_no_command_has() -> None:
    known = {option for command in COMMANDS.values() for option in options(command)} | {"--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", read("docs/cli.md")))
    assert not named - known, sorted(named - known)


@pytest.mark.parametrize("path", all_documents(), ids=lambda path: path.name)
def test_no_document_calls_a_command_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    called = set(re.findall(r"(?:`|\$ |\$ \.venv/bin/)evenkeel ([a-z][a-z-]*)\b(?![./])", text))
    assert not called - {name.split()[1] for name in COMMANDS if " " in name}


# -- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", all_documents(), ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def test_the_targets_of_the_makefile_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    text = "\n".join(path.read_text(encoding="utf-8") for path in all_documents())
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)\b", text))
    assert {"run", "test"} <= named
    assert not named - targets


# -- the comparisons can fail --------------------------------------------------------------------


def test_rows_are_first_cells_without_headings() -> None:
    table = "| name | x |\n| --- | --- |\n| `a`, `b` | `c` |\n| d | e |\ntext `f`\n"
    assert rows(table) == [" `a`, `b` ", " d "]
    assert row_names(table) == {"a", "b"}
    assert row_names("| | |\n|---|:--|\n| `x\\|y` | |") == {"x\\|y"}
