"""The shape of the code: floors, the pure core, sizes, one test module for each module.

`FLOORS` is the table to change when a module comes or goes; ARCHITECTURE.md shows the same floors
and a test compares the two. Each rule is a function from source text to complaints, so that the
tests at the end can show that it is able to fail.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "storage", "dashboards")

FLOORS: tuple[tuple[str, ...], ...] = (
    ("gateway.units",),
    ("gateway.events",),
    ("gateway.config",),
    ("gateway.wire", "gateway.telemetry.catalogue*"),
    ("gateway.routing", "dashboards.model", "dashboards.query"),
    # The line: what stands above may do I/O, read clocks and wait.
    (
        "gateway.clock",
        "gateway.delivery*",
        "gateway.telemetry.content",
        "gateway.telemetry.sampling",
        "storage.models",
        "storage.rows",
        "dashboards.boards",
        "dashboards.grafana",
        "dashboards.receiver",
        "dashboards.rules",
        "dashboards.stack",
    ),
    (
        "gateway.config_*",
        "gateway.spine",
        "gateway.telemetry.labels",
        "gateway.telemetry.spans*",
        "gateway.upstream",
        "storage.checkpoints",
        "storage.filters",
        "storage.questions*",
        "storage.migrating",
        "storage.reading",
        "storage.rollups*",
        "storage.statements",
        "dashboards.build",
    ),
    (
        "gateway.telemetry.log*",
        "gateway.telemetry.metrics*",
        "gateway.telemetry.traces",
        "storage.journal",
        "storage.postgres*",
        "storage.queries*",
        "storage.sqlite*",
        "dashboards.command",
    ),
    ("gateway.relay", "storage.ahead", "storage.database", "storage.retention", "storage.writer"),
    ("gateway.api", "gateway.demo", "gateway.server"),
    ("gateway.app*", "gateway.dry_run"),
    ("gateway.replay",),
    ("gateway.cli*",),
    ("gateway.__main__", "dashboards.__main__"),
)
"""Units by floor, lowest first. A unit is a folder, a module, or modules that share a beginning."""

PURE_FLOORS = 5
"""So many floors, from the lowest, are below the line."""

STORAGE_MAY_IMPORT = ("gateway.units", "gateway.events", "gateway.config", "storage")
STORAGE_IMPORTERS = ("gateway.app*", "gateway.cli*", "storage")

IMPURE = re.compile(
    r"asyncio|concurrent|ctypes|fcntl|glob|http|io|logging|multiprocessing|os|pathlib|secrets"
    r"|select|selectors|shutil|signal|socket|socketserver|sqlite3|ssl|subprocess|sys|tempfile"
    r"|threading|time|uuid"
)
"""Modules of the standard library that wait, read clocks, draw chance or touch the outside."""
PURE_EXCEPTIONS = {
    "gateway.units": frozenset({"msgspec"}),
    "gateway.events": frozenset({"msgspec"}),
    "gateway.wire": frozenset({"msgspec"}),
    "gateway.routing": frozenset({"msgspec"}),
}
"""msgspec's structs cost a fifth of a frozen dataclass to make, or less, and there are a dozen for each
request; and it reads a body's few fields without building the rest, which is why looking into a body
of megabytes costs next to nothing. Pure functions both."""
PURE_NAMES = {"random": frozenset({"Random"}), "urllib": frozenset({"parse"})}
"""Of these modules only these names."""
IMPURE_CALLS = frozenset({"open", "input", "print", "exec", "eval", "breakpoint"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})
"""Of `datetime` and `date`: they read a clock."""

LITELLM_HOME = "gateway/upstream/translated.py"

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
LONGER_FILES = {"gateway/events.py": 600, "gateway/config.py": 600}
"""The vocabulary and the settings are read as a whole: declarations and their notes, no code."""
UNSIZED = "storage/migrations/versions"
"""History: a migration is written once and then never edited."""

WITHOUT_TEST_MODULE = {
    "dashboards/__init__.py": "empty",
    "dashboards/boards/common.py": "data; test_boards goes through every panel",
    "dashboards/boards/credentials.py": "data; test_boards",
    "dashboards/boards/internals.py": "data; test_boards",
    "dashboards/boards/overview.py": "data; test_boards",
    "dashboards/boards/providers.py": "data; test_boards",
    "dashboards/boards/routing.py": "data; test_boards",
    "dashboards/boards/sessions.py": "data; test_boards",
    "dashboards/model.py": "data; checked by mypy",
    "dashboards/rules/burning.py": "data; test_files goes through every alert",
    "dashboards/rules/model.py": "data; checked by mypy",
    "dashboards/rules/process.py": "data; test_files",
    "dashboards/rules/routing.py": "data; test_files",
    "gateway/__main__.py": "two lines; test_cli starts it as a program",
    "gateway/delivery_parts.py": "protocols and data; test_delivery",
    "gateway/config.py": "data; test_config_file loads every field, test_docs names them",
    "gateway/events.py": "data; test_rows and test_docs go through every event",
    "gateway/units.py": "types; checked by mypy",
    "gateway/api/context.py": "data and protocols; checked by mypy",
    "gateway/relay/incoming.py": "a protocol; checked by mypy",
    "gateway/server/limits.py": "data; test_connection",
    "gateway/routing/classes_hosts.py": "data; test_classes goes through every row",
    "gateway/routing/classes_labs.py": "data; test_classes goes through every row",
    "gateway/routing/rows.py": "what a row is; test_classes goes through every row",
    "gateway/routing/state.py": "data of the pool; test_pool",
    "gateway/routing/steps.py": "what the machine says and is told; test_call",
    "gateway/upstream/base.py": "protocols; checked by mypy",
    "gateway/wire/base.py": "protocols; checked by mypy",
    "gateway/wire/translate/base.py": "protocols; checked by mypy",
    "gateway/wire/translate/neutral.py": "data; every other test here goes through it",
    "storage/migrations/env.py": "run by the migrations of test_database",
}

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/\w")
"""Absolute paths that exist on somebody's machine only."""
PRIVATE_NAMES = re.compile(r"\bfarm-[a-z]|(?<![\w/])shared/(?:design|reference|style)")
"""Tools and notes that a reader of the repository does not have."""
SCANNED = (".ci", "dashboards", "docs", "gateway", "grafana", "storage", "tests")


