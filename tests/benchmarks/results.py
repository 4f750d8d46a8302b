"""The results of a run as JSON: written while it goes on, read by the bar, the tables, the comparison."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.figures import Round
from tests.benchmarks.report import Figures

FORMAT = 1
ROOT = Path(__file__).parents[2]
PACKAGES = ("aiohttp", "uvloop", "httptools", "msgspec", "prometheus-client", "opentelemetry-sdk",
            "sqlalchemy", "litellm")  # fmt: skip
_TOLD_SECONDS = 20
METHOD = (
    "The subject has one core, provider and load another. Subjects take turns within each round; a"
    " figure is the median of the rounds, a ratio the median of the ratios within each round. CPU is"
    " the scheduler's run time of all threads of all processes of a subject, its deferred work"
    " included. At a fixed rate a latency counts from when the request was due. Rounds in which"
    " others used much of the subject's core are marked, and left out where enough others are there."
)


@dataclass(slots=True)
class Results:
    """Of one run. What could not be measured is in `troubles`, with the reason."""

    about: dict[str, Any] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, dict[str, list[Round]]] = field(default_factory=dict)
    """Scenario → subject → its rounds."""
    pooled: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Scenario → subject → percentiles over the samples of all rounds."""
    parts: dict[str, Figures] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    bar: list[dict[str, Any]] = field(default_factory=list)

    def of(self, scenario: str, subject: str) -> list[Round]:
        return self.rounds.get(scenario, {}).get(subject, [])

    def part(self, name: str, subject: str, figure: str) -> list[float]:
        return list(self.parts.get(name, {}).get(subject, {}).get(figure, ()))

    def add(self, scenario: str, subject: str, found: Round) -> None:
        self.rounds.setdefault(scenario, {}).setdefault(subject, []).append(found)


def to_json(results: Results) -> str:
    scenarios = {
        name: {
            "title": results.titles.get(name, ""),
            "subjects": {
                subject: {
                    "rounds": [_round(each) for each in rounds],
                    "pooled": results.pooled.get(name, {}).get(subject, {}),
                }
                for subject, rounds in subjects.items()
            },
        }
        for name, subjects in results.rounds.items()
    }
    return json.dumps(
        {
            "format": FORMAT,
            "about": results.about,
            "scenarios": scenarios,
            "parts": results.parts,
            "troubles": results.troubles,
            "bar": results.bar,
        },
        indent=1,
    )


def _round(found: Round) -> dict[str, Any]:
    return {
        "number": found.number,
        "foreign": round(found.foreign, 4),
        "disturbed": found.disturbed,
        "figures": {name: float(f"{value:.6g}") for name, value in found.figures.items()},
    }


def from_json(text: str) -> Results:
    """Raises ValueError if this is no results file of this format."""
    told: Mapping[str, Any] = json.loads(text)
    if told.get("format") != FORMAT:
        message = f"not a results file of format {FORMAT}"
        raise ValueError(message)
    results = Results(
        about=told["about"], parts=told["parts"], troubles=told["troubles"], bar=told["bar"]
    )
    for name, scenario in told["scenarios"].items():
        results.titles[name] = scenario["title"]
        for subject, found in scenario["subjects"].items():
            results.pooled.setdefault(name, {})[subject] = found["pooled"]
            for each in found["rounds"]:
                results.add(name, subject, Round(**each))
    return results


def about(*, when: str, scale: str, languages: Mapping[str, str], apart: bool) -> dict[str, Any]:
    """Machine, versions, method, and what was measured."""
    return {
        "when": when,
        "scale": scale,
        "commit": _told("git", "rev-parse", "--short=12", "HEAD"),
        "changed": bool(_told("git", "status", "--porcelain", "--untracked-files=no")),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory GB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
            "system": f"{platform.system()} {platform.release()}",
            "subject on a core of its own": apart,
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
        },
        "versions": {"python": platform.python_version(), **_versions()},
        "written in": dict(languages),
        "method": METHOD,
        "command": " ".join(sys.argv[1:]),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["nginx"] = _told("nginx", "-v").rpartition("/")[2]
    found["cc"] = _told("cc", "--version").partition("\n")[0]
    if there := peers.installed():
        found |= {f"{name} (peer)": told for name, told in there.items()}
        found["node"] = _told("node", "--version")
    return found


def _told(*command: str) -> str:
    """What a program says in one line or two; empty if it cannot be asked."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TOLD_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, told = line.partition(":")
        if name.strip() == "model name":
            return told.strip()
    return platform.machine()
