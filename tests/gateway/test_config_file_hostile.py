"""Secrets in the wrong places, and values and environments of any kind: nothing leaks or breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Config
from gateway.config_file import ConfigError, effective, load, masked, parse

SIMPLE = "providers: {sim: {dialect: simulated}}\n"


def outcome(text: str, environ: Mapping[str, str]) -> Config | ConfigError:
    try:
        return parse(text, environ=environ)
    except ConfigError as error:
        return error


SECRET = "Zx9hunter2Zx9"


def test_a_database_s_password_is_shown_nowhere() -> None:
    config = parse(SIMPLE + f"storage: {{url: 'postgresql+asyncpg://u:{SECRET}@h/d'}}", environ={})
    assert SECRET not in repr(config)
    shown = masked(config)
    assert SECRET not in json.dumps(shown)
    assert shown["storage"]["url"] == "postgresql+asyncpg://u:***@h/d"


SPOTS = [
    "auth: {admin_key: S}",
    "auth: {admin_key: [S]}",
    "auth: {admin_key: {S: S}}",
    "auth: {clients: S}",
    "auth: {clients: [S]}",
    "auth: {clients: [{name: a, key: S}, {name: a, key: S}]}",
    "auth: {clients: [{name: a, kye: S}]}",
    "auth: {clients: {S: S}}",
    "providers: {openai: {credentials: [{name: a, key: S}, {name: b, key: S}]}}",
    "providers: {openai: {credentials: {main: S}}}",
    "providers: {openai: {credentials: [S]}}",
    "providers: {openai: {base_url: 'https://u:S@h/'}}",
    "providers: {openai: S}",
    "server: {port: S}",
    "server: {drain_seconds: S}",
    "telemetry: {prometheus: S}",
    "telemetry: {log_format: S}",
    "telemetry: {otlp_endpoint: 'http://u:S@h'}",
    "stability: {preset: S}",
    "storage: {url: 'postgresql://u:S@h/d'}",
    "storage: {url: 'S'}",
    "shared_state: {url: 'redis://:S@h'}",
    "auth: {admin_key: *S}",
    "auth: {admin_key: !S x}",
    "auth: {admin_key: 'S",
]


NAMES = ["S: x", "routes: [{name: r, targets: [S/x]}]"]
"""Where nothing but the variable that also holds it tells a secret from a name."""


@pytest.mark.parametrize("text", [spot.replace("S", SECRET) for spot in SPOTS + NAMES])
def test_a_known_secret_is_in_no_problem(text: str) -> None:
    found = outcome(SIMPLE + text, {"THE_KEY": SECRET})
    assert SECRET not in str(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize("text", [spot.replace("S", SECRET) for spot in SPOTS])
def test_a_secret_written_into_the_file_is_in_no_problem(text: str) -> None:
    found = outcome(SIMPLE + text, {})
    assert SECRET not in str(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize("spot", SPOTS)
def test_no_secret_of_a_variable_is_in_any_problem(spot: str) -> None:
    text = spot.replace("S", "${THE_KEY}")
    found = outcome(SIMPLE + text, {"THE_KEY": SECRET})
    assert SECRET not in str(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abcdefghij0123456789", "gsk_abcdefghijklmnop0123", "AIzaSyA0123456789abcdefgh"],
)
def test_what_looks_like_a_key_is_masked_even_as_a_name(secret: str) -> None:
    text = f"{SIMPLE}{secret}: x\nroutes: [{{name: r, targets: ['{secret}/x', '{secret}']}}]"
    found = outcome(text, {})
    assert isinstance(found, ConfigError)
    assert len(found.problems) == 3
    assert secret not in str(found)


KEYS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=40)


@given(KEYS, KEYS, KEYS)
def test_nothing_that_is_shown_holds_a_secret(client: str, admin: str, provider: str) -> None:
    text = """
auth: {clients: [{name: q, key: "${A}"}], admin_key: "${B}"}
providers: {openai: {}}
"""
    environ = {"A": client, "B": admin, "OPENAI_API_KEY": provider}
    config = parse(text, environ=environ)
    found = load(None, environ=environ | {"PROXY_API_KEY": client}, cwd=Path())
    shown = repr(config) + json.dumps(masked(config)) + repr(found) + repr(effective(found))
    plain = parse(text, environ=dict.fromkeys(environ, "-"))
    for secret in (client, admin, provider):
        # A short key may be part of an ordinary word of the configuration.
        if secret not in repr(plain) + json.dumps(masked(plain)):
            assert secret not in shown


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "key", "openai", "credentials", "targets", "target", "stability"]
            )
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from([each.name for each in fields(Config)]), VALUES))
def test_any_values_load_or_raise_a_config_error(values: dict[str, Any]) -> None:
    environ = {"OPENAI_API_KEY": "k", "MAX_CONCURRENT_REQUESTS_PER_KEY_OPENAI": "3"}
    found = outcome(json.dumps(values), environ)
    if isinstance(found, ConfigError):
        assert found.problems
        assert all(": " in line and line.isprintable() for line in found.problems)


PREFIXES = st.sampled_from(
    [
        "FALLBACK_COOLDOWN_MULTIPLIER",
        "FALLBACK_COOLDOWN_MIN_SECONDS_OPENAI",
        "PROVIDER_COMPATIBILITY",
        "MODEL_FALLBACK_GROUPS",
        "QUOTA_GROUPS_OPENAI_X",
        "ROTATION_MODE_OPENAI",
        "PROXY_API_KEY",
        "OPENAI_API_BASE",
        "OPENAI_API_KEY_3",
        "_API_KEY",
    ]
)


@given(st.dictionaries(PREFIXES | st.text(max_size=6), st.text(max_size=12)))
def test_any_environment_loads_or_raises_a_config_error(environ: dict[str, str]) -> None:
    found = outcome("", environ | {"OPENAI_API_KEY": "k"})
    assert isinstance(found, Config) or found.problems