# -- rules: from a file to what is wrong with it -------------------------------------------------


def matches(name: str, unit: str) -> bool:
    return fnmatchcase(name, unit) or name.startswith(f"{unit}.")


def unit_of(module: str) -> tuple[int, str] | None:
    """Floor and unit of a module (or of a name inside one); None if the table lacks it."""
    found = [
        (len(unit), floor, unit)
        for floor, units in enumerate(FLOORS)
        for unit in units
        if matches(module, unit)
    ]
    if not found:
        return None
    _, floor, unit = max(found)
    return floor, unit


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, wherever it stands; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_own(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES


def floor_problems(module: str, source: str) -> Iterator[str]:
    """Imports that go up, sideways, or where this module must not look."""
    here = unit_of(module)
    if here is None:
        yield f"1: {module} stands on no floor; add it to FLOORS and to ARCHITECTURE.md"
        return
    floor, unit = here
    for line, name in imports(ast.parse(source)):
        if name.startswith("."):
            yield f"{line}: relative import of {name}; write the whole name"
        if not is_own(name):
            continue
        there = unit_of(name)
        if there is None:
            yield f"{line}: imports {name}, which stands on no floor"
        elif there[1] != unit and there[0] >= floor:
            yield f"{line}: {module} (floor {floor}) imports {name} (floor {there[0]})"
        if module.startswith("storage.") and not any(matches(name, u) for u in STORAGE_MAY_IMPORT):
            yield f"{line}: storage imports {name}; it may know only {STORAGE_MAY_IMPORT}"
        if name.startswith("storage.") and not any(matches(module, u) for u in STORAGE_IMPORTERS):
            yield f"{line}: {module} imports {name}; only app and cli know the store"


def pure_problems(module: str, source: str) -> Iterator[str]:
    """What a module below the line must not do."""
    here = unit_of(module)
    if here is None or here[0] >= PURE_FLOORS:
        return
    tree = ast.parse(source)
    allowed = PURE_EXCEPTIONS.get(here[1], frozenset())
    for line, name in imports(tree):
        top, _, rest = name.partition(".")
        if is_own(name) or top in allowed or top == "__future__":
            continue
        if top not in sys.stdlib_module_names:
            yield f"{line}: {name} is not of the standard library"
        elif IMPURE.fullmatch(top):
            yield f"{line}: {name} waits, reads a clock or touches the outside"
        elif top in PURE_NAMES and rest.partition(".")[0] not in PURE_NAMES[top]:
            yield f"{line}: of {top} only {', '.join(PURE_NAMES[top])}, not {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            # A Protocol may describe a shell's coroutine; nothing down here may run one.
            if isinstance(node, ast.AsyncFunctionDef) and _only_declares(node):
                continue
            yield f"{node.lineno}: the core does not wait"
        elif isinstance(node, ast.Call):
            yield from _impure_call(node)


def _only_declares(node: ast.AsyncFunctionDef) -> bool:
    """Nothing but a docstring and `...`."""
    return all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body
    )


