"""What a wheel built from this tree holds: the code, and the files that are not code."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("gateway", "storage", "dashboards", "pyproject.toml", "README.md", "LICENSE")
BUILD = "from setuptools.build_meta import build_wheel; build_wheel('dist')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Names of the files in a wheel built by the declared backend, from a copy of the sources."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            shutil.copy(source, folder / name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=folder, check=True, capture_output=True)
    [built] = (folder / "dist").glob("*.whl")
    with ZipFile(built) as archive:
        return frozenset(archive.namelist())


def test_every_source_file_is_in_the_wheel(wheel: frozenset[str]) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for folder in ("gateway", "storage", "dashboards")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    missing = sorted(here - wheel)
    assert not missing, missing


def test_the_wheel_holds_what_is_not_python(wheel: frozenset[str]) -> None:
    assert {
        "gateway/py.typed",
        "gateway/demo.yaml",
        "dashboards/console/index.html",
        "dashboards/console/style.css",
        "dashboards/console/app.js",
        "storage/migrations/env.py",
        "storage/migrations/script.py.mako",
    } <= wheel


def test_the_wheel_holds_no_tests_and_nothing_else(wheel: frozenset[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tops == {"gateway", "storage", "dashboards", f"evenkeel-{version}.dist-info"}


def test_the_lock_files_name_no_index_and_pin_everything() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pins = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
        assert pins
        assert not [line for line in pins if "==" not in line]


def test_the_locks_agree_and_satisfy_the_project() -> None:
    run, test = (_pins(name) for name in ("requirements.lock", "requirements-test.lock"))
    assert run.items() <= test.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not {_name(each) for each in project["dependencies"]} - set(run)
    assert not {_name(each) for each in project["optional-dependencies"]["test"]} - set(test)


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    split = (line.partition("==") for line in lines if line and line[0] not in "# ")
    return {package: rest.split()[0] for package, _, rest in split}


def _name(requirement: str) -> str:
    """`sqlalchemy[asyncio]>=2` → `sqlalchemy`; a dot is a dash (PEP 503)."""
    for mark in "[<>=;! ":
        requirement = requirement.partition(mark)[0]
    return requirement.lower().replace(".", "-")
