"""Runs a judge over an answer, and divides answers at random places."""

from __future__ import annotations

import itertools
from typing import TypeAlias

from hypothesis import strategies as st

from gateway.events import Usage
from gateway.wire.base import Fault, Judge, Wire

Verdict: TypeAlias = tuple[bool, bool, Fault | None, Usage | None, str]


def judged(wire: Wire, *chunks: bytes, stream: bool = True) -> Judge:
    judge = wire.judge(stream=stream)
    for chunk in chunks:
        judge.feed(chunk)
    judge.end()
    return judge


def verdict(wire: Wire, *chunks: bytes, stream: bool = True) -> Verdict:
    judge = judged(wire, *chunks, stream=stream)
    assert judge.done != (judge.fault is not None)
    return judge.content, judge.done, judge.fault, judge.usage, judge.served_model


def cut(answer: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(answer) + 1) for place in places), len(answer)]
    return [answer[a:b] for a, b in itertools.pairwise(edges)]


PLACES = st.lists(st.integers(0, 100_000), max_size=12)