def _impure_call(node: ast.Call) -> Iterator[str]:
    match node.func:
        case ast.Name(id=name) if name in IMPURE_CALLS:
            yield f"{node.lineno}: calls {name}()"
        case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name) if (
            name in IMPURE_METHODS
        ):
            yield f"{node.lineno}: {name}() reads a clock; take `now` as an argument"


def litellm_problems(path: str, source: str) -> Iterator[str]:
    """litellm takes seconds to import: one module has it, inside the function that needs it."""
    tree = ast.parse(source)
    top_level = {id(node) for node in ast.iter_child_nodes(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [name.partition(".")[0] for _, name in imports(ast.Module([node], []))]
            if "litellm" not in names:
                continue
            if path != LITELLM_HOME:
                yield f"{node.lineno}: only {LITELLM_HOME} imports litellm"
            elif id(node) in top_level:
                yield f"{node.lineno}: import litellm inside the function that needs it"


def size_problems(path: str, source: str) -> Iterator[str]:
    if path.startswith(UNSIZED):
        return
    usual = TEST_FILE_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX
    limit = LONGER_FILES.get(path, usual)
    lines = source.count("\n")
    if lines > limit:
        yield f"1: {lines} lines, of at most {limit}; split it by idea"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {length} lines, of at most 60"


def mock_problems(_: str, source: str) -> Iterator[str]:
    """Tests use working fakes and real servers."""
    tree = ast.parse(source)
    for line, name in imports(tree):
        if name.startswith(("unittest.mock", "mock.", "pytest_mock")) or name == "mock":
            yield f"{line}: imports {name}; write a working fake"
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg in {"monkeypatch", "mocker"}:
            yield f"{node.lineno}: takes {node.arg}; pass the thing in instead"


def private_problems(_: str, source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), start=1):
        for found in (MACHINE_PATHS.search(line), PRIVATE_NAMES.search(line)):
            if found is not None:
                yield f"{number}: {found[0]!r} means nothing on another machine"


def empty_problems(path: str, source: str) -> Iterator[str]:
    if path.endswith("__init__.py") and source.strip():
        yield "1: __init__.py stays empty; import from the module itself"


# -- the rules, held to every file ---------------------------------------------------------------

Rule = Callable[[str, str], Iterator[str]]


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def complaints(rule: Rule, paths: Sequence[Path], *, by_module: bool = False) -> list[str]:
    """`file:line: what`, of all files."""
    found = []
    for path in paths:
        shown = path.relative_to(ROOT).as_posix()
        name = module_name(path) if by_module else shown
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # A picture or the like.
        found += [f"{shown}:{problem}" for problem in rule(name, source)]
    return found


def code_modules() -> list[Path]:
    migrations = ROOT / "storage" / "migrations"
    return [
        path
        for path in python_files(*PACKAGES)
        if path.name != "__init__.py" and migrations not in path.parents
    ]


@pytest.mark.parametrize("rule", [floor_problems, pure_problems])
def test_imports_go_only_down_and_the_core_is_pure(rule: Rule) -> None:
    found = complaints(rule, code_modules(), by_module=True)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", [litellm_problems, size_problems, empty_problems])
def test_every_file_keeps_its_size_and_its_place(rule: Rule) -> None:
    found = complaints(rule, python_files(*PACKAGES, "tests"))
    assert not found, "\n".join(found)


def test_tests_use_no_mocks() -> None:
    found = complaints(mock_problems, python_files("tests"))
    assert not found, "\n".join(found)


def test_nothing_names_a_machine_or_a_private_tool() -> None:
    files = [path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".db"]
    for folder in SCANNED:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [each for each in files if "__pycache__" not in each.parts and _is_ours(each)]
    found = complaints(private_problems, kept)
    assert not found, "\n".join(found)


def _is_ours(path: Path) -> bool:
    """Not a file that only this checkout has: secrets, the operator's own configuration."""
    return path.name not in {".env", "evenkeel.yaml"} and not path.name.startswith("evenkeel.db")


def test_every_module_has_its_test_module() -> None:
    """`x.py` has `test_x.py` or several `test_x_*.py`; a family such as `cli_*` may share them."""
    missing = []
    for path in [*code_modules(), ROOT / "storage/migrations/env.py"]:
        shown = path.relative_to(ROOT)
        folder = ROOT / "tests" / shown.parent
        stem = path.stem.strip("_")
        names = {stem, stem.partition("_")[0]}
        own = [folder / f"test_{stem}.py"]
        own += [each for name in names for each in folder.glob(f"test_{name}_*.py")]
        own += [folder / f"test_{name}.py" for name in names]
        if shown.as_posix() not in WITHOUT_TEST_MODULE and not any(each.exists() for each in own):
            missing.append(f"{shown.as_posix()}: no {own[0].relative_to(ROOT).as_posix()}")
    assert not missing, "\n".join(missing)


def test_the_exceptions_are_still_there() -> None:
    assert [path for path in WITHOUT_TEST_MODULE if not (ROOT / path).exists()] == []


def test_architecture_md_shows_the_same_floors() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = re.search(r"```text\n( *\d+ .*?)```", text, re.DOTALL)
    assert block is not None, "ARCHITECTURE.md has no block of floors"
    shown: dict[int, set[str]] = {}
    floor = -1
    for line in block[1].splitlines():
        if start := re.match(r" *(\d+) ", line):
            floor = int(start[1])
        names = re.findall(r"(?:gateway|storage|dashboards)\.[\w.]*\w\*?", line)
        shown.setdefault(floor, set()).update(names)
    assert shown == {number: set(units) for number, units in enumerate(FLOORS)}


# -- the rules can fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.routing.pool", "from gateway.relay.loop import Relay"),
        ("gateway.routing.pool", "from gateway import relay"),
        ("gateway.routing.pool", "def f():\n    import gateway.app"),
        ("gateway.spine", "from gateway.upstream.base import Reply"),
        ("gateway.wire.sse", "from gateway.routing.pool import Pool"),
        ("gateway.routing.pool", "from .call import Call"),
        ("gateway.api.history", "from storage.queries import Queries"),
        ("storage.queries", "from gateway.wire.base import Asked"),
        ("gateway.nowhere", ""),
        ("gateway.app", "import gateway.nowhere"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert list(floor_problems(module, source))


def test_imports_down_and_inside_a_unit_are_fine() -> None:
    source = "from gateway.routing.call import Call\nfrom gateway.units import Moment\nimport json"
    assert list(floor_problems("gateway.routing.pool", source)) == []
    assert list(floor_problems("gateway.cli", "from gateway.cli_output import table")) == []
    assert list(floor_problems("gateway.app", "from storage.writer import Writer")) == []


def test_a_complaint_names_the_line_and_the_import() -> None:
    [problem] = floor_problems("gateway.units", "\nfrom gateway.events import Failure")
    expected = "2: gateway.units (floor 0) imports gateway.events.Failure (floor 1)"
    assert problem == expected


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import time",
        "import os.path",
        "from pathlib import Path",
        "import random",
        "from random import choice",
        "import urllib.request",
        "import aiohttp",
        "import pydantic",
        "import logging",
        "x = open('f')",
        "print('x')",
        "from datetime import datetime\nx = datetime.now()",
        "async def f():\n    return 1",
    ],
)
def test_an_impure_module_is_found(source: str) -> None:
    assert list(pure_problems("gateway.routing.pool", source))


