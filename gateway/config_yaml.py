"""The text of a configuration file as a tree of mappings, lists and text.

Every scalar stays the text that was written; the field it is for reads it later. So `4.1` can be a
model's name and `off` a mode, and YAML's own guesses (dates, octal numbers, yes and no) play no
part. Variables are put in after the YAML has been read: no value can become structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import yaml

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | None"

FILE_BYTES_MAX: Final = 1024 * 1024
"""Far above any real file, and still read in a few seconds."""
VALUES_MAX: Final = 50_000
"""Aliases can unfold a small file into any number of values."""
DEPTH_MAX: Final = 32
"""The deepest setting lies seven levels down."""

TOO_MUCH: Final = "too large or nested too deeply to be a configuration"

NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
)
MERGE_TAG: Final = "tag:yaml.org,2002:merge"
VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
"""An escaped opening, or an opening with, where it is well-formed, a name and a default."""


class Problem(NamedTuple):
    path: str
    """Dotted, as the person would write it: `routes[0].targets`; empty for the whole."""
    text: str


@dataclass(slots=True)
class Reading:
    tree: Tree = None
    problems: list[Problem] = field(default_factory=list)
    variables: dict[str, list[str]] = field(default_factory=dict)
    """By path, the names of the variables that a value was made of."""


class _TooMuchError(Exception):
    """More values or levels than a configuration has."""


def read(text: str, environ: Mapping[str, str]) -> Reading:
    """Reads what can be read; what cannot be is among the problems. Raises nothing."""
    reading = Reading()
    if len(text) > FILE_BYTES_MAX:
        return Reading(problems=[Problem("", TOO_MUCH)])
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            reading.tree = _Reader(reading, environ).value(root, "")
    except yaml.YAMLError as error:
        reading.problems.append(Problem("", _syntax(error, text)))
    except (_TooMuchError, RecursionError):
        # The YAML library descends with the stack: brackets by the thousand exhaust it.
        reading.problems.append(Problem("", TOO_MUCH))
    return reading


def below(path: str, key: str | int) -> str:
    """The path of an entry of what lies at `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


class _Reader:
    def __init__(self, reading: Reading, environ: Mapping[str, str]) -> None:
        self._reading = reading
        self._environ = environ
        self._open: list[int] = []
        """The nodes that are being read, outermost first."""
        self._seen = 0

    def value(self, node: yaml.Node, path: str) -> Tree:
        self._seen += 1
        if self._seen > VALUES_MAX or len(self._open) > DEPTH_MAX:
            raise _TooMuchError
        if id(node) in self._open:
            self._problem(path, "contains itself by an alias")
            return None
        if node.tag not in PLAIN_TAGS:
            self._problem(path, "has a YAML tag; only plain values are read here")
            return None
        self._open.append(id(node))
        try:
            match node:
                case yaml.MappingNode():
                    return self._mapping(node, path)
                case yaml.SequenceNode():
                    items = enumerate(node.value)
                    return [self.value(item, below(path, n)) for n, item in items]
                case _:
                    return self._scalar(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: str) -> Tree:
        found: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == MERGE_TAG:
                self._problem(path, f"line {line}: merge keys (<<) are not read here")
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, f"line {line}: a key must be text")
                continue
            key = self._sound(key_node.value, path)
            here = below(path, key)
            if key in found:
                self._problem(here, f"line {line}: the key stands here a second time")
            found[key] = self.value(value_node, here)
        return found

    def _scalar(self, node: yaml.Node, path: str) -> str | None:
        text: str = node.value
        if getattr(node, "style", None) is None and text in NULLS:
            return None
        return self._sound(VARIABLE.sub(lambda found: self._substitute(found, path), text), path)

    def _sound(self, text: str, path: str) -> str:
        """`text` with JSON's escaped pairs joined; half a pair cannot be sent or stored."""
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._problem(path, "holds half a character")
            return ""

    def _substitute(self, found: re.Match[str], path: str) -> str:
        if found[0] == "$${":
            return "${"
        name, default = found[1], found[2]
        if name is None:
            self._problem(path, "`${` begins no variable's name; write `$${` where it is meant so")
            return ""
        self._reading.variables.setdefault(path, []).append(name)
        value = self._environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            self._problem(path, f"the variable {name} is not set; `${{{name}:-…}}` has a default")
            return ""
        return value

    def _problem(self, path: str, text: str) -> None:
        self._reading.problems.append(Problem(path, text))


def _syntax(error: yaml.YAMLError, text: str) -> str:
    """Where and what, without the words of the file: a key may be among them."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        said = re.sub(r"'(?!<)[^']{2,}'|\"[^\"]{2,}\"", "***", error.problem or "not readable")
        return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {said}"
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1) + 1
        line = before.count("\n") + 1
        return f"not YAML: line {line}, column {column}: a character that cannot be printed"
    return "not YAML"
