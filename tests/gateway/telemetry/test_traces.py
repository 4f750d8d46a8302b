from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.config import GenAIConventions, Telemetry
from gateway.delivery_parts import Sink
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    Scope,
    Switched,
    SwitchKind,
    Usage,
)
from gateway.telemetry.catalogue_spans import CONVENTIONS
from gateway.telemetry.sampling import Sampling
from gateway.telemetry.traces import SPANS_MAX, ExportError, TraceSink
from tests.gateway.telemetry.building import stamp
from tests.storage.samples import example

_SINK: type[Sink] = TraceSink
TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUEST_SPAN = "00f067aa0ba902b7"
CALLER_SPAN = "b7ad6b7169203331"


class Collector:
    """A real OTLP receiver; keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            body = await request.read()
            self.requests.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=self.status)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


@pytest.fixture
async def sink(collector: Collector) -> AsyncIterator[TraceSink]:
    sink = TraceSink(Telemetry(otlp_endpoint=collector.url), version="1.2.3")
    yield sink
    await sink.close()


def request(**changes: Any) -> RequestFinished:
    usually: dict[str, Any] = {
        "request_id": "r1",
        "trace_id": TRACE,
        "span_id": REQUEST_SPAN,
        "parent_span_id": CALLER_SPAN,
        "endpoint": "/v1/chat/completions",
        "outcome": RequestOutcome.OK,
        "status": 200,
        "provider": "b",
        "model": "y",
        "started": 1_000_000,
        "ts": 3_000_000,
        "waited_seconds": 0.0,
    }
    return example(RequestFinished, **(usually | changes))


def attempt(n: int, **changes: Any) -> AttemptFinished:
    usually: dict[str, Any] = {
        "request_id": "r1",
        "trace_id": TRACE,
        "span_id": f"{n:016x}",
        "n": n,
        "outcome": AttemptOutcome.OK,
        "failure": None,
        "status": 200,
        "probe": False,
    }
    return example(AttemptFinished, **(usually | changes))


def story() -> list[Event]:
    """A skipped candidate, a failed attempt, a rest, a switch, an answer."""
    return [
        example(CandidateSkipped, request_id="r1", trace_id=TRACE, cause="auth"),
        attempt(2, provider="a", outcome=AttemptOutcome.FAILED, failure=Failure.OVERLOADED),
        example(CooldownStarted, request_id="r1", scope=Scope.TARGET),
        example(Switched, request_id="r1", trace_id=TRACE, switch=SwitchKind.FORCED),
        attempt(3, provider="gemini", model="y"),
        request(),
    ]


def attributes(span: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


async def test_a_request_is_a_span_with_one_child_per_attempt_under_the_ids_of_the_events(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp(story()))
    whole, operation, first, second = within(collector)
    assert whole.span_id.hex() == REQUEST_SPAN
    assert whole.parent_span_id.hex() == CALLER_SPAN
    assert whole.kind == Span.SPAN_KIND_SERVER
    assert whole.name == "POST /v1/chat/completions"
    assert (whole.start_time_unix_nano, whole.end_time_unix_nano) == (10**9, 3 * 10**9)
    assert [span.span_id.hex() for span in (first, second)] == [f"{2:016x}", f"{3:016x}"]
    assert (operation.parent_span_id, operation.kind) == (whole.span_id, Span.SPAN_KIND_INTERNAL)
    assert operation.name == "chat some requested_model"
    assert {span.parent_span_id for span in (first, second)} == {operation.span_id}
    assert {span.kind for span in (first, second)} == {Span.SPAN_KIND_CLIENT}
    assert second.name == "chat y"


async def test_what_happened_within_is_events_of_the_request_in_their_order(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp(story()))
    operation = within(collector)[1]
    names = [event.name for event in operation.events]
    assert names == [
        "evenkeel.candidate_skipped",
        "evenkeel.cooldown_started",
        "evenkeel.switched",
    ]
    assert attributes(operation.events[0])["evenkeel.reason"] == "auth"


async def test_a_failed_attempt_is_an_error_and_a_rescued_request_is_none(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp(story()))
    whole, operation, first, second = within(collector)
    assert first.status.code == Status.STATUS_CODE_ERROR
    assert attributes(first)["error.type"] == "overloaded"
    assert whole.status.code == second.status.code == Status.STATUS_CODE_UNSET
    assert operation.status.code == Status.STATUS_CODE_UNSET
    assert "error.type" not in attributes(whole)
    assert "http.request.resend_count" not in attributes(first)
    assert attributes(second)["http.request.resend_count"] == 1


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (RequestOutcome.EXHAUSTED, Status.STATUS_CODE_ERROR),
        (RequestOutcome.CLIENT_ERROR, Status.STATUS_CODE_UNSET),
        (RequestOutcome.CANCELLED, Status.STATUS_CODE_UNSET),
    ],
)
async def test_only_the_gateways_side_can_be_at_fault(
    sink: TraceSink, collector: Collector, outcome: RequestOutcome, code: int
) -> None:
    await sink.take(stamp([request(outcome=outcome, failure=None)]))
    assert collector.spans[0].status.code == code


async def test_attempts_carry_the_names_of_the_conventions(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp(story()))
    found = attributes(within(collector)[3])
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "gcp.gemini"
    assert found["gen_ai.request.model"] == "y"
    assert found["gen_ai.usage.input_tokens"] == 1
    assert found["evenkeel.credential"] == "some credential"
    resource = attributes(collector.requests[0].resource_spans[0].resource)
    assert resource == {
        "service.name": "evenkeel",
        "service.version": "1.2.3",
        "service.instance.id": "boot",
    }


async def test_spans_are_kept_while_the_collector_fails_and_are_sent_once_when_it_works(
    sink: TraceSink, collector: Collector
) -> None:
    collector.status = 400
    batch = stamp(story())
    with pytest.raises(ExportError):
        await sink.take(batch)
    collector.status = 200
    await sink.take([*batch, *stamp([request(request_id="r2")], first=50)])
    sent = len(collector.spans)
    assert sent == 4 + 1 + 2  # Two requests and a switch.
    await sink.take(batch)
    assert len(collector.spans) == sent


async def test_a_collector_that_is_not_there_is_an_error_and_no_more() -> None:
    sink = TraceSink(Telemetry(otlp_endpoint="http://127.0.0.1:9/"), version="1")
    with pytest.raises(ExportError):
        await sink.take(stamp([request()]))
    await sink.close()


async def test_memory_is_bounded_whatever_the_collector_does(collector: Collector) -> None:
    collector.status = 400
    sink = TraceSink(Telemetry(otlp_endpoint=collector.url), version="1")
    with pytest.raises(ExportError):
        await sink.take(stamp([request()] * (SPANS_MAX // 2 + 50)))
    assert sink.dropped == 100
    await sink.close()


async def test_the_trace_id_decides_whether_a_trace_is_kept(collector: Collector) -> None:
    telemetry = Telemetry(otlp_endpoint=collector.url, trace_sample_ratio=0.25)
    sink, rng = TraceSink(telemetry, version="1"), Random(1)
    ids = [f"{rng.getrandbits(128):032x}" for _ in range(40)]
    events = [event for trace_id in ids for event in two_events(trace_id)]
    await sink.take(stamp(events))
    kept = sum(map(Sampling(telemetry).by_id, ids))
    assert 0 < kept < 40
    assert len(collector.spans) == 3 * kept
    await sink.close()


async def test_text_that_is_half_a_character_does_not_cost_the_trace(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp([request(session="half \ud800")]))
    assert attributes(collector.spans[1])["gen_ai.conversation.id"] == "half ?"


def test_opentelemetry_is_not_loaded_before_the_first_span() -> None:
    code = (
        "import sys; from gateway.config import Telemetry;"
        "from gateway.telemetry.traces import TraceSink;"
        "TraceSink(Telemetry(otlp_endpoint='http://127.0.0.1:1'), version='1');"
        "sys.exit(any(name.startswith(('opentelemetry', 'requests')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def two_events(trace_id: str) -> list[Event]:
    """Of a request in which nothing happened."""
    ids = {"trace_id": trace_id, "request_id": f"request {trace_id}"}
    quiet = {"failure": None, "fallback_from": "", "duration_seconds": 0.1}
    return [attempt(1, probe=False, **ids), request(**quiet, **ids)]


def within(collector: Collector) -> list[Span]:
    """Spans of the request's own trace, in the order they were sent."""
    return [span for span in collector.spans if span.trace_id.hex() == TRACE]


