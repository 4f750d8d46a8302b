"""Tree to types: unknown keys, wrong kinds of value, presets, and the way back."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import STABILITY_KEYS, Config, Dialect, ReturnPolicy, RouteTarget, Stability
from gateway.config_shape import PRESETS, leaves, nearest, plain, preset_values, shape, typed
from gateway.config_yaml import Problem, Tree
from gateway.units import Secret

MINIMAL: dict[str, Tree] = {"providers": {"a": {"dialect": "simulated"}}}


def problems(tree: Tree) -> list[Problem]:
    raw, found = shape(tree)
    return found + typed(raw)[1]


def config(tree: Tree) -> Config:
    raw, found = shape(tree)
    made, more = typed(raw)
    assert found + more == []
    return made


def test_text_becomes_what_its_field_asks_for() -> None:
    made = config(
        {
            "server": {"port": "80", "drain_seconds": "1.5"},
            "telemetry": {"prometheus": "off"},
            "auth": {"admin_key": "12345"},
            "providers": {"p": {"dialect": "openai", "max_in_flight": "3"}},
            "routes": [{"name": "1", "targets": ["p/4.1"], "return": "manual"}],
        }
    )
    assert (made.server.port, made.server.drain_seconds) == (80, 1.5)
    assert made.telemetry.prometheus is False
    assert made.auth.admin_key == Secret("12345")
    assert made.providers["p"].name == "p"
    assert made.providers["p"].dialect is Dialect.OPENAI
    assert made.providers["p"].max_in_flight == 3
    assert made.routes[0].targets == (RouteTarget(target="p/4.1"),)
    assert made.routes[0].returns is ReturnPolicy.MANUAL


def test_an_empty_tree_is_all_defaults() -> None:
    assert config(None) == Config()
    assert config({"server": None, "routes": None, "auth": {"clients": None}}) == Config()


def test_overrides_of_stability_are_typed_and_stay_overrides() -> None:
    made = config({"providers": {"a": {"dialect": "openai", "stability": {"max_attempts": "2"}}}})
    assert made.providers["a"].stability == {"max_attempts": 2}


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"server": {"prot": "1"}}, "server.prot: unknown key; did you mean 'port'?"),
        ({"port": "1"}, "port: unknown key; did you mean 'server.port'?"),
        (
            {"providers": {"openai": {"dialect": "openai", "cooldwn": "1"}}},
            "providers.openai.cooldwn: unknown key; did you mean 'stability.cooldown_min_seconds'?",
        ),
        (
            {"providers": {"a": {"dialect": "openai", "name": "a"}}},
            "providers.a.name: unknown key",
        ),
        (
            {"routes": [{"name": "r", "targets": [], "returns": "auto"}]},
            "routes[0].returns: unknown key; did you mean 'return'?",
        ),
        (
            {"stability": {"cooldown_min_second": "1"}},
            "stability.cooldown_min_second: unknown key; did you mean 'cooldown_min_seconds'?",
        ),
        (
            {"providers": {"a": {"dialect": "openai", "stability": {"maxattempts": "1"}}}},
            "providers.a.stability.maxattempts: unknown key; did you mean 'max_attempts'?",
        ),
        ({"zzz": None}, "zzz: unknown key"),
        ({"server": {"port": "many"}}, "server.port: must be a whole number"),
        ({"server": {"port": "true"}}, "server.port: must be a whole number"),
        ({"server": {"drain_seconds": "soon"}}, "server.drain_seconds: must be a number"),
        ({"server": ["x"]}, "server: must be a mapping of keys to values"),
        ({"routes": {"a": "b"}}, "routes: must be a list"),
        ({"providers": ["a"]}, "providers: must be a mapping of names to values"),
        ({"telemetry": {"prometheus": "maybe"}}, "telemetry.prometheus: must be true or false"),
        ({"telemetry": {"log_format": "xml"}}, "telemetry.log_format: must be 'console' or 'json'"),
        (
            {"stability": {"damping": "on"}},
            "stability.damping: must be 'enforce', 'observe' or 'off'",
        ),
        ({"providers": {"a": None}}, "providers.a.dialect: required"),
        ({"auth": {"clients": [{"key": "k"}]}}, "auth.clients[0].name: required"),
        ({"auth": {"clients": [{"name": "k"}]}}, "auth.clients[0].key: required"),
        ({"routes": [{"name": "r"}]}, "routes[0].targets: required"),
        (
            {"routes": [{"name": "r", "targets": [], "return": "x"}]},
            "routes[0].return: must be 'auto', 'session_end' or 'manual'",
        ),
        (
            {"providers": {"a": {"dialect": "openai", "stability": {"max_attempts": "x"}}}},
            "providers.a.stability.max_attempts: must be a whole number",
        ),
        (["x"], ": must be a mapping of keys to values"),
    ],
)
def test_a_mistake_is_told_with_its_path(tree: Tree, line: str) -> None:
    assert [f"{each.path}: {each.text}" for each in problems(tree)] == [line]


def test_every_mistake_is_told_at_once() -> None:
    tree: Tree = {
        "server": {"port": "x", "hots": "y"},
        "routes": [{"name": "r", "targets": [{"target": "a/b", "context_tokens": "x"}]}],
        "providers": {"a": {"dialect": "x", "billing": "x", "errors": [{"failure": "x"}]}},
        "auth": {"clients": ["x"]},
    }
    assert {each.path for each in problems(tree)} == {
        "server.port",
        "server.hots",
        "routes[0].targets[0].context_tokens",
        "providers.a.dialect",
        "providers.a.billing",
        "providers.a.errors[0].failure",
        "auth.clients[0]",
        "auth.clients[0].name",
        "auth.clients[0].key",
    }


@given(st.sets(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), min_size=1, max_size=6))
def test_any_unknown_keys_are_all_reported(names: set[str]) -> None:
    names -= {each.name for each in fields(Config)}
    found = problems({**MINIMAL, **dict.fromkeys(names, "x")})
    assert {each.path for each in found} == names


TREES: st.SearchStrategy[Tree] = st.recursive(
    st.none() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "key", "credentials", "stability", "routes", "targets", "port"]
            )
            | st.text(max_size=8),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([each.name for each in fields(Config)]), TREES))
def test_any_tree_becomes_a_configuration_and_problems(tree: dict[str, Tree]) -> None:
    raw, _ = shape(tree)
    made, _ = typed(raw)
    assert isinstance(made, Config)


def test_a_wrong_value_in_the_place_of_a_secret_is_not_quoted() -> None:
    wrongs: list[Tree] = [["hunter2"], {"_value": "hunter2"}]
    for wrong in wrongs:
        found = problems({**MINIMAL, "auth": {"admin_key": wrong}})
        assert found == [Problem("auth.admin_key", "must be a single value")]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_parameters_of_stability_with_their_types(name: str) -> None:
    defaults = Stability()
    for key, value in PRESETS[name].items():
        assert type(value) is type(getattr(defaults, key))
        assert value != getattr(defaults, key)


def test_a_preset_taken_whole_also_takes_back_what_others_change() -> None:
    whole = preset_values("agentic")
    assert Stability().with_overrides(PRESETS["batch"], whole) == Stability()
    assert preset_values("batch")["deadline_seconds"] == 600.0
    assert set(whole) <= STABILITY_KEYS


def test_leaves_have_paths_as_a_person_writes_them() -> None:
    tree = {"a": {"b": ["x", "y"], "c": [{"d": "z"}], "e": {}}}
    assert list(leaves(tree)) == [("a.b", ["x", "y"]), ("a.c[0].d", "z"), ("a.e", {})]


def test_a_configuration_is_shown_in_the_shape_of_the_file() -> None:
    tree: Tree = {
        "providers": {"a": {"dialect": "openai", "credentials": [{"name": "c", "key": "k"}]}},
        "routes": [{"name": "r", "targets": ["a/m"], "return": "manual"}],
    }
    made = config(tree)
    shown = plain(made)
    assert isinstance(shown, dict)
    assert shown["providers"]["a"]["credentials"][0]["key"] == "***"
    assert shown["auth"]["admin_key"] == ""
    assert "name" not in shown["providers"]["a"]
    assert shown["routes"][0]["return"] == "manual"


@pytest.mark.parametrize(
    ("name", "known", "guess"),
    [
        ("opnai", ["openai", "groq"], "openai"),
        ("colour", ["dialect"], None),
        (
            "idle_secs",
            ["timeouts.idle_seconds", "timeouts.connect_seconds"],
            "timeouts.idle_seconds",
        ),
    ],
)
def test_the_nearest_name_is_suggested(name: str, known: list[str], guess: str | None) -> None:
    assert nearest(name, known) == guess
