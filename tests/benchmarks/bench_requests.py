"""What a single answer costs: requests per second, CPU per request, and time added at low rate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

from tests.benchmarks.http_bytes import chat_request
from tests.benchmarks.load import closed_loop, fixed_rate
from tests.benchmarks.report import show
from tests.benchmarks.subjects import Meter, Subject

CONNECTIONS = (16, 64)
ROUNDS = 4
SLICE_SECONDS = 0.8
WARM_SECONDS = 0.5
RATE_PER_SECOND = 100.0
"""Far below what saturates anyone: what one user sees of an idle gateway."""
RATE_ROUNDS = 3
RATE_SECONDS = 1.5
MICROS = 1e6


def throughput(subjects: Sequence[Subject]) -> None:
    request = chat_request()
    gateways = [subject for subject in subjects if subject.name != "direct"]
    for subject in gateways:
        asyncio.run(closed_loop(subject.port, request, count=16, seconds=WARM_SECONDS))
    meters = {each.name: Meter(each) for each in gateways}
    for count in CONNECTIONS:
        figures: dict[str, dict[str, list[float]]] = {
            each.name: {"requests/s": [], "CPU us/request": []} for each in gateways
        }
        for _ in range(ROUNDS):
            for subject in gateways:
                took = asyncio.run(
                    closed_loop(subject.port, request, count=count, seconds=SLICE_SECONDS)
                )
                used = meters[subject.name].cpu_seconds()
                into = figures[subject.name]
                into["requests/s"].append(took.requests / took.seconds)
                into["CPU us/request"].append(used / took.requests * MICROS)
        show(f"Single answers, {count} connections", "closed loop", figures)


def added_latency(subjects: Sequence[Subject]) -> None:
    request = chat_request()
    figures: dict[str, dict[str, list[float]]] = {
        each.name: {"p50 us": [], "added us": [], "CPU us/request": []} for each in subjects
    }
    meters = {each.name: Meter(each) for each in subjects}
    for _ in range(RATE_ROUNDS):
        bare = 0.0
        for subject in subjects:
            took = asyncio.run(
                fixed_rate(subject.port, request, per_second=RATE_PER_SECOND, seconds=RATE_SECONDS)
            )
            used = meters[subject.name].cpu_seconds()
            middle = median(took.to_last) * MICROS
            into = figures[subject.name]
            into["p50 us"].append(middle)
            if subject.name == "direct":
                bare = middle  # Its CPU is that of everybody's provider.
            else:
                into["added us"].append(middle - bare)
                into["CPU us/request"].append(used / took.requests * MICROS)
    show(f"Latency at {RATE_PER_SECOND:.0f} requests/s", "added: less the direct one", figures)
