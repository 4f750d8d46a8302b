"""Programs of the system that tests need: a failure without them in CI, a loud skip elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import NoReturn

import pytest

RUN_SECONDS = 120
"""For a program that only looks at files."""


class ProgramMissing(UserWarning):
    """A program is not installed, so that what it would have shown was not shown."""


def program(name: str) -> Path:
    """Where it is."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: run `make test-deps`")
    return Path(found)


def missing(what: str) -> NoReturn:
    """A failure where CI runs; elsewhere a skip that the summary of warnings shows as well."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(what, pytrace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always", ProgramMissing)
        warnings.warn(what, ProgramMissing, stacklevel=2)
    pytest.skip(what)


def run(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What it says, both outputs in one, and its status."""
    return subprocess.run(
        [program(name), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
