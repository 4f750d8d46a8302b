from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.config import Telemetry
from gateway.events import AttemptFinished, AttemptOutcome, Failure, RequestFinished, RequestOutcome
from gateway.telemetry.sampling import Sampling
from tests.storage.samples import example

NONE = Sampling(Telemetry(trace_sample_ratio=0.0, trace_slow_seconds=30.0))
QUIET: dict[str, Any] = {
    "trace_id": "f" * 32,
    "outcome": RequestOutcome.OK,
    "failure": None,
    "fallback_from": "",
    "duration_seconds": 1.0,
}


def test_the_share_is_the_one_asked_for() -> None:
    rng, sampling = Random(1), Sampling(Telemetry(trace_sample_ratio=0.25))
    kept = sum(sampling.by_id(f"{rng.getrandbits(128):032x}") for _ in range(2000))
    assert 400 < kept < 600


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, False), (1.0, True)])
def test_none_and_all_are_exact(ratio: float, kept: bool) -> None:
    sampling = Sampling(Telemetry(trace_sample_ratio=ratio))
    assert all(sampling.by_id(each) is kept for each in ("0" * 32, "f" * 32))


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, False),
        ({"outcome": RequestOutcome.UPSTREAM_ERROR}, True),
        ({"outcome": RequestOutcome.EXHAUSTED}, True),
        ({"outcome": RequestOutcome.SHED}, True),
        ({"failure": Failure.OVERLOADED}, True),
        ({"fallback_from": "a/x"}, True),
        ({"duration_seconds": 30.0}, True),
        # A client could flood the collector with its own mistakes.
        ({"outcome": RequestOutcome.CLIENT_ERROR, "failure": Failure.BAD_REQUEST}, False),
        ({"outcome": RequestOutcome.CANCELLED, "failure": Failure.CANCELLED}, False),
    ],
)
def test_what_is_telling_is_always_kept(changes: dict[str, Any], kept: bool) -> None:
    assert NONE.request(example(RequestFinished, **(QUIET | changes))) is kept


@pytest.mark.parametrize(
    ("changes", "kept"),
    [({}, False), ({"outcome": AttemptOutcome.FAILED}, True), ({"probe": True}, True)],
)
def test_attempts_that_are_telling_are_kept(changes: dict[str, Any], kept: bool) -> None:
    quiet = {"trace_id": "f" * 32, "outcome": AttemptOutcome.OK, "probe": False}
    assert NONE.attempt(example(AttemptFinished, **(quiet | changes))) is kept
