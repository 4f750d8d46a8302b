"""Variables by the names of the older project: what they become and when they are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Billing, Config, Credential, Dialect, Rotation
from gateway.config_environment import KNOWN_BASE_URLS, has_providers
from gateway.config_file import ConfigError, Loaded, load, parse
from gateway.units import Secret

FILE = """
providers:
  openai: {}
  gemini_cli: {dialect: openai, base_url: http://127.0.0.1:1/v1}
  gemini: {dialect: openai, base_url: http://127.0.0.1:2/v1}
"""
KEYS = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2"}


def alone(**environ: str) -> Loaded:
    return load(None, environ=environ, cwd=Path())


def beside(text: str, **environ: str) -> Config:
    return parse(text, environ=environ)


def problems(text: str | None, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        alone(**environ) if text is None else beside(text, **environ)
    return caught.value.problems


# -- providers -----------------------------------------------------------------------------------


def test_keys_alone_make_providers() -> None:
    loaded = alone(**KEYS)
    assert {name: each.dialect for name, each in loaded.config.providers.items()} == {
        "anthropic": Dialect.ANTHROPIC,
        "openai": Dialect.OPENAI,
    }
    assert loaded.config.providers["openai"].base_url == "https://api.openai.com/v1"
    assert loaded.config.providers["anthropic"].base_url == "https://api.anthropic.com"
    assert loaded.config.providers["openai"].billing is Billing.METERED
    assert loaded.path is None


def test_numbered_keys_are_credentials_in_their_order() -> None:
    keys = {"OPENAI_API_KEY_10": "c", "OPENAI_API_KEY_2": "b", "OPENAI_API_KEY": "a"}
    assert alone(**keys).config.providers["openai"].credentials == (
        Credential(name="key", key=Secret("a")),
        Credential(name="key_2", key=Secret("b")),
        Credential(name="key_10", key=Secret("c")),
    )


def test_a_key_that_comes_twice_is_taken_once() -> None:
    loaded = alone(OPENAI_API_KEY="a", OPENAI_API_KEY_1="a")
    assert len(loaded.config.providers["openai"].credentials) == 1
    assert loaded.warnings == ("OPENAI_API_KEY_1: the same key as OPENAI_API_KEY; ignored",)


def test_a_base_makes_any_name_a_provider() -> None:
    config = alone(MY_LLM_API_KEY="k", MY_LLM_API_BASE="http://127.0.0.1:9/v1/").config
    assert config.providers["my_llm"].base_url == "http://127.0.0.1:9/v1"
    assert config.providers["my_llm"].dialect is Dialect.OPENAI


def test_names_that_begin_with_anthropic_speak_its_dialect() -> None:
    loaded = alone(ANTHROPIC_EU_API_KEY="k", ANTHROPIC_EU_API_BASE="https://eu.example.com/v1")
    provider = loaded.config.providers["anthropic_eu"]
    assert provider.dialect is Dialect.ANTHROPIC
    assert provider.base_url == "https://eu.example.com"
    assert loaded.warnings == (
        "providers.anthropic_eu.base_url: /v1 at its end is left out: the dialect adds it",
    )


@pytest.mark.parametrize("name", KNOWN_BASE_URLS)
def test_every_known_provider_needs_its_key_only(name: str) -> None:
    loaded = alone(**{f"{name.upper()}_API_KEY": "k"})
    assert set(loaded.config.providers) == {name}
    assert loaded.warnings == ()


def test_unrelated_keys_are_ignored_with_a_warning() -> None:
    loaded = alone(**KEYS, WEATHER_API_KEY="hunter2")
    assert set(loaded.config.providers) == {"anthropic", "openai"}
    assert loaded.warnings == (
        "WEATHER_API_KEY: no known provider, and WEATHER_API_BASE is not set; ignored",
    )


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, False),
        ({"OPENAI_API_KEY": ""}, False),
        ({"OPENAI_API_KEY": " "}, False),
        ({"OPENAI_API_KEY": "k"}, True),
        ({"OPENAI_API_KEY_1": "k"}, True),
        ({"OPENAI_API_BASE": "http://127.0.0.1/v1"}, False),
        ({"WEATHER_API_KEY": "k"}, False),
        ({"WEATHER_API_KEY": "k", "WEATHER_API_BASE": "http://127.0.0.1"}, True),
        ({"PROXY_API_KEY": "k", "PROXY_API_BASE": "http://127.0.0.1"}, False),
        ({"EVENKEEL_CLIENT_KEY": "k", "EVENKEEL_API_KEY": "k"}, False),
        ({"openai_api_key": "k"}, False),
    ],
)
def test_only_a_key_with_a_known_address_is_a_provider(
    environ: Mapping[str, str], *, found: bool
) -> None:
    assert has_providers(environ) is found


def test_without_any_provider_nothing_starts() -> None:
    assert problems(None) == ("providers: none is configured; at least one is needed",)
    assert problems("") == ("providers: none is configured; at least one is needed",)


def test_beside_a_file_keys_make_no_providers() -> None:
    config = beside("providers: {openai: {}}", **KEYS, GROQ_API_KEY="k3")
    assert set(config.providers) == {"openai"}
    assert config.providers["openai"].credentials == (Credential(name="key", key=Secret("k1")),)


def test_a_file_without_providers_leaves_them_to_the_environment() -> None:
    config = beside("server: {port: 9000}", **KEYS)
    assert set(config.providers) == {"anthropic", "openai"}
    assert config.server.port == 9000


def test_credentials_of_the_file_are_not_added_to() -> None:
    text = "providers: {openai: {credentials: [{name: mine, key: k}]}}"
    [credential] = beside(text, **KEYS).providers["openai"].credentials
    assert credential.name == "mine"


@pytest.mark.parametrize("written", ["{}", "{credentials: []}"])
def test_a_server_without_any_key_has_one_empty_credential(written: str) -> None:
    environ = {} if written == "{}" else KEYS
    provider = beside(f"providers: {{openai: {written}}}", **environ).providers["openai"]
    assert provider.credentials == (Credential(name="default", key=Secret("")),)


def test_a_base_of_the_environment_wins_over_the_files() -> None:
    config = beside(FILE, GEMINI_CLI_API_BASE="http://127.0.0.1:3/v1")
    assert config.providers["gemini_cli"].base_url == "http://127.0.0.1:3/v1"
    assert config.providers["gemini"].base_url == "http://127.0.0.1:2/v1"


# -- precedence of the fallback cooldown ---------------------------------------------------------


def multipliers(config: Config) -> dict[str, float]:
    return {name: config.provider_stability(name).cooldown_multiplier for name in config.providers}


def test_the_general_variable_works_for_every_provider() -> None:
    names = [f"{name.upper()}_API_KEY" for name in KNOWN_BASE_URLS]
    environ = dict.fromkeys(names, "k") | {
        "FALLBACK_COOLDOWN_MULTIPLIER": "2.5",
        "FALLBACK_COOLDOWN_MIN_SECONDS": "60",
    }
    config = alone(**environ).config
    assert multipliers(config) == dict.fromkeys(config.providers, 2.5)
    assert len(config.providers) == len(KNOWN_BASE_URLS)
    assert {config.provider_stability(name).cooldown_min_seconds for name in config.providers} == {
        60.0
    }


def test_a_providers_variable_wins_over_the_general_one() -> None:
    config = beside(
        FILE,
        FALLBACK_COOLDOWN_MULTIPLIER="2",
        FALLBACK_COOLDOWN_MULTIPLIER_GEMINI_CLI="3",
        FALLBACK_COOLDOWN_MIN_SECONDS_GEMINI="10",
    )
    assert multipliers(config) == {"openai": 2.0, "gemini_cli": 3.0, "gemini": 2.0}
    assert config.provider_stability("gemini").cooldown_min_seconds == 10.0
    assert config.provider_stability("gemini_cli").cooldown_min_seconds == 300.0


GENERAL = "stability: {cooldown_multiplier: 4}\n"
ENTRY = "providers: {openai: {stability: {cooldown_multiplier: 5}}}\n"
BARE = "providers: {openai: {}}\n"
FOR_ALL = {"FALLBACK_COOLDOWN_MULTIPLIER": "6"}
FOR_ONE = {"FALLBACK_COOLDOWN_MULTIPLIER_OPENAI": "7"}


@pytest.mark.parametrize(
    ("text", "environ", "multiplier"),
    [
        (BARE, {}, 1.5),
        (BARE + GENERAL, {}, 4.0),
        (BARE + GENERAL, FOR_ALL, 6.0),
        (ENTRY + GENERAL, {}, 5.0),
        (ENTRY + GENERAL, FOR_ALL, 5.0),
        (ENTRY, FOR_ALL, 5.0),
        (ENTRY + GENERAL, FOR_ALL | FOR_ONE, 7.0),
        (BARE, FOR_ONE, 7.0),
    ],
)
def test_the_order_is_provider_variable_entry_general_variable_general_part_default(
    text: str, environ: Mapping[str, str], multiplier: float
) -> None:
    assert multipliers(beside(text, **environ)) == {"openai": multiplier}


def test_a_general_variable_wins_over_the_preset() -> None:
    text = BARE + "stability: {preset: batch}"
    config = beside(text, FALLBACK_COOLDOWN_MIN_SECONDS="7")
    assert config.provider_stability("openai").cooldown_min_seconds == 7.0


def test_a_name_that_only_resembles_a_variable_is_not_taken_for_it() -> None:
    loaded = alone(**KEYS, FALLBACK_COOLDOWN_MULTIPLIER_MIN="9", FALLBACK_COOLDOWN_MULTIPLIERS="9")
    assert multipliers(loaded.config) == {"anthropic": 1.5, "openai": 1.5}
    assert loaded.warnings == (
        "FALLBACK_COOLDOWN_MULTIPLIER_MIN: ends in no configured provider's name; ignored",
    )


def test_a_provider_may_be_named_like_a_part_of_a_variable() -> None:
    text = "providers: {min: {dialect: simulated}, min_seconds: {dialect: simulated}}"
    config = beside(
        text,
        FALLBACK_COOLDOWN_MULTIPLIER_MIN="2",
        FALLBACK_COOLDOWN_MULTIPLIER_MIN_SECONDS="3",
        FALLBACK_COOLDOWN_MIN_SECONDS="50",
    )
    assert multipliers(config) == {"min": 2.0, "min_seconds": 3.0}
    assert config.stability.cooldown_min_seconds == 50.0


# -- the other variables -------------------------------------------------------------------------


def test_variables_of_a_provider_set_its_values() -> None:
    provider = beside(
        FILE,
        WHITELIST_MODELS_GEMINI_CLI="gemini-*, , x",
        IGNORE_MODELS_GEMINI_CLI="*-preview",
        ROTATION_MODE_GEMINI_CLI="balanced",
        QUOTA_GROUPS_GEMINI_CLI_PRO="a,b",
        QUOTA_GROUPS_GEMINI_CLI_ALL_FLASH="c",
    ).providers["gemini_cli"]
    assert provider.models.allow == ("gemini-*", "x")
    assert provider.models.ignore == ("*-preview",)
    assert provider.rotation is Rotation.BALANCED
    assert provider.quota_groups == {"pro": ("a", "b"), "all_flash": ("c",)}


@pytest.mark.parametrize(("text", "limit"), [("8", 8), ("0", None), ("-1", None)])
def test_the_limit_for_each_key_holds_for_all_credentials(text: str, limit: int | None) -> None:
    written = "[{name: a, key: k1, max_in_flight: 3}, {name: b, key: k2}]"
    for credentials in ({"file": written}, {}):
        entry = f"{{credentials: {written}}}" if credentials else "{}"
        config = beside(
            f"providers: {{openai: {entry}}}",
            OPENAI_API_KEY="x",
            MAX_CONCURRENT_REQUESTS_PER_KEY_OPENAI=text,
        )
        found = config.providers["openai"].credentials
        assert {each.max_in_flight for each in found} == {limit}


def test_a_provider_with_an_odd_name_is_refused_and_breaks_nothing() -> None:
    [line] = problems("providers: {'*': {dialect: simulated}}")
    assert line.startswith("providers.*: a provider's name is made of")


def test_compatible_providers_are_pairs_in_order() -> None:
    config = beside(
        FILE,
        PROVIDER_COMPATIBILITY="gemini_cli:gemini,gemini:gemini_cli, gemini_cli:openai,",
    )
    assert config.fallback.compatible == {
        "gemini_cli": ("gemini", "openai"),
        "gemini": ("gemini_cli",),
    }


def test_pairs_of_providers_that_do_not_exist_are_left_out() -> None:
    loaded = alone(**KEYS, PROVIDER_COMPATIBILITY="gemini_cli:antigravity,openai:anthropic")
    assert loaded.config.fallback.compatible == {"openai": ("anthropic",)}
    assert loaded.warnings == (
        "PROVIDER_COMPATIBILITY: 'gemini_cli' is no configured provider; the pair is ignored",
    )


def test_fallback_groups_keep_what_can_be_used() -> None:
    groups = """[["openai/a", "anthropic/b", "nobody/c"], ["openai/a", "openai/d"],
                 ["openai/e", "openai/f"]]"""
    loaded = alone(**KEYS, MODEL_FALLBACK_GROUPS=groups)
    assert loaded.config.fallback.groups == (
        ("openai/a", "anthropic/b"),
        ("openai/e", "openai/f"),
    )
    assert loaded.warnings == (
        "MODEL_FALLBACK_GROUPS: entries of group 0 that repeat or name no configured provider "
        "are ignored",
        "MODEL_FALLBACK_GROUPS: entries of group 1 that repeat or name no configured provider "
        "are ignored",
        "MODEL_FALLBACK_GROUPS: group 1 has fewer than two usable entries; ignored",
    )


def test_the_one_key_of_the_older_project_opens_everything() -> None:
    config = alone(**KEYS, PROXY_API_KEY="open").config
    assert [(each.name, each.key) for each in config.auth.clients] == [("proxy", Secret("open"))]
    assert config.auth.admin_key == Secret("open")


def test_a_key_that_the_file_gives_to_a_client_opens_nothing_more() -> None:
    text = FILE + "auth: {clients: [{name: a, key: '${PROXY_API_KEY}', routes: [coder]}]}"
    config = beside(text, PROXY_API_KEY="open")
    assert [each.name for each in config.auth.clients] == ["a"]
    assert not config.auth.admin_key


def test_the_one_key_stands_beside_the_clients_of_the_file() -> None:
    text = FILE + "auth: {clients: [{name: a, key: k}, {name: proxy, key: old}]}"
    clients = beside(text, PROXY_API_KEY="new").auth.clients
    assert [(each.name, each.key.reveal()) for each in clients] == [("a", "k"), ("proxy", "new")]


def test_empty_variables_are_as_good_as_none() -> None:
    empty = dict.fromkeys(
        (
            "FALLBACK_COOLDOWN_MULTIPLIER",
            "ROTATION_MODE_OPENAI",
            "MODEL_FALLBACK_GROUPS",
            "PROXY_API_KEY",
            "GROQ_API_KEY",
            "OPENAI_API_BASE",
        ),
        " ",
    )
    assert alone(**KEYS, **empty) == alone(**KEYS)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FALLBACK_COOLDOWN_MULTIPLIER", "hunter2", "must be a number"),
        ("FALLBACK_COOLDOWN_MULTIPLIER_OPENAI", "x", "must be a number"),
        ("FALLBACK_COOLDOWN_MIN_SECONDS", "-1", "must be at least 0"),
        ("FALLBACK_COOLDOWN_MIN_SECONDS_OPENAI", "nan", "must be at least 0"),
        ("ROTATION_MODE_OPENAI", "random", "must be 'sequential', 'balanced' or"),
        ("MAX_CONCURRENT_REQUESTS_PER_KEY_OPENAI", "many", "must be a whole number"),
        ("MAX_CONCURRENT_REQUESTS_PER_KEY_OPENAI", "-2", "must be at least 1"),
        ("OPENAI_API_BASE", "api.openai.com", "must be an http(s) URL"),
        ("OPENAI_API_KEY", "k\u00e9y", "holds characters that cannot stand in a header"),
        ("PROVIDER_COMPATIBILITY", "openai", "must be pairs such as 'a:b,b:a'"),
        ("PROVIDER_COMPATIBILITY", "openai:openai", "must be pairs such as 'a:b,b:a'"),
        ("MODEL_FALLBACK_GROUPS", "openai/a,openai/b", "must be a JSON list of lists"),
        ("MODEL_FALLBACK_GROUPS", '{"a": 1}', "must be a JSON list of lists"),
        ("MODEL_FALLBACK_GROUPS", '["openai/a"]', "must be a JSON list of lists"),
        ("MODEL_FALLBACK_GROUPS", "[[1, 2]]", "must be a JSON list of lists"),
        ("MODEL_FALLBACK_GROUPS", "[" * 100_000, "must be a JSON list of lists"),
        ("MODEL_FALLBACK_GROUPS", '[["openai/", "openai/a"]]', "must be written provider/model"),
        ("WHITELIST_MODELS_OPENAI", "a,\udcff", "holds a character that cannot"),
        ("OPENAI_API_BASE", "http://\x00", "holds a character that cannot"),
        ("QUOTA_GROUPS_OPENAI_", "a", "must end in the name of a group"),
    ],
)
def test_a_bad_value_is_a_problem_under_the_variables_name(
    variable: str, value: str, said: str
) -> None:
    [line] = problems(None, **{**KEYS, variable: value})
    assert line.startswith(f"{variable}: {said}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "variable",
    ["WHITELIST_MODELS_OPNAI", "ROTATION_MODE_NOBODY", "QUOTA_GROUPS_NOBODY_X"],
)
def test_a_variable_of_no_provider_is_ignored_with_a_warning(variable: str) -> None:
    [warning] = alone(**{**KEYS, variable: "x"}).warnings
    assert warning.startswith(f"{variable}: ")
    assert warning.endswith("ignored")
