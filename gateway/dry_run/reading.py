"""From a scenario's file to a `Script`: found, read, and checked with every problem at once.

The rules are those of the configuration's file: unknown keys are errors with their dotted path and
the likeliest correction. What stands under `config` is a configuration, with all of its own rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from gateway import config_file, config_shape, config_yaml
from gateway.config import EMPTY, Config, Dialect
from gateway.config_file import ConfigError
from gateway.config_shape import nearest
from gateway.config_yaml import Problem, Tree
from gateway.dry_run import expecting
from gateway.dry_run.scenario import Act, Deed, Scenario, Script, Traffic

SUFFIX = ".yaml"
SECTIONS = ("config", "expect")
"""Keys at the top that are no fields of `Scenario`."""
DURATION_MAX_SECONDS = 31 * 86_400.0
"""A month: anything longer is a mistake in the unit."""
REQUESTS_MAX = 5_000_000
"""Of a whole run; a thousand or two are played in a second."""
NEEDS_A_TARGET = frozenset({Act.REST, Act.DRAIN, Act.ENABLE, Act.PIN})
MINUTE_SECONDS = 60.0


def shipped() -> list[str]:
    """Names of the scenarios that come with the program."""
    names = (each.name for each in _folder().iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


def load(name: str, *, cwd: Path) -> Script:
    """A shipped scenario by its name, or one's own by its file. Raises `ConfigError`."""
    if name in (known := shipped()):
        return parse((_folder() / f"{name}{SUFFIX}").read_text(encoding="utf-8"), name=name)
    path = cwd / name
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        guess = nearest(name, known)
        hint = f"; did you mean {guess!r}?" if guess else "; `--list` shows those that are shipped"
        raise ConfigError([f"{name!r} is no scenario and no file{hint}"]) from None
    except OSError as error:
        raise ConfigError([f"{path.name}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path.name}: is not UTF-8 at byte {error.start}"]) from None
    return parse(text, name=path.stem)


def parse(text: str, *, name: str) -> Script:
    """`name` is the scenario's where the text gives none. Raises `ConfigError` with all problems."""
    reading = config_yaml.read(text, EMPTY)
    if any(not problem.path for problem in reading.problems):  # It could not be read at all.
        raise ConfigError([f"{name}: {problem.text}" for problem in reading.problems])
    tree = reading.tree if isinstance(reading.tree, dict) else {}
    problems = list(reading.problems)
    if reading.tree is not None and not isinstance(reading.tree, dict):
        problems.append(Problem("", "must be a mapping of keys to values"))
    scenario, found = config_shape.typed_as(
        Scenario, {key: value for key, value in tree.items() if key not in SECTIONS}
    )
    problems += found + list(_bounds(scenario))
    expected, found = expecting.read(tree.get("expect"))
    problems += found
    lines = [f"{each.path or name}: {each.text}" for each in problems]
    config = Config()
    try:
        config = _config(tree.get("config"))
    except ConfigError as error:
        lines += [f"config.{line}" for line in error.problems]
    else:
        lines += [f"{each.path}: {each.text}" for each in _names(scenario, config)]
    if lines:
        raise ConfigError(list(dict.fromkeys(lines)))
    named = replace(scenario, name=scenario.name or name)
    return Script(scenario=named, config=config, expected=expected)


def _folder() -> Traversable:
    return files("gateway") / "scenarios"


def _config(tree: Tree) -> Config:
    """The configuration, read as if it stood in a file of its own. Raises `ConfigError`."""
    text = yaml.safe_dump(_escaped(tree), allow_unicode=True) if tree is not None else ""
    config = config_file.parse(text, environ={}, name="yaml")
    real = [
        f"providers.{name}.dialect: must be 'simulated' in a scenario"
        for name, provider in config.providers.items()
        if provider.dialect is not Dialect.SIMULATED
    ]
    if not config.routes:
        real.append("routes: none is configured; at least one is needed")
    if real:
        raise ConfigError(real)
    return config