def roots(collector: Collector) -> list[Span]:
    """What has a trace of its own."""
    return [span for span in collector.spans if span.trace_id.hex() != TRACE]


async def test_a_switch_is_a_root_linked_to_its_request_and_the_failure_that_caused_it(
    sink: TraceSink, collector: Collector
) -> None:
    await sink.take(stamp(story()))
    [switch] = roots(collector)
    _, operation, failed, _ = within(collector)
    assert switch.name == f"switch {attributes(switch)['evenkeel.route']}"
    assert not switch.parent_span_id
    assert [link.span_id for link in switch.links] == [operation.span_id, failed.span_id]
    assert {link.trace_id.hex() for link in switch.links} == {TRACE}
    assert attributes(switch)["evenkeel.switch"] == "forced"


async def test_a_cooldown_that_ended_is_a_root_linked_to_the_attempt_that_began_it(
    sink: TraceSink, collector: Collector
) -> None:
    failed = attempt(
        1, attempt_id="r1.1", outcome=AttemptOutcome.FAILED, failure=Failure.OVERLOADED
    )
    began = example(CooldownStarted, request_id="r1", cooldown_id="c", trigger_attempt_id="r1.1")
    over = example(CooldownEnded, cooldown_id="c", ended_at=9_000_000, duration_seconds=2.0)
    await sink.take(stamp([failed, began, request(), over]))
    [rest] = roots(collector)
    assert [link.span_id.hex() for link in rest.links] == [f"{1:016x}"]
    assert rest.end_time_unix_nano - rest.start_time_unix_nano == 2 * 10**9
    await sink.take(stamp([replace(over, cooldown_id="of another process")], first=9))
    assert not roots(collector)[-1].links


