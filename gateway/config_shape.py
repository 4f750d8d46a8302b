"""From a tree of text to a typed `Config`: which keys exist, what each value must be, presets.

Works on the shape of the file (providers by name, `return`). A wrong value is reported and then
replaced by a harmless one, so that all other problems are found in the same run.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import SequenceMatcher
from enum import Enum
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from gateway.config import (
    NO_SECRET,
    STABILITY_KEYS,
    Config,
    Dialect,
    Provider,
    Route,
    RouteTarget,
    Stability,
)
from gateway.config_yaml import Problem, Tree, below
from gateway.events import Failure
from gateway.units import Secret

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")

Raw = dict[str, Any]
"""Mappings, lists, text and secrets in the shape of the file; every key is known to exist."""

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "agentic": {},
    "interactive": {
        "long_unavailable_seconds": 20.0,
        "cooldown_min_seconds": 120.0,
        "probe_starvation_seconds": 120.0,
        "probe_starvation_max_seconds": 1800.0,
        "probe_first_content_seconds": 5.0,
        "return_good_seconds": 30.0,
        "return_good_max_seconds": 900.0,
        "session_pin_seconds": 900.0,
        "session_stable_seconds": 300.0,
        "wait_max_seconds": 5.0,
        "wait_base_seconds": 1.0,
        "max_attempts": 3,
    },
    "batch": {
        "long_unavailable_seconds": 180.0,
        "cooldown_min_seconds": 600.0,
        "probe_first_content_seconds": 60.0,
        "return_good_answers": 10,
        "return_good_seconds": 120.0,
        "wait_max_seconds": 120.0,
        "wait_base_seconds": 15.0,
        "queue_waiters": 512,
        "deadline_seconds": 600.0,
        "max_attempts": 8,
        "max_attempts_per_provider": 4,
        "retry_budget_ratio": 0.5,
        "retry_budget_floor_per_minute": 30,
    },
}
"""By name, what differs from the defaults of `Stability`, which are `agentic`.

