"""Credentials, money, caches and dwell; exemplars; and names made to hurt."""

from __future__ import annotations

from random import Random
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from gateway.config import Stability, Telemetry
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CooldownStarted,
    Event,
    Failure,
    RequestFinished,
    SessionMoved,
    Switched,
)
from gateway.routing.cooldown import Trigger
from gateway.routing.policy import Ladder
from gateway.routing.snapshot import snapshot
from gateway.telemetry.metrics import MetricsSink
from gateway.telemetry.sampling import Sampling
from tests.fakes import FakeClock
from tests.gateway.telemetry.building import stamp, usual
from tests.gateway.telemetry.test_metrics import Watched, attempt, empty_pool, request
from tests.storage.samples import example

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
HOSTILE = 10_000
LADDER = Ladder(base_seconds=900.0, cap_seconds=900.0)


async def test_what_a_moving_session_leaves_behind_is_counted() -> None:
    watched = Watched()
    moved: dict[str, Any] = {"route": "coder", "move": "detour"}
    await watched.tell(
        example(SessionMoved, cached_tokens=40_000, **moved),
        example(SessionMoved, cached_tokens=2_000, **moved),
    )
    lost = watched.value("evenkeel_cache_lost_tokens_total", route="coder", kind="detour")
    assert lost == 42_000


async def test_the_cost_of_falling_back_is_that_of_the_requests_that_did() -> None:
    watched = Watched()
    await watched.tell(
        request(cost_usd=0.5),
        request(cost_usd=None),
        request(cost_usd=9.0, fallback_from="", fallback_reason=""),
    )
    assert watched.value("evenkeel_fallback_cost_usd_total", route="coder") == 0.5


async def test_dwell_is_observed_when_a_route_is_left() -> None:
    watched = Watched()
    for seconds in (10.0, 400.0):
        left = example(
            Switched, route="coder", from_target="a/x", to_target="b/y", dwell_seconds=seconds
        )
        await watched.tell(left)
    short = watched.value("evenkeel_dwell_seconds_bucket", route="coder", le="300.0")
    assert (short, watched.value("evenkeel_dwell_seconds_count", route="coder")) == (1, 2)


def test_a_key_that_was_refused_is_parked_and_one_that_is_limited_cools(clock: FakeClock) -> None:
    watched = Watched()
    pool, now = empty_pool(clock), clock.now()
    first, second = pool.providers["a"].credentials
    for key, failure in ((first, Failure.AUTH), (second, Failure.QUOTA_EXHAUSTED)):
        key.spot.climb(LADDER, trigger=Trigger(failure), now=now, rng=Random(1))
    watched.scrape(snapshot(pool, now))
    states = [
        watched.value("evenkeel_credential_state", provider="a", credential=name)
        for name in ("first", "second")
    ]
    assert states == [8, 2]
    ready = watched.value(
        "evenkeel_credential_ready_timestamp_seconds", provider="a", credential="first"
    )
    assert ready >= now.timestamp / 1e6 + 900
    assert watched.value("evenkeel_credential_state", provider="b", credential="first") == 0


async def test_what_is_left_of_a_limit_is_told_of_known_keys_only() -> None:
    watched = Watched()
    await watched.tell(
        attempt(credential="first", quota_remaining=0.25),
        attempt(credential="second", quota_remaining=None),
        attempt(credential="a client's", quota_remaining=0.5),
    )
    name = "evenkeel_credential_quota_remaining"
    found = {labels: value for (each, labels), value in watched.series().items() if each == name}
    key = frozenset({("provider", "a"), ("credential", "first")})
    assert found == {key: 0.25}


def test_the_lines_of_damping_are_told_beside_the_penalty(clock: FakeClock) -> None:
    watched = Watched()
    watched.scrape(snapshot(empty_pool(clock), clock.now()))
    place = {"route": "coder", "target": "a/x"}
    lines = [watched.value(f"evenkeel_flap_{line}_at", **place) for line in ("reuse", "suppress")]
    usually = Stability()
    assert lines == [usually.reuse_at, usually.suppress_at]


def _exemplars(sink: MetricsSink, clock: FakeClock) -> dict[str, set[str]]:
    render = sink.scrape(
        snapshot(empty_pool(clock), clock.now()), {}, store_bytes=0, loop_lag_seconds=0
    )
    body, _ = render(OPENMETRICS)
    found: dict[str, set[str]] = {}
    for family in read_openmetrics(body.decode()):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is not None:
                found.setdefault(family.name, set()).add(sample.exemplar.labels["trace_id"])
    return found


async def test_requests_whose_spans_are_kept_are_exemplars(clock: FakeClock) -> None:
    kept, other = "0" * 31 + "a", "f" * 32
    sampling = Sampling(Telemetry(trace_sample_ratio=0.5))
    sink = MetricsSink(usual(), version="1", registry=CollectorRegistry(), sampling=sampling)
    events: list[Event] = []
    for trace in (kept, other):
        quiet = {"trace_id": trace, "failure": None}
        events.append(attempt(first_content_seconds=0.3, outcome=AttemptOutcome.OK, **quiet))
        events.append(request(fallback_from="", fallback_reason="", **quiet))
    await sink.take(stamp(events))
    assert _exemplars(sink, clock) == {
        "evenkeel_request_duration_seconds": {kept},
        "evenkeel_attempts": {kept},
        "evenkeel_time_to_first_token_seconds": {kept},
    }


async def test_ten_thousand_hostile_names_make_no_series() -> None:
    watched, rng = Watched(), Random(7)
    before = len(watched.series())
    for number in range(HOSTILE):
        name = f'{rng.random()}"}}\n# HELP {number} \\ é\x00'
        await watched.tell(
            example(AttemptFinished, provider=name, model=name, route=name, credential=name),
            example(RequestFinished, route=name, provider=name, model=name, fallback_from=name),
            example(Switched, route=name, from_target=name, to_target=name, reason=name),
            example(CooldownStarted, provider=name, model=name, credential=name, reason=name),
            example(SessionMoved, route=name, move=name),
        )
    # What nobody configured is `other`, in each metric once; the first event brings the version.
    assert len(watched.series()) - before < 120
    assert not any("HELP" in value for _, labels in watched.series() for _, value in labels)
