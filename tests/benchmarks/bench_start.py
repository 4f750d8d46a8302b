"""How long a gateway takes to its first answer, and how much memory it holds then."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.report import show
from tests.benchmarks.subjects import Subject


def start(subjects: Sequence[Subject]) -> None:
    """To be called before there was any load."""
    figures = {
        each.name: {
            "start s": [each.ready_seconds],
            "start CPU s": [each.cpu_seconds()],
            "idle MB": [each.resident_megabytes()],
        }
        for each in subjects
        if each.name != "direct"
    }
    show("Start", "from the process's start to the first answer through it", figures)


def after_load(subjects: Sequence[Subject]) -> None:
    figures = {
        each.name: {"MB after load": [each.resident_megabytes()]}
        for each in subjects
        if each.name != "direct"
    }
    show("Memory", "once the load of all benchmarks is over", figures)
