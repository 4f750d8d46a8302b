"""Results that were not measured, for tests of what is made of results."""

from __future__ import annotations

from collections.abc import Mapping

from tests.benchmarks.figures import Round
from tests.benchmarks.results import Results

Values = Mapping[str, Mapping[str, Mapping[str, list[float]]]]
"""Scenario → subject → figure → a value a round."""

ABOUT = {
    "when": "today",
    "commit": "0123456789ab",
    "changed": True,
    "scale": "none",
    "machine": {"cores": 2},
    "versions": {"python": "3"},
    "written in": {"load": "C"},
}


def made_up(values: Values) -> Results:
    results = Results(about=dict(ABOUT))
    for scenario, subjects in values.items():
        results.titles[scenario] = f"a title of {scenario}"
        for subject, figures in subjects.items():
            for number, row in enumerate(zip(*figures.values(), strict=True)):
                found = dict(zip(figures, row, strict=True))
                results.add(scenario, subject, Round(number, found))
    return results


GOOD: Values = {
    "start": {"evenkeel": {"ready s": [1.0], "idle MB": [70.0]}},
    "single-1k": {
        "aiohttp": {"requests/s": [1000, 2000], "CPU us/request": [200, 400]},
        "nginx": {"requests/s": [20_000, 40_000], "CPU us/request": [20, 40]},
        "evenkeel": {"requests/s": [2500, 5100], "CPU us/request": [100, 204]},
        "all off": {"requests/s": [3000, 6000], "CPU us/request": [90, 180]},
    },
    "rate-100": {
        "aiohttp": {"added p50 us": [1000]},
        "nginx": {"added p50 us": [300]},
        "evenkeel": {"added p50 us": [500]},
    },
    "paced": {
        "aiohttp": {"first chunk p50 us": [1000], "CPU us/chunk": [50]},
        "nginx": {"first chunk p50 us": [300], "CPU us/chunk": [30]},
        "evenkeel": {"first chunk p50 us": [400], "CPU us/chunk": [30]},
    },
    "burst": {
        "aiohttp": {"chunks/s": [100_000]},
        "nginx": {"chunks/s": [700_000]},
        "evenkeel": {"chunks/s": [400_000]},
    },
    "failover": {
        "evenkeel": {
            "plain p50 us": [500],
            "fallback added p50 us": [300],
            "fallback tried": [0.99],
            "sticky added p50 us": [50],
        }
    },
    "held-1000": {"evenkeel": {"whole": [1.0], "transit p99 us": [5000]}},
    "held-3000": {"evenkeel": {"whole": [1.0], "KB/stream": [20], "transit p99 us": [9000]}},
}
"""Everything that must hold does, as far as it is measured."""
