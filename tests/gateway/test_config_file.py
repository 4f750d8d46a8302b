"""Finding, loading and showing the configuration; every problem at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config import STABILITY_KEYS
from gateway.config_file import (
    ConfigError,
    Loaded,
    effective,
    find,
    load,
    masked,
    parse,
)
from gateway.units import Secret

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "evenkeel.example.yaml"
EXAMPLE_ENVIRONMENT = {
    "EVENKEEL_CLIENT_KEY": "client-key",
    "EVENKEEL_ADMIN_KEY": "admin-key",
    "OPENAI_API_KEY": "openai-key",
    "OPENAI_API_KEY_2": "openai-key-2",
    "ANTHROPIC_API_KEY": "anthropic-key",
}
SIMPLE = "providers: {sim: {dialect: simulated}}\n"


def loaded(text: str, tmp_path: Path, **environ: str) -> Loaded:
    path = tmp_path / "evenkeel.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ, cwd=Path("/nowhere"))


def problems(text: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, environ=environ or {})
    return caught.value.problems


# -- finding -------------------------------------------------------------------------------------


def test_the_command_line_wins_over_the_variable_and_that_over_the_folder(tmp_path: Path) -> None:
    for name in ("given.yaml", "named.yaml", "evenkeel.yaml"):
        (tmp_path / name).write_text("")
    environ = {"EVENKEEL_CONFIG": "named.yaml"}
    given = Path("given.yaml")
    assert find(given, environ=environ, cwd=tmp_path) == tmp_path / "given.yaml"
    assert find(None, environ=environ, cwd=tmp_path) == tmp_path / "named.yaml"
    assert find(None, environ={"EVENKEEL_CONFIG": ""}, cwd=tmp_path) == tmp_path / "evenkeel.yaml"


def test_without_any_file_there_is_none(tmp_path: Path) -> None:
    assert find(None, environ={}, cwd=tmp_path) is None


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--config: no file 'x\.yaml'$"):
        find(Path("x.yaml"), environ={}, cwd=tmp_path)
    with pytest.raises(ConfigError, match=r"^EVENKEEL_CONFIG: no file 'y\.yaml'$"):
        find(None, environ={"EVENKEEL_CONFIG": "y.yaml"}, cwd=tmp_path)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, environ={}, cwd=tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 3"):
        load(tmp_path / "latin.yaml", environ={}, cwd=tmp_path)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert loaded("\ufeff" + SIMPLE, tmp_path).config.providers["sim"].name == "sim"


# -- loading -------------------------------------------------------------------------------------


def test_a_relative_database_belongs_beside_the_file(tmp_path: Path) -> None:
    assert loaded(SIMPLE, tmp_path).folder == tmp_path
    alone = load(None, environ={"OPENAI_API_KEY": "k"}, cwd=tmp_path)
    assert (alone.folder, alone.path) == (tmp_path, None)


def test_the_command_line_wins_over_everything(tmp_path: Path) -> None:
    path = tmp_path / "evenkeel.yaml"
    path.write_text(SIMPLE + "server: {port: 1, host: 127.0.0.2}")
    overrides = {"server.port": "9000"}
    found = load(path, environ={}, cwd=tmp_path, overrides=overrides)
    assert (found.config.server.port, found.config.server.host) == (9000, "127.0.0.2")
    assert found.sources["server.port"] == "command line"


def test_a_public_host_of_the_command_line_is_refused_as_well(tmp_path: Path) -> None:
    overrides = {"server.host": "192.168.1.5", "server.port": "x"}
    with pytest.raises(ConfigError) as caught:
        load(None, environ={"OPENAI_API_KEY": "k"}, cwd=tmp_path, overrides=overrides)
    assert [each.partition(":")[0] for each in caught.value.problems] == [
        "server.port",
        "server.host",
    ]


def test_a_preset_lies_under_what_is_written() -> None:
    text = SIMPLE + "stability: {preset: interactive, deadline_seconds: 45}"
    stability = parse(text, environ={}).stability
    assert (stability.deadline_seconds, stability.cooldown_min_seconds) == (45.0, 120.0)
    assert stability.breaker_failures == 3


def test_a_provider_and_a_route_may_have_their_own_preset() -> None:
    text = """