def _escaped(tree: Tree) -> Tree:
    """What has been read once is read again: variables are not put in a second time."""
    match tree:
        case dict():
            return {key: _escaped(value) for key, value in tree.items()}
        case list():
            return [_escaped(value) for value in tree]
        case str():
            return tree.replace("${", "$${")
        case None:
            return None


# -- rules -----------------------------------------------------------------------------------------


def _bounds(scenario: Scenario) -> Iterator[Problem]:
    if not 0 < scenario.duration_seconds <= DURATION_MAX_SECONDS:
        most = f"{DURATION_MAX_SECONDS:g}"
        yield Problem("duration_seconds", f"must be above 0 and at most {most}, a month")
    if not scenario.traffic:
        yield Problem("traffic", "there is none; at least one entry is needed")
    for number, traffic in enumerate(scenario.traffic):
        yield from _traffic(traffic, f"traffic[{number}]")
    if sum(_requests(each, scenario) for each in scenario.traffic) > REQUESTS_MAX:
        yield Problem("traffic", f"makes more than {REQUESTS_MAX} requests in all")
    for number, deed in enumerate(scenario.operator):
        yield from _deed(deed, f"operator[{number}]")


def _traffic(traffic: Traffic, path: str) -> Iterator[Problem]:
    for key in ("sessions", "turns", "growth_tokens", "requests_per_minute"):
        if getattr(traffic, key) < 0:
            yield Problem(f"{path}.{key}", "must not be negative")
    for key in ("turn_seconds", "first_tokens", "most_tokens", "cancel_after_seconds"):
        if getattr(traffic, key) <= 0:
            yield Problem(f"{path}.{key}", "must be above 0")
    for key in ("stream_share", "cancel_share"):
        if not 0 <= getattr(traffic, key) <= 1:
            yield Problem(f"{path}.{key}", "must be from 0 to 1")
    if traffic.sessions <= 0 and traffic.requests_per_minute <= 0:
        yield Problem(path, "needs sessions or requests_per_minute")


def _requests(traffic: Traffic, scenario: Scenario) -> float:
    """How many there will be, about."""
    of_sessions = traffic.sessions / max(traffic.turn_seconds, 1e-3)
    per_second = of_sessions + traffic.requests_per_minute / MINUTE_SECONDS
    return per_second * scenario.duration_seconds


def _deed(deed: Deed, path: str) -> Iterator[Problem]:
    if deed.at_seconds < 0:
        yield Problem(f"{path}.at_seconds", "must not be negative")
    if deed.for_seconds is not None and deed.for_seconds <= 0:
        yield Problem(f"{path}.for_seconds", "must be above 0")
    if deed.act in NEEDS_A_TARGET and not deed.target:
        yield Problem(f"{path}.target", f"required for {deed.act.value!r}")


def _names(scenario: Scenario, config: Config) -> Iterator[Problem]:
    """Everything that is named is there."""
    routes = [route.name for route in config.routes]
    targets = list(dict.fromkeys(each.target for route in config.routes for each in route.targets))
    keys = [key.name for each in config.providers.values() for key in each.credentials]
    for number, traffic in enumerate(scenario.traffic):
        yield from _known(traffic.route, routes, f"traffic[{number}].route")
    for number, deed in enumerate(scenario.operator):
        path = f"operator[{number}]"
        yield from _known(deed.route, routes, f"{path}.route")
        yield from _known(deed.target, targets, f"{path}.target")
        yield from _known(deed.provider, config.providers, f"{path}.provider")
        yield from _known(deed.credential, keys, f"{path}.credential")
        own = next((each for each in config.routes if each.name == (deed.route or routes[0])), None)
        if own is not None and deed.act is Act.PIN and deed.target in targets:
            here = [each.target for each in own.targets]
            yield from _known(deed.target, here, f"{path}.target", of=f"the route {own.name!r}")


def _known(
    name: str, known: Collection[str], path: str, *, of: str = "the configuration"
) -> Iterator[Problem]:
    if name and name not in known:
        guess = nearest(name, known)
        hint = f"; did you mean {guess!r}?" if guess else ""
        yield Problem(path, f"{name!r} is not in {of}{hint}")
