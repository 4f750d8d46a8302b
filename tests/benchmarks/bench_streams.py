"""What a stream costs: CPU per chunk when chunks are paced as a model's, and when they burst."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

from tests.benchmarks.http_bytes import chat_request
from tests.benchmarks.load import closed_loop, once_each
from tests.benchmarks.report import show
from tests.benchmarks.subjects import Meter, Subject

ROUNDS = 3
PACED_STREAMS = 100
PACED_CHUNKS = 75
PACE_MS = 20
"""Fifty tokens a second: what users see of a fast model."""
SPREAD_SECONDS = 0.5
BURST_STREAMS = 32
BURST_CHUNKS = 100
BURST_SECONDS = 0.8
MICROS = 1e6


def paced(subjects: Sequence[Subject]) -> None:
    request = chat_request(stream=(PACED_CHUNKS, PACE_MS))
    gateways = [subject for subject in subjects if subject.name != "direct"]
    figures: dict[str, dict[str, list[float]]] = {
        each.name: {"CPU us/chunk": [], "first chunk us": []} for each in gateways
    }
    meters = {each.name: Meter(each) for each in gateways}
    for _ in range(ROUNDS):
        for subject in gateways:
            took = asyncio.run(
                once_each(subject.port, request, count=PACED_STREAMS, spread_seconds=SPREAD_SECONDS)
            )
            used = meters[subject.name].cpu_seconds()
            into = figures[subject.name]
            into["CPU us/chunk"].append(used / (took.requests * PACED_CHUNKS) * MICROS)
            into["first chunk us"].append(median(took.to_first) * MICROS)
    note = f"{PACED_STREAMS} streams, a chunk every {PACE_MS} ms"
    show("Paced streams", note, figures)


def burst(subjects: Sequence[Subject]) -> None:
    request = chat_request(stream=(BURST_CHUNKS, 0))
    gateways = [subject for subject in subjects if subject.name != "direct"]
    figures: dict[str, dict[str, list[float]]] = {
        each.name: {"chunks/s": [], "CPU us/chunk": []} for each in gateways
    }
    meters = {each.name: Meter(each) for each in gateways}
    for _ in range(ROUNDS):
        for subject in gateways:
            took = asyncio.run(
                closed_loop(subject.port, request, count=BURST_STREAMS, seconds=BURST_SECONDS)
            )
            used = meters[subject.name].cpu_seconds()
            chunks = took.requests * BURST_CHUNKS
            into = figures[subject.name]
            into["chunks/s"].append(chunks / took.seconds)
            into["CPU us/chunk"].append(used / chunks * MICROS)
    note = f"{BURST_STREAMS} connections, {BURST_CHUNKS} chunks as fast as they come"
    show("Burst streams", note, figures)