stability: {preset: batch}
providers:
  sim: {dialect: simulated, stability: {preset: interactive, max_attempts: 9}}
routes:
  - {name: r, targets: [sim/a], stability: {preset: agentic}}
"""
    config = parse(text, environ={})
    assert config.stability.deadline_seconds == 600.0
    assert config.provider_stability("sim").deadline_seconds == 90.0
    assert config.provider_stability("sim").max_attempts == 9
    assert config.provider_stability("sim").queue_waiters == 64
    assert config.route_stability(config.routes[0]).deadline_seconds == 90.0


def test_every_problem_is_told_at_once_and_only_once() -> None:
    text = """
server: {port: [1], host: 0.0.0.0}
providers:
  openai: {cooldwn: 1, stability: {reuse_at: 9000}}
  broken: {dialect: telepathy}
routes:
  - {name: coder, targets: [opnai/gpt, broken/x], return: atuo}
  - {targets: plain}
stability: {auth_base_seconds: soon}
cost: ${NONE}
"""
    found = problems(text, {"ROTATION_MODE_OPENAI": "random"})
    assert {line.partition(": ")[0] for line in found} == {
        "server.port",
        "server.host",
        "providers.openai.cooldwn",
        "providers.openai.stability.reuse_at",
        "providers.broken.dialect",
        "providers.broken.base_url",
        "routes[0].targets[0].target",
        "routes[0].return",
        "routes[1].name",
        "routes[1].targets",
        "stability.auth_base_seconds",
        "cost",
        "ROTATION_MODE_OPENAI",
    }
    assert len(found) == 14  # `cost` is unknown, and its variable is not set.
    assert str(ConfigError(found)) == "\n".join(found)


def test_a_file_that_is_no_yaml_has_this_one_problem() -> None:
    [line] = problems("providers: [")
    assert line.startswith("evenkeel.yaml: not YAML: line 1, column 13: ")
    assert problems("- a") == ("evenkeel.yaml: must be a mapping of keys to values",)


@pytest.mark.parametrize(
    ("text", "environ", "line"),
    [
        ("server: {port: '${PORT}'}", {"PORT": "many"}, "server.port: must be a whole number"),
        (
            "server: {port: '${PORT}'}",
            {},
            "server.port: the variable PORT is not set; `${PORT:-…}` has a default",
        ),
        (
            "server: {port: 1, port: 2}",
            {},
            "server.port: line 2: the key stands here a second time",
        ),
    ],
)
def test_problems_of_the_text_have_their_paths(
    text: str, environ: Mapping[str, str], line: str
) -> None:
    assert problems(SIMPLE + text, environ) == (line,)


def test_a_whole_value_from_a_variable_fits_a_typed_field() -> None:
    text = SIMPLE + "server: {port: '${PORT}'}\ntelemetry: {prometheus: '${ON:-false}'}"
    config = parse(text, environ={"PORT": "9000"})
    assert config.server.port == 9000
    assert config.telemetry.prometheus is False


def test_simulated_credentials_need_no_keys() -> None:
    text = "providers: {s: {dialect: simulated, credentials: [{name: a}, {name: b}]}}"
    provider = parse(text, environ={}).providers["s"]
    assert [(each.name, bool(each.key)) for each in provider.credentials] == [
        ("a", False),
        ("b", False),
    ]


def test_a_version_path_of_the_anthropic_dialect_is_left_out_with_a_warning(tmp_path: Path) -> None:
    text = "providers: {a: {dialect: anthropic, base_url: 'http://127.0.0.1:1/v1/'}}"
    found = loaded(text, tmp_path)
    assert found.config.providers["a"].base_url == "http://127.0.0.1:1"
    assert found.warnings == (
        "providers.a.base_url: /v1 at its end is left out: the dialect adds it",
    )


def field_paths(value: Any, path: str = "") -> set[str]:
    """Paths of every field that a configuration's dataclasses have, as the file writes them."""
    found = set()
    for each in fields(value):
        inner = getattr(value, each.name)
        name = {"returns": "return"}.get(each.name, each.name)
        found.add(f"{path}{name}")
        items = [*inner.values()] if isinstance(inner, Mapping) else [inner]
        items = [*inner] if isinstance(inner, tuple) else items
        for item in items:
            if is_dataclass(item) and not isinstance(item, Secret):
                found |= field_paths(item, f"{path}{name}.")
    return found - {"providers.name"}