async def test_a_return_is_linked_to_the_probes_that_spoke_for_it(
    sink: TraceSink, collector: Collector
) -> None:
    place = {"route": "coder", "provider": "a", "model": "x", "probe": True}
    probes = [attempt(n, request_id=f"p{n}", **place) for n in (1, 2)]
    back = example(
        Switched,
        request_id="r1",
        trace_id=TRACE,
        route="coder",
        to_target="a/x",
        switch=SwitchKind.RETURN,
    )
    await sink.take(stamp([*probes, back, request()]))
    first, second, switch = roots(collector)
    assert [first.name, second.name] == ["probe a/x"] * 2
    assert [link.span_id.hex() for link in first.links] == [f"{1:016x}"]
    _, *spoke = [link.span_id.hex() for link in switch.links]
    assert spoke == [f"{1:016x}", f"{2:016x}"]


async def test_a_request_without_a_route_is_one_span(sink: TraceSink, collector: Collector) -> None:
    await sink.take(stamp([request(route="", outcome=RequestOutcome.CLIENT_ERROR)]))
    assert len(collector.spans) == 1


async def test_the_names_of_the_conventions_can_be_the_newer_ones(collector: Collector) -> None:
    telemetry = Telemetry(
        otlp_endpoint=collector.url, genai_conventions=GenAIConventions.DEVELOPMENT
    )
    sink = TraceSink(telemetry, version="1")
    await sink.take(stamp([attempt(1, usage=Usage(cache_write_tokens=5)), request()]))
    assert attributes(within(collector)[2])["gen_ai.usage.cache_write.input_tokens"] == 5
    assert set(CONVENTIONS) == set(GenAIConventions)
    await sink.close()
