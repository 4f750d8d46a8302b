from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as struct_replace
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from gateway.config import Route, RouteTarget
from gateway.delivery_parts import Sink, SinkStats
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    ConfigRejected,
    CooldownStarted,
    Failure,
    RequestFinished,
    RequestOutcome,
    Scope,
    Switched,
    SwitchKind,
)
from gateway.routing.cooldown import Trigger
from gateway.routing.hands import Act, Hands
from gateway.routing.pool import Pool
from gateway.routing.snapshot import Snapshot, snapshot
from gateway.telemetry.catalogue import METRICS
from gateway.telemetry.labels import Labels
from gateway.telemetry.metrics import MetricsSink
from tests.fakes import FakeClock
from tests.gateway.telemetry.building import some_events, stamp, usual
from tests.storage.samples import ALL_KINDS, example

_SINK: type[Sink] = MetricsSink
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """A metrics sink with a registry of its own, read back as Prometheus would."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sink = MetricsSink(usual(), version="1.2.3", registry=self.registry)
        self.number = 1

    async def tell(self, *events: Any) -> None:
        await self.sink.take(stamp(events, first=self.number))
        self.number += len(events)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(name, labels)
        assert found is not None, (name, labels)
        return found

    def total(self, name: str, **labels: str) -> float:
        return total(self.series(), name, **labels)

    def series(self) -> Series:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.registry.collect()
            for sample in family.samples
        }

    def scrape(self, view: Snapshot, **stats: SinkStats) -> tuple[bytes, str]:
        render = self.sink.scrape(view, stats, store_bytes=4096, loop_lag_seconds=0.25)
        return render("")


def total(series: Series, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (found, own), value in series.items() if found == name and wanted <= own)


def empty_pool(clock: FakeClock) -> Pool:
    return Pool(usual(), rng=Random(1), now=clock.now(), speaks=lambda *_: True)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def attempt(**changes: Any) -> AttemptFinished:
    usually: dict[str, Any] = {
        "provider": "a",
        "model": "x",
        "route": "coder",
        "probe": False,
        "outcome": AttemptOutcome.FAILED,
        "failure": Failure.RATE_LIMITED,
    }
    return example(AttemptFinished, **(usually | changes))


def request(**changes: Any) -> RequestFinished:
    usually: dict[str, Any] = {
        "provider": "b",
        "model": "y",
        "route": "coder",
        "outcome": RequestOutcome.OK,
        "failure": Failure.OVERLOADED,
        "fallback_from": "a/x",
        "fallback_reason": "overloaded",
    }
    return example(RequestFinished, **(usually | changes))


def test_all_series_exist_at_zero_from_the_start(watched: Watched) -> None:
    found = watched.series()
    ones = {name for (name, _), value in found.items() if value}
    assert ones == {"evenkeel_build_info"}
    assert len(found) - 1 == Labels(usual()).count()


def test_every_metric_of_the_catalogue_is_exported(watched: Watched) -> None:
    families = {family.name for family in watched.registry.collect()}
    assert families == {metric.name.removesuffix("_total") for metric in METRICS}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
async def test_no_series_appears_later_and_the_counts_are_those_of_the_events(seed: int) -> None:
    watched, rng = Watched(), Random(seed)
    events = some_events(rng, 120)
    before = set(watched.series())
    await watched.tell(*events)
    after = watched.series()
    appeared = {name for name, _ in set(after) - before}
    assert appeared == {"evenkeel_config_info"}

    requests = [event for event in events if isinstance(event, RequestFinished)]
    for (route, outcome), count in Counter((e.route, e.outcome) for e in requests).items():
        assert total(after, "evenkeel_requests_total", route=route, outcome=outcome) == count
    assert total(after, "evenkeel_requests_total") == len(requests)
    assert total(after, "evenkeel_request_duration_seconds_count") == len(requests)
    assert total(after, "evenkeel_fallbacks_total") == sum(bool(e.fallback_from) for e in requests)

    attempts = [event for event in events if isinstance(event, AttemptFinished)]
    for failure, count in Counter(e.failure for e in attempts).items():
        label = failure if failure is not None else ""
        assert total(after, "evenkeel_attempts_total", failure=label) == count
    assert total(after, "evenkeel_attempt_duration_seconds_count") == len(attempts)
    tokens = sum(e.usage.output_tokens or 0 for e in attempts if e.usage is not None)
    assert total(after, "evenkeel_tokens_total", kind="output") == tokens

    switches = [event for event in events if isinstance(event, Switched)]
    for kind, count in Counter(e.switch for e in switches).items():
        assert total(after, "evenkeel_switches_total", kind=kind) == count
    assert total(after, "evenkeel_reversals_total") == sum(e.reversal for e in switches)

    rests = [event for event in events if isinstance(event, CooldownStarted)]
    for scope, count in Counter(e.scope for e in rests).items():
        assert total(after, "evenkeel_cooldowns_total", scope=scope) == count
    assert total(after, "evenkeel_relapses_total") == sum(e.relapse for e in rests)


async def test_events_that_come_again_are_not_counted_twice(watched: Watched) -> None:
    events = some_events(Random(1), 50)
    await watched.sink.take(stamp(events))
    once = watched.series()
    await watched.sink.take(stamp(events))
    assert watched.series() == once


async def test_every_kind_of_event_is_taken_whatever_it_names(watched: Watched) -> None:
    await watched.tell(*(example(kind) for kind in ALL_KINDS))


async def test_what_a_client_wrote_is_never_a_label(watched: Watched) -> None:
    text = "client text"
    await watched.tell(
        attempt(model=text, route="direct"),
        request(model=text, route="direct", fallback_from=f"a/{text}", fallback_reason=text),
        example(Switched, route="direct", from_target=f"a/{text}", to_target=f"b/{text}"),
        example(CooldownStarted, provider="a", model=text, scope=Scope.TARGET, reason=text),
    )
    body, _ = watched.scrape(snapshot(empty_pool(FakeClock()), FakeClock().now()))
    assert text not in body.decode()
    assert watched.total("evenkeel_attempts_total", provider="a", model="other") == 1
    moved = {"from": "a/*", "to": "b/*"}
    assert watched.total("evenkeel_fallbacks_total", route="direct", **moved) == 1
    assert watched.total("evenkeel_switches_total", route="direct", **moved) == 1


async def test_a_rescue_is_a_success_after_a_failure(watched: Watched) -> None:
    await watched.tell(
        request(),
        request(failure=None),
        request(outcome=RequestOutcome.EXHAUSTED, provider="", model=""),
    )
    assert watched.value("evenkeel_rescues_total", route="coder") == 1
    labels = {"from": "a/x", "to": "b/y", "reason": "overloaded"}
    assert watched.value("evenkeel_fallbacks_total", route="coder", **labels) == 2


async def test_a_rotation_is_the_next_attempt_on_another_key_of_the_same_target(
    watched: Watched,
) -> None:
    await watched.tell(
        attempt(request_id="r1", credential="first"),
        attempt(request_id="r2", credential="first"),
        attempt(request_id="r1", credential="second", failure=Failure.AUTH),
        attempt(request_id="r1", provider="b", model="y", credential="other"),
        attempt(request_id="r2", credential="first"),
    )
    assert watched.value("evenkeel_rotations_total", provider="a", reason="rate_limited") == 1
    assert watched.total("evenkeel_rotations_total") == 1


async def test_a_rejected_configuration_is_told_until_one_is_taken(watched: Watched) -> None:
    await watched.tell(example(ConfigRejected))
    assert watched.value("evenkeel_config_stale") == 1


async def test_the_configuration_in_use_is_the_one_of_the_last_event(watched: Watched) -> None:
    await watched.tell(attempt())
    assert watched.value("evenkeel_config_info", version="one") == 1
    await watched.sink.take([struct_replace(stamp([attempt()], first=9)[0], config_version="two")])
    assert watched.value("evenkeel_config_info", version="two") == 1
    assert watched.registry.get_sample_value("evenkeel_config_info", {"version": "one"}) is None


def test_a_route_that_flaps_is_told_with_the_penalty_as_it_decays(
    watched: Watched, clock: FakeClock
) -> None:
    pool, now = empty_pool(clock), clock.now()
    hop = pool.routes["coder"].hops[0]
    hop.penalty.add(2600.0, hop.stability, now.instant)
    place = {"route": "coder", "target": "a/x"}
    for seconds, flaps, penalty in ((0.0, 1, 2600.0), (1800.0, 1, 1300.0), (7200.0, 0, 162.5)):
        later = now.later(seconds)
        pool.restless[pool.routes["coder"]] = None
        pool.expire(later)
        watched.scrape(snapshot(pool, later))
        assert watched.value("evenkeel_flapping", route="coder") == flaps
        assert watched.value("evenkeel_flap_penalty", **place) == pytest.approx(penalty)
        assert watched.value("evenkeel_flapping", route="big") == 0


def test_what_an_operator_did_is_seen_in_the_state(watched: Watched, clock: FakeClock) -> None:
    pool, now = empty_pool(clock), clock.now()
    hands, act = Hands(pool, rng=Random(1)), Act(actor="ada")
    hands.drain("a/x", act, now)
    hands.rest("b/y", Act(actor="ada", expires_seconds=60.0), now)
    watched.scrape(snapshot(pool, now))
    assert watched.value("evenkeel_target_state", route="coder", target="a/x") == 7
    assert watched.value("evenkeel_target_state", route="coder", target="b/y") == 2
    assert watched.value("evenkeel_route_candidates", route="coder") == 2
    until = watched.value(
        "evenkeel_cooldown_until_timestamp_seconds", provider="b", target="b/y", scope="target"
    )
    assert until == pytest.approx(now.timestamp / 1e6 + 60)


def test_requests_that_wait_are_counted(watched: Watched, clock: FakeClock) -> None:
    pool = empty_pool(clock)
    assert pool.waiting.join("r1", pool.routes["coder"], None)
    watched.scrape(snapshot(pool, clock.now()))
    assert watched.value("evenkeel_queue_waiters", route="coder") == 1
    pool.waiting.leave("r1")
    watched.scrape(snapshot(pool, clock.now()))
    assert watched.value("evenkeel_queue_waiters", route="coder") == 0


async def test_a_forced_switch_tells_that_a_whole_pool_was_refused(watched: Watched) -> None:
    await watched.tell(
        example(
            Switched,
            route="coder",
            from_target="a/x",
            to_target="b/y",
            switch=SwitchKind.FORCED,
            reason="pool_wide",
        )
    )
    assert watched.total("evenkeel_switches_total", kind="forced", reason="pool_wide") == 1


def test_state_is_that_of_the_pool(watched: Watched, clock: FakeClock) -> None:
    pool = empty_pool(clock)
    hop = pool.routes["coder"].hops[0]
    trigger = Trigger("overloaded")
    pool.left(pool.routes["coder"], hop, Failure.OVERLOADED, now=clock.now(), trigger=trigger)
    watched.scrape(snapshot(pool, clock.now()))
    assert watched.value("evenkeel_route_active", route="coder", target="a/x") == 1
    assert watched.value("evenkeel_route_active", route="coder", target="b/y") == 0
    assert watched.value("evenkeel_target_state", route="coder", target="a/x") == 1
    assert watched.value("evenkeel_target_state", route="big", target="a/x") == 0
    assert watched.value("evenkeel_route_candidates", route="coder") == 6
    until = watched.value(
        "evenkeel_cooldown_until_timestamp_seconds", provider="a", target="a/x", scope="target"
    )
    assert until >= clock.now().timestamp / 1e6 + 300
    later = clock.now().later(1000.0)
    pool.expire(later)
    watched.scrape(snapshot(pool, later))
    assert watched.total("evenkeel_cooldown_until_timestamp_seconds") == 0


def test_the_gateway_tells_of_its_own_sinks(watched: Watched, clock: FakeClock) -> None:
    view = snapshot(empty_pool(clock), clock.now())
    store = SinkStats(
        queued_events=3,
        queued_bytes=999,
        written=10,
        dropped=2,
        losing=True,
        unsafe=4,
        failures=1,
        last_error="",
        journal_bytes=55,
    )
    watched.scrape(view, storage=store, traces=replace(store, dropped=7))
    watched.scrape(view, storage=replace(store, written=15), traces=replace(store, dropped=7))
    assert watched.value("evenkeel_events_written_total") == 15
    assert watched.value("evenkeel_events_dropped_total") == 2
    assert watched.value("evenkeel_event_queue_bytes") == 999
    assert watched.value("evenkeel_journal_bytes") == 55
    assert watched.value("evenkeel_unsafe_answers_total") == 4
    assert watched.value("evenkeel_sink_dropped_total", sink="traces") == 7
    assert watched.value("evenkeel_store_bytes") == 4096
    assert watched.value("evenkeel_event_loop_lag_seconds") == 0.25


async def test_a_reload_keeps_the_counts_and_forgets_the_state_of_what_is_gone(
    watched: Watched, clock: FakeClock
) -> None:
    watched.scrape(snapshot(empty_pool(clock), clock.now()))
    await watched.tell(attempt(), request())
    route = Route(name="new", targets=(RouteTarget(target="a/x"),))
    watched.sink.configure(replace(usual(), routes=(route,)))
    assert watched.value("evenkeel_target_state", route="new", target="a/x") == 0
    assert watched.total("evenkeel_requests_total", route="coder") == 1
    names = {name for name, labels in watched.series() if ("route", "coder") in labels}
    assert all(name.endswith(("_total", "_count", "_sum", "_bucket")) for name in names)


@pytest.mark.parametrize(
    ("accept", "kind", "read"),
    [
        ("", "text/plain", read_text),
        ("*/*", "text/plain", read_text),
        ("application/openmetrics-text;version=1.0.0", "openmetrics", read_openmetrics),
    ],
)
async def test_the_text_is_what_was_asked_for(
    watched: Watched, clock: FakeClock, accept: str, kind: str, read: Any
) -> None:
    await watched.tell(*some_events(Random(2), 20))
    view = snapshot(empty_pool(clock), clock.now())
    render = watched.sink.scrape(view, {}, store_bytes=0, loop_lag_seconds=0.0)
    body, content_type = render(accept)
    assert kind in content_type
    assert len(list(read(body.decode()))) == len(METRICS)
