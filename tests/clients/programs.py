"""Where the clients are installed, and that a missing one is never passed over in silence."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / ".clients" / "node_modules"
AIDER = ROOT / ".venv-aider" / "bin" / "aider"


class ClientMissing(UserWarning):
    """A client is not installed, so that what it would have shown was not shown."""


def npm_program(name: str) -> str:
    """One that `make test-clients` has installed: without it the check has failed."""
    found = NODE_MODULES / ".bin" / name
    if not found.exists():
        pytest.fail(f"{name} is not installed: run `make test-clients`", pytrace=False)
    return str(found)


def npm_version(package: str) -> str:
    path = NODE_MODULES / package / "package.json"
    return str(json.loads(path.read_text())["version"])


def aider() -> str:
    if sys.version_info >= (3, 13) and not AIDER.exists():
        pytest.skip("aider 0.86.2 does not run on Python 3.13 and later")
    if not AIDER.exists():
        _missing("aider is not installed: run `make test-deps`")
    return str(AIDER)


def _missing(what: str) -> NoReturn:
    """A failure where CI runs; elsewhere a skip that the summary of warnings shows as well."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(what, pytrace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always", ClientMissing)
        warnings.warn(what, ClientMissing, stacklevel=2)
    pytest.skip(what)