`interactive`: a person waits, so short waits and an early answer count for more than a warm cache. It
keeps the deadline: with a shorter one the first slow target would use it up, and none could help.
`batch`: nobody waits, so patience and more attempts count for more than speed.
"""

HIDDEN: Final[Mapping[type, Mapping[str, str]]] = {
    Provider: {"name": ""},
    Route: {"returns": "return"},
}
"""Fields that the file writes otherwise (`return`) or not at all (a provider's name is its key)."""

STAND_INS: Final[Mapping[str, object]] = {
    "name": "",
    "key": NO_SECRET,
    "failure": Failure.UNKNOWN,
    "dialect": Dialect.OPENAI,
    "target": "",
    "input_per_million": 0.0,
    "targets": (),
}
"""What takes the place of a required value that is missing or wrong, after it was reported."""

LIKENESS_MIN: Final = 0.7
"""Below this a suggestion is rather a riddle than a help; found by trying misspellings."""

SUGGESTIONS_MAX: Final = 50
"""A file with more mistakes is not one of ours, and looking for likeness takes its time."""


def preset_values(name: str) -> Mapping[str, Any]:
    """Every parameter that any preset sets, with its value in this one."""
    touched = {key for preset in PRESETS.values() for key in preset}
    defaults = Stability()
    return {key: getattr(defaults, key) for key in sorted(touched)} | dict(PRESETS[name])


def shape(tree: Tree) -> tuple[Raw, list[Problem]]:
    """The known part of a file's tree, structure as `Config` has it; scalars are still text."""
    shaper = _Shaper()
    found = shaper.mapping(tree if tree is not None else {}, Config, "")
    return found, shaper.problems


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value with its path. A list without mappings or lists in it is one value."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from leaves(each, below(path, key))
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for n, each in enumerate(value):
            yield from leaves(each, below(path, n))
    else:
        yield path, value


def typed(raw: Raw) -> tuple[Config, list[Problem]]:
    """The configuration that `raw` describes, as far as its values can be read."""
    problems: list[Problem] = []
    named: Raw = dict(raw)
    named["providers"] = {
        name: {
            **provider,
            "name": name,
            **_overrides(provider, f"providers.{name}", problems),
        }
        for name, provider in raw.get("providers", {}).items()
    }
    named["routes"] = [
        {
            **{("returns" if key == "return" else key): value for key, value in route.items()},
            **_overrides(route, f"routes[{n}]", problems),
        }
        for n, route in enumerate(raw.get("routes", []))
    ]
    config: Config = _validated(Config, named, problems)
    return config, problems


def typed_as(kind: type[T], tree: Tree) -> tuple[T, list[Problem]]:
    """Another file's tree as a `kind`, by the rules of the configuration's. All fields of a `kind`
    and of what is in it have defaults, which take the place of values that cannot be read."""
    shaper = _Shaper()
    raw = shaper.mapping({} if tree is None else tree, kind, "")
    problems: list[Problem] = []
    found: T = _validated(kind, raw, problems)
    reported = {problem.path for problem in shaper.problems}
    return found, shaper.problems + [each for each in problems if each.path not in reported]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The likeliest of `known` for a misspelt `name`; of dotted ones the last part counts."""
    best, most = None, LIKENESS_MIN
    for each in known:
        last = each.rpartition(".")[2]
        # The beginning of a long name also counts: `cooldwn` for `cooldown_min_seconds`.
        for other, worth in ((last, 1.0), (last[: len(name) + 1], 0.9)):
            likeness = worth * SequenceMatcher(None, name.lower(), other).ratio()
            if likeness > most:
                best, most = each, likeness
    return best


class _Shaper:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def mapping(self, value: Tree, kind: type[Any], path: str) -> Raw:
        """A section: unknown keys are reported and left out, keys without a value are absent."""
        if not isinstance(value, dict):
            self._report(path, "must be a mapping of keys to values")
            return {}
        hints = _keys(kind)
        found: Raw = {}
        for key, each in value.items():
            here = below(path, key)
            if key not in hints:
                self._unknown(key, kind, here)
            elif each is not None:
                found[key] = self._value(each, hints[key], here)
        return found

    def _value(self, value: Tree, hint: Any, path: str) -> object:  # noqa: ANN401 - a type hint
        hint = _without_none(hint)
        origin = get_origin(hint)
        if hint is Secret:
            return Secret(self._text(value, path))
        if hint is RouteTarget and isinstance(value, str):
            return {"target": value}
        if is_dataclass(hint) and isinstance(hint, type):
            return self.mapping(value, hint, path)
        if origin is tuple:
            return self._list(value, get_args(hint)[0], path)
        if origin is Mapping:
            return self._named(value, get_args(hint)[1], path)
        return self._text(value, path)

    def _list(self, value: Tree, hint: Any, path: str) -> list[object]:  # noqa: ANN401 - a type hint
        if not isinstance(value, list):
            self._report(path, "must be a list")
            return []
        return [self._value(each, hint, below(path, n)) for n, each in enumerate(value)]

    def _named(self, value: Tree, hint: Any, path: str) -> Raw:  # noqa: ANN401 - a type hint
        if hint is Any:  # The overrides of a provider or a route: any part of `Stability`.
            return self.mapping(value, Stability, path)
        if not isinstance(value, dict):
            self._report(path, "must be a mapping of names to values")
            return {}
        # A provider of which nothing need be said may stand there without a value.
        empty: Tree = {} if hint is Provider else None
        return {
            key: self._value(empty if each is None else each, hint, below(path, key))
            for key, each in value.items()
        }

    def _text(self, value: Tree, path: str) -> str:
        if isinstance(value, str):
            return value
        self._report(path, "must be a single value")
        return ""

    def _unknown(self, key: str, kind: type[Any], path: str) -> None:
        guess = None
        if len(self.problems) < SUGGESTIONS_MAX:
            guess = nearest(key, _keys(kind)) or nearest(key, _inner_keys(kind))
        self._report(path, "unknown key" + (f"; did you mean {guess!r}?" if guess else ""))

    def _report(self, path: str, text: str) -> None:
        self.problems.append(Problem(path, text))


def _keys(kind: type[Any]) -> dict[str, Any]:
    """The keys of a section as the file writes them, with their types."""
    hints = get_type_hints(kind)
    written = HIDDEN.get(kind, {})
    names = {each.name: written.get(each.name, each.name) for each in fields(kind)}
    return {shown: hints[name] for name, shown in names.items() if shown}


def _inner_keys(kind: type[Any]) -> Iterator[str]:
    """Dotted names one level further down, for a key that was put too high."""
    for name, hint in _keys(kind).items():
        if isinstance(hint, type) and is_dataclass(hint) and hint is not Secret:
            yield from (f"{name}.{inner}" for inner in _keys(hint))
        elif get_origin(hint) is Mapping and get_args(hint)[1] is Any:
            yield from (f"{name}.{inner}" for inner in sorted(STABILITY_KEYS))


def _without_none(hint: Any) -> Any:  # noqa: ANN401 - a type hint
    if get_origin(hint) in (Union, types.UnionType):
        [hint] = [each for each in get_args(hint) if each is not type(None)]
    return hint


def _overrides(owner: Raw, path: str, problems: list[Problem]) -> Raw:
    """The owner's `stability` with typed values, to be laid over the owner; empty without one."""
    given = owner.get("stability")
    if not given:
        return {}
    values = dict(given)
    found: list[Problem] = []
    parameters = _validated(Stability, values, found)
    problems += [Problem(f"{path}.stability.{each.path}", each.text) for each in found]
    return {"stability": {key: getattr(parameters, key) for key in values}}


@cache
def _adapters() -> Mapping[type, TypeAdapter[Any]]:
    # pydantic takes 0.2 s to import: commands that read no configuration go without it.
    from pydantic import TypeAdapter

    return {kind: TypeAdapter(kind) for kind in (Config, Stability)}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return _adapters().get(kind) or TypeAdapter(kind)


def _validated(kind: type[Any], raw: Raw, problems: list[Problem]) -> Any:  # noqa: ANN401 - a `kind`
    """A `kind` made of `raw`, once what cannot be read has been reported and replaced."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(raw)
    except ValidationError as error:
        # The input is left out: it may be a secret in the wrong place.
        errors = error.errors(include_url=False, include_input=False)
    problems += [Problem(_dotted(each["loc"]), _sentence(each)) for each in errors]
    for each in reversed(errors):  # From behind: what is taken out of a list moves what follows.
        _replace(raw, each["loc"])
    return _adapter(kind).validate_python(raw)


def _dotted(loc: tuple[int | str, ...]) -> str:
    path = ""
    for n, key in enumerate(loc):
        path = below(path, "return" if (loc[0], n, key) == ("routes", 2, "returns") else key)
    return path


def _sentence(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "required"
        case "enum":
            return f"must be {error['ctx']['expected']}"
        case "int_parsing" | "int_from_float" | "int_parsing_size" | "int_type":
            return "must be a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case other:  # Whatever a later pydantic calls it; its sentences do not quote the input.
            return f"{error['msg']} ({other})"


def _replace(raw: Raw, loc: tuple[int | str, ...]) -> None:
    """Puts a harmless value at `loc`, or the default by leaving none there."""
    place: Any = raw
    for key in loc[:-1]:
        place = place[key]
    last = loc[-1]
    if last in STAND_INS:
        place[last] = STAND_INS[str(last)]
    else:
        place.pop(last)


_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^/\s]*@")
"""Of a URL, such as a database's."""


def plain(value: object) -> object:
    """A dataclass as JSON has it, in the shape of the file, secrets and passwords as `***`."""
    if isinstance(value, Secret):
        return "***" if value else ""
    if is_dataclass(value) and not isinstance(value, type):
        written = HIDDEN.get(type(value), {})
        names = {each.name: written.get(each.name, each.name) for each in fields(value)}
        return {shown: plain(getattr(value, name)) for name, shown in names.items() if shown}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, str) and not isinstance(value, Enum):
        return _PASSWORD.sub(r"\1***@", value)
    return value.value if isinstance(value, Enum) else value
