"""Loading the configuration: file, environment and presets become one checked `Config`.

Layers, the last wins: defaults, preset, file, environment, command line. A provider's own entry is
asked before the general part when the configuration is used, so a variable for all providers
ranks below a provider's entry in the file without any rule here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway import config_environment, config_rules, config_shape, config_yaml
from gateway.config import EMPTY, NO_SECRET, STABILITY_KEYS, Config, Dialect, Stability
from gateway.config_environment import EACH, KNOWN_BASE_URLS, KNOWN_DIALECTS, Setting, has_providers
from gateway.config_rules import KEYLESS_DIALECTS, public_bind
from gateway.config_shape import PRESETS, Raw, leaves, plain, preset_values
from gateway.config_yaml import Problem, below
from gateway.routing.redaction import MASK, redact
from gateway.units import Secret

__all__ = [
    "ConfigError",
    "Loaded",
    "effective",
    "find",
    "has_providers",
    "load",
    "masked",
    "parse",
    "public_bind",
]

FILE_NAME: Final = "evenkeel.yaml"
CONFIG_VARIABLE: Final = "EVENKEEL_CONFIG"
DEFAULT: Final = "default"
SECRET_VARIABLE: Final = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
SECRET_LENGTH_MIN: Final = 6
"""Shorter ones would be found in ordinary words; they are never quoted in the first place."""
LONG_WORD: Final = re.compile(r"[^\s'\".:\[\]]{20,}")
"""What is looked at for resembling a key: providers' keys are longer than most names."""


class ConfigError(Exception):
    """The configuration cannot be used; the operator must act. Holds no secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems: tuple[str, ...] = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A checked configuration and what there is to know about it."""

    config: Config
    version: str
    """Twelve hex digits; the same for the same effective values, secrets left out."""
    sources: Mapping[str, str]
    """Dotted path → `default`, `preset batch`, `file evenkeel.yaml`, `env OPENAI_API_KEY`, …"""
    path: Path | None
    """None where the environment alone configures."""
    folder: Path
    """What a relative SQLite path is relative to."""
    warnings: tuple[str, ...]