FULL = """
server: {host: 127.0.0.1, port: 1, workers: 1, max_body_bytes: 2, drain_seconds: 3,
  keep_alive_seconds: 4, http_server: own}
auth:
  clients: [{name: c, key: ck, routes: [x], requests_per_minute: 4}]
  admin_key: ak
providers:
  full:
    dialect: simulated
    base_url: http://127.0.0.1:9/v1
    credentials:
      - {name: d, key: dk, priority: 5, max_in_flight: 6, cache_domain: e, oauth: {client_id: '',
          client_secret: '', refresh_token: '', token_file: '', token_url: '', project: ''}}
    rotation: balanced
    rotation_tolerance: 7
    max_in_flight: 8
    models: {allow: [f], ignore: [g], list: [h]}
    quota_groups: {i: [j]}
    billing: flat
    internal: true
    http_client: aiohttp
    responses: native
    timeouts: {connect_seconds: 9, headers_seconds: 10, first_content_seconds: 11, idle_seconds: 12}
    prices: {"f": {input_per_million: 1, output_per_million: 2, cached_per_million: 0.1, cache_write_per_million: 3}}
    vendor: groq
    litellm: {api_version: '', organization: '', aws_region_name: '', aws_access_key_id: '', aws_secret_access_key: '',
      aws_session_token: '', aws_role_name: '', aws_profile_name: '', aws_bedrock_runtime_endpoint: '',
      vertex_project: '', vertex_location: '', vertex_credentials: '', drop_params: true}
    errors:
      - {failure: rate_limited, status: 401, code: c, header: h, body: k, scope: credential, rest_seconds: 3}
    simulated:
      seed: 13
      first_token_seconds: 14
      tokens_per_second: 15
      answer_tokens: 16
      requests_per_minute: 17
      dead_credentials: [d]
      weather:
        - for_seconds: 18
          failure: overloaded
          probability: 0.19
          every: 20
          retry_after_seconds: 21
          first_token_seconds: 22
          tokens_per_second: 23
    stability: {max_attempts: 3}
routes:
  - name: l
    targets: [{target: full/f, context_tokens: 24, first_content_seconds: 25, drop: [thinking]}]
    return: manual
    allow_metered_fallback: false
    fallback_on_context_too_long: true
    prefer_same_family: true
    stability: {max_attempts: 5}
fallback: {compatible: {}, model_names: {full/a: full/b}, groups: [[full/c, full/d]]}
storage: {url: sqlite:///m.db, durability: batched,
  retention: {attempts_days: 25, switches_days: 26, rollups_days: 27,
    max_bytes: 27000000}}
shared_state: {url: ''}
telemetry: {prometheus: false, otlp_endpoint: 'http://127.0.0.1:4318', trace_sample_ratio: 0.28,
  trace_slow_seconds: 29, genai_conventions: development, capture_content: false, log_format: json}
"""


def test_every_field_can_be_written_in_the_file(tmp_path: Path) -> None:
    found = loaded(FULL, tmp_path)
    written = {
        re.sub(r"\[\d+\]|(?<=providers)\.full|(?<=prices)\.f", "", path)
        for path, source in found.sources.items()
        if source.startswith("file") and "stability" not in path
    }
    existing = {path for path in field_paths(found.config) if "stability" not in path}
    leaves = {path for path in existing if not any(p.startswith(f"{path}.") for p in existing)}
    grouped = {"providers.quota_groups.i", "fallback.model_names.full/a"}
    same = {"fallback.compatible", "providers.quota_groups", "fallback.model_names"}
    assert leaves - same == written - grouped
    assert set(masked(found.config)["stability"]) == STABILITY_KEYS


# -- showing -------------------------------------------------------------------------------------