def test_a_pure_module_is_let_be() -> None:
    source = "from random import Random\nfrom urllib.parse import unquote\nimport re, json"
    assert list(pure_problems("gateway.routing.pool", source)) == []
    assert list(pure_problems("gateway.wire.body", "import msgspec")) == []
    assert list(pure_problems("gateway.spine", "import asyncio")) == []
    protocol = "class C(Protocol):\n    async def f(self) -> None: ..."
    assert list(pure_problems("gateway.units", protocol)) == []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (litellm_problems, "gateway/app.py", "def f():\n    import litellm"),
        (litellm_problems, LITELLM_HOME, "from litellm import acompletion"),
        (size_problems, "gateway/x.py", "\n" * (FILE_LINES_MAX + 1)),
        (size_problems, "tests/test_x.py", "\n" * (TEST_FILE_LINES_MAX + 1)),
        (size_problems, "gateway/x.py", "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX),
        (mock_problems, "tests/test_x.py", "from unittest.mock import Mock"),
        (mock_problems, "tests/test_x.py", "from unittest import mock"),
        (mock_problems, "tests/test_x.py", "def test_x(monkeypatch): ..."),
        (private_problems, "README.md", "see " + "/".join(["", "root", "notes"])),
        (private_problems, "README.md", "see " + "/".join(["shared", "style.md"])),
        (empty_problems, "gateway/__init__.py", "from gateway.app import serve"),
    ],
)
def test_a_breach_of_the_other_rules_is_found(rule: Rule, path: str, source: str) -> None:
    assert list(rule(path, source))


def test_litellm_inside_its_function_is_fine() -> None:
    assert list(litellm_problems(LITELLM_HOME, "def f():\n    import litellm")) == []