def find(config: Path | None, *, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to load: `config`, EVENKEEL_CONFIG, or evenkeel.yaml in `cwd`; None without any.

    Raises `ConfigError` if a file that was named does not exist.
    """
    if config is None and (named := environ.get(CONFIG_VARIABLE, "").strip()):
        config, by = Path(named), CONFIG_VARIABLE
    else:
        by = "--config"
    if config is None:
        usual = cwd / FILE_NAME
        return usual if usual.exists() else None
    path = cwd / config
    try:
        found = path.is_file()
    except OSError:  # A folder on the way that may not be looked into.
        found = False
    if not found:
        raise ConfigError([f"{by}: no file {str(config)!r}"])
    return path


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, str] = EMPTY,
) -> Loaded:
    """The configuration of a file, or of the environment alone. Raises `ConfigError`, all at once.

    `overrides` come from the command line: dotted path of two parts → text, `server.port` → `80`.
    """
    text = "" if path is None else _read(path)
    draft = _Draft(name=path.name if path else "", environ=environ)
    config = draft.config(text, overrides)
    return Loaded(
        config=config,
        version=_version(config),
        sources={row: draft.source(where) for row, _, where in _rows(config, draft.sources)},
        path=path,
        folder=path.absolute().parent if path else cwd,
        warnings=tuple(draft.warnings),
    )


def parse(text: str, *, environ: Mapping[str, str], name: str = FILE_NAME) -> Config:
    """The configuration of a file's text. Raises `ConfigError`."""
    return _Draft(name=name, environ=environ).config(text, EMPTY)


def effective(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every value as dotted path, text with secrets masked, and source.

    Providers and routes also show the stability parameters that govern them, inherited or not,
    where these come from anywhere but the defaults.
    """
    rows = _rows(loaded.config, loaded.sources)
    return [(path, value, loaded.sources[path]) for path, value, _ in rows]


def masked(config: Config) -> dict[str, Any]:
    """All values as JSON has them, in the shape of the file, secrets as `***`."""
    found = plain(config)
    assert isinstance(found, dict)
    return found


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A configuration on its way: what is laid over what, and what is wrong with it."""

    name: str
    """Of the file; empty without one."""
    environ: Mapping[str, str]
    raw: Raw = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    """By path of a value, or of what holds it; `default` is not noted."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def config(self, text: str, overrides: Mapping[str, str]) -> Config:
        self._lay_file(text)
        laid = config_environment.overlay(self.environ, self.raw)
        for setting in laid.settings:
            self._lay(setting, f"env {setting.variable}" if setting.variable else "")
        for path, value in overrides.items():
            self._lay(Setting(tuple(path.split(".")), value, ""), "command line")
        self.problems += laid.problems
        self.warnings += laid.warnings
        for name, provider in self.raw.get("providers", {}).items():
            self._complete(name, provider)
        self._lay_presets()
        config, problems = config_shape.typed(self.raw)
        self._add(problems)
        self._check(config)
        secrets = self._secrets()
        self.warnings += config_rules.warn(config)
        self.warnings = [_masked_line(each, secrets) for each in self.warnings]
        if self.problems:
            lines = [_masked_line(self._line(each), secrets) for each in self.problems]
            raise ConfigError(list(dict.fromkeys(lines)))
        return config

    def source(self, path: str) -> str:
        """Of the value at `path`: its own, or that of the nearest place around it."""
        while path:
            if path in self.sources:
                return self.sources[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return DEFAULT

    def _lay_file(self, text: str) -> None:
        reading = config_yaml.read(text, self.environ)
        self.raw, problems = config_shape.shape(reading.tree)
        self.problems += reading.problems + problems
        for path, value in leaves(self.raw):
            if value != {}:  # An empty section says nothing.
                self.sources[path] = f"file {self.name}"
        for path, variables in reading.variables.items():
            if path in self.sources:
                self.sources[path] += f" (${{{'}, ${'.join(variables)}}})"

    def _lay(self, setting: Setting, source: str) -> None:
        for path in _place(self.raw, setting.path, setting.value):
            for known in list(self.sources):
                if _within(known, path):
                    del self.sources[known]
            if source:
                self.sources |= {leaf: source for leaf, _ in leaves(setting.value, path)}

    def _complete(self, name: str, provider: Raw) -> None:
        """What a provider's name and dialect say without being written down."""
        usual = KNOWN_DIALECTS.get(name, "openai")
        if name in KNOWN_BASE_URLS:
            provider.setdefault("dialect", usual)
        dialect = provider.get("dialect")
        if dialect == usual:
            provider.setdefault("base_url", KNOWN_BASE_URLS.get(name, ""))
        if base_url := provider.get("base_url", "").rstrip("/"):
            if dialect == Dialect.ANTHROPIC and base_url.endswith("/v1"):
                base_url = base_url.removesuffix("/v1")
                what = "/v1 at its end is left out: the dialect adds it"
                self.warnings.append(f"providers.{name}.base_url: {what}")
            provider["base_url"] = base_url
        if dialect in KEYLESS_DIALECTS:
            for credential in provider.get("credentials", []):
                credential.setdefault("key", NO_SECRET)

    def _lay_presets(self) -> None:
        """Under what was written, the values of the preset that it names."""
        stability = self.raw.setdefault("stability", {})
        name = stability.get("preset", Stability().preset)
        self._lay_preset(stability, PRESETS.get(name, EMPTY), name, "stability")
        owners = [
            (f"providers.{name}", each) for name, each in self.raw.get("providers", {}).items()
        ]
        owners += [(f"routes[{n}]", each) for n, each in enumerate(self.raw.get("routes", []))]
        for path, owner in owners:
            name = owner.get("stability", EMPTY).get("preset", "")
            if name in PRESETS:  # Its own preset takes back what the general one has changed.
                values = preset_values(name)
                self._lay_preset(owner["stability"], values, name, f"{path}.stability")

    def _lay_preset(self, stability: Raw, values: Mapping[str, Any], name: str, path: str) -> None:
        for key, value in values.items():
            if key not in stability:
                stability[key] = value
                self.sources[below(path, key)] = f"preset {name}"

    def _check(self, config: Config) -> None:
        if not any(problem.path == "" for problem in self.problems):
            known = set(self.raw.get("providers", {}))
            self._add(config_rules.check(config, providers=known))

    def _add(self, problems: Iterable[Problem]) -> None:
        """Notes what does not merely follow from a value that is reported already."""
        reported = [problem.path for problem in self.problems if problem.path]
        self.problems += [
            problem
            for problem in problems
            if not any(_within(problem.path, path) for path in reported)
        ]

    def _line(self, problem: Problem) -> str:
        """A problem as the operator reads it; of a variable's value under the variable's name."""
        source = self.source(problem.path)
        where = source.removeprefix("env ") if source.startswith("env ") else problem.path
        return f"{where or self.name or 'environment'}: {problem.text}"

    def _secrets(self) -> list[str]:
        """What no message may show, the longest first."""
        found = {value.reveal() for _, value in leaves(self.raw) if isinstance(value, Secret)}
        found |= {
            value.strip() for name, value in self.environ.items() if SECRET_VARIABLE.search(name)
        }
        return sorted((each for each in found if len(each) >= SECRET_LENGTH_MIN), key=len)[::-1]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"{path.name}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"{path.name}: is not UTF-8 at byte {error.start}"
    raise ConfigError([message])


def _place(
    raw: Any,  # noqa: ANN401 - any part of the tree
    path: Sequence[str | int],
    value: object,
    at: str = "",
) -> Iterator[str]:
    """Puts `value` where `path` says, making what is missing on the way; yields the places."""
    key, rest = path[0], path[1:]
    if key == EACH:
        for n in range(len(raw)):
            yield from _place(raw, (n, *rest), value, at)
        return
    here = below(at, key)
    if isinstance(key, int) and key == len(raw):
        raw.append(None)
    if not rest:
        raw[key] = value
        yield here
        return
    if not isinstance(key, int):
        raw.setdefault(key, [] if isinstance(rest[0], int) else {})
    yield from _place(raw[key], rest, value, here)


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith((f"{place}.", f"{place}["))


def _masked_line(line: str, secrets: Sequence[str]) -> str:
    """In one printable line, without secrets or what looks like them."""
    for secret in secrets:
        line = line.replace(secret, MASK)
    line = LONG_WORD.sub(lambda found: redact(found[0]), line)
    return "".join(each if each.isprintable() else " " for each in line)


def _version(config: Config) -> str:
    text = json.dumps(masked(config), sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]


def _rows(config: Config, sources: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Path, shown value, and the path under which the value's source is known."""
    for path, value in leaves(masked(config)):
        yield path, _shown(value), path
    governed = [
        (f"providers.{name}", each.stability, config.provider_stability(name))
        for name, each in config.providers.items()
    ]
    governed += [
        (f"routes[{n}]", each.stability, config.route_stability(each))
        for n, each in enumerate(config.routes)
    ]
    for path, own, stability in governed:
        for key in sorted(STABILITY_KEYS - set(own)):
            general = f"stability.{key}"
            if sources.get(general, DEFAULT) != DEFAULT:
                yield f"{path}.{general}", _shown(plain(getattr(stability, key))), general


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