def test_sources_tell_where_each_value_came_from(tmp_path: Path) -> None:
    text = """
providers: {openai: {stability: {max_attempts: 2}}, xai: {}}
routes: [{name: r, targets: [openai/a], stability: {preset: interactive}}]
server: {port: "${PORT}"}
stability: {preset: batch}
"""
    environ = {"PORT": "9", "OPENAI_API_KEY": "k", "XAI_API_KEY": "k"} | {
        "FALLBACK_COOLDOWN_MULTIPLIER": "2",
        "FALLBACK_COOLDOWN_MULTIPLIER_XAI": "3",
    }
    sources = loaded(text, tmp_path, **environ).sources
    expected = {
        "server.host": "default",
        "server.port": "file evenkeel.yaml (${PORT})",
        "providers.openai.base_url": "default",
        "providers.openai.credentials[0].key": "env OPENAI_API_KEY",
        "providers.openai.credentials[0].priority": "default",
        "providers.openai.stability.max_attempts": "file evenkeel.yaml",
        "providers.openai.stability.cooldown_multiplier": "env FALLBACK_COOLDOWN_MULTIPLIER",
        "providers.openai.stability.deadline_seconds": "preset batch",
        "providers.xai.stability.cooldown_multiplier": "env FALLBACK_COOLDOWN_MULTIPLIER_XAI",
        "routes[0].targets[0].target": "file evenkeel.yaml",
        "routes[0].return": "default",
        "routes[0].stability.deadline_seconds": "preset interactive",
        "stability.preset": "file evenkeel.yaml",
        "stability.deadline_seconds": "preset batch",
        "stability.cooldown_multiplier": "env FALLBACK_COOLDOWN_MULTIPLIER",
        "stability.breaker_failures": "default",
    }
    assert {path: sources[path] for path in expected} == expected


def test_the_effective_values_are_all_there_with_their_sources(tmp_path: Path) -> None:
    found = loaded(FULL, tmp_path)
    rows = {path: (value, source) for path, value, source in effective(found)}
    assert len(rows) == len(effective(found))
    assert set(rows) == set(found.sources)
    assert rows["server.port"] == ("1", "file evenkeel.yaml")
    assert rows["auth.admin_key"] == ("***", "file evenkeel.yaml")
    assert rows["providers.full.models.allow"] == ('["f"]', "file evenkeel.yaml")
    assert rows["providers.full.stability.max_attempts"] == ("3", "file evenkeel.yaml")
    assert rows["stability.damping"] == ("enforce", "default")


def test_what_governs_a_provider_shows_the_inherited_value_and_its_source(tmp_path: Path) -> None:
    environ = {"FALLBACK_COOLDOWN_MULTIPLIER": "2.5"}
    rows = effective(loaded(SIMPLE, tmp_path, **environ))
    row = ("providers.sim.stability.cooldown_multiplier", "2.5", "env FALLBACK_COOLDOWN_MULTIPLIER")
    assert row in rows


def test_the_version_follows_the_effective_values_and_not_the_keys(tmp_path: Path) -> None:
    text = SIMPLE + "auth: {admin_key: '${K}'}\n"
    version = loaded(text, tmp_path, K="one").version
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert loaded(f"# other words\n{text}", tmp_path, K="two").version == version
    assert loaded(text + "server: {port: 8080}", tmp_path, K="one").version == version
    assert loaded(text + "server: {port: 8081}", tmp_path, K="one").version != version
    assert loaded(SIMPLE, tmp_path).version != version


def test_the_masked_configuration_is_json_and_may_be_loaded_again() -> None:
    config = parse(FULL, environ={})
    again = json.loads(json.dumps(masked(config)))
    assert masked(parse(json.dumps(again), environ={})) == again


def test_the_example_loads_without_a_warning() -> None:
    found = load(EXAMPLE, environ=EXAMPLE_ENVIRONMENT, cwd=ROOT)
    assert found.warnings == ()
    assert [each.name for each in found.config.routes] == ["coder", "small"]
    assert found.config.auth.clients[0].requests_per_minute == 600


def test_the_example_of_an_environment_names_what_the_example_file_asks_for() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(EXAMPLE_ENVIRONMENT) <= set(re.findall(r"^([A-Z_0-9]+)=", text, re.MULTILINE))
