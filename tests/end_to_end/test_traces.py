"""The trace of a rescued request, as a real OTLP receiver gets it."""

from __future__ import annotations

import json
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.end_to_end.gateways import (
    OPENAI_PATH,
    PATIENCE_SECONDS,
    Served,
    gateway,
    openai,
    settings_of,
)
from tests.end_to_end.neighbours import Collector, collector, said
from tests.upstream import Answer, ScriptedUpstream, openai_error

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLERS = f"00-{TRACE}-{CALLER}-01"
PAUSE_SECONDS = 0.2
NANOS = 1_000_000_000
PROMPT = "The tide tables, please."


async def sent(served: Served) -> None:
    assert await served.context.spine.settled("traces", PATIENCE_SECONDS)


def told(spans: Collector, kind: Span.SpanKind.ValueType) -> list[Span]:
    """Of the caller's trace, in the order in which they began."""
    found = [span for span in spans.of_trace(TRACE) if span.kind == kind]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


async def test_a_rescued_request_is_a_tree_under_its_callers_span(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, collector() as spans:
        a.default = openai_error(503, "server_is_overloaded")
        b.default = Answer(text=("One", " two"), between_chunks=PAUSE_SECONDS)
        settings = settings_of(
            {"a": openai(a), "b": openai(b)},
            {"coder": ["a/m", "b/m"]},
            # Nothing but what is telling is kept.
            telemetry={"otlp_endpoint": spans.url, "trace_sample_ratio": 0},
        )
        async with gateway(tmp_path, settings) as g:
            got = await g.client.chat(stream=True, traceparent=CALLERS, baggage="user=ada")
            plain = await g.client.chat()
            await sent(g)
            switches, rests = await g.client.all("switches"), await g.client.all("cooldowns")
        assert got.status == 200
        assert got.headers["traceparent"].split("-")[1] == TRACE
        for hit in (*a.hits, *b.hits):
            assert not {"traceparent", "baggage"} & {name.lower() for name, _ in hit.headers}

    [server] = told(spans, Span.SPAN_KIND_SERVER)
    [operation] = told(spans, Span.SPAN_KIND_INTERNAL)
    first, second = told(spans, Span.SPAN_KIND_CLIENT)
    assert server.parent_span_id.hex() == CALLER
    assert operation.parent_span_id == server.span_id
    assert first.parent_span_id == second.parent_span_id == operation.span_id
    assert (server.name, operation.name) == ("POST /v1/chat/completions", "chat coder")
    assert said(server)["http.response.status_code"] == 200
    assert said(operation)["evenkeel.attempts"] == 2
    assert said(operation)["evenkeel.fallback.from"] == "a/m"
    assert {server.status.code, operation.status.code} == {Status.STATUS_CODE_UNSET}
    assert said(first)["error.type"] == "overloaded"
    assert first.status.code == Status.STATUS_CODE_ERROR
    assert "http.request.resend_count" not in said(first)
    assert said(second)["http.request.resend_count"] == 1
    assert said(second)["gen_ai.provider.name"] == "b"
    # It ends with the last byte, and so do the operation and the attempt that served.
    for span in (server, operation, second):
        assert span.end_time_unix_nano - span.start_time_unix_nano >= PAUSE_SECONDS * NANOS
    within = [event.name for event in operation.events]
    assert within.count("evenkeel.switched") == len(switches) == 1
    assert within.count("evenkeel.cooldown_started") == len(rests)
    # What concerns the route has a root of its own, linked to the operation and to its failed attempt.
    [switch] = [span for span in spans.spans if span.name == "switch coder"]
    assert switch.trace_id.hex() != TRACE
    assert not switch.parent_span_id
    assert [link.span_id for link in switch.links] == [operation.span_id, first.span_id]
    # The second request was served at once by the new target: a fallback, and kept for that.
    others = {span.trace_id for span in spans.spans if span.kind == Span.SPAN_KIND_SERVER}
    assert len(others) == 2
    assert plain.headers["traceparent"].split("-")[1] in {each.hex() for each in others}


async def test_a_collector_that_is_away_costs_requests_nothing(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        settings = settings_of(
            {"a": openai(a)},
            {"coder": ["a/m"]},
            telemetry={"otlp_endpoint": "http://127.0.0.1:9"},
        )
        async with gateway(tmp_path, settings) as g:
            assert (await g.client.chat()).status == 200
            assert await g.context.spine.settled("storage", PATIENCE_SECONDS)
            series = await g.client.metrics()
            assert series.total("evenkeel_requests_total", outcome="ok") == 1
            assert series.total("evenkeel_events_dropped_total") == 0
            assert ("evenkeel_spans_dropped_total", frozenset()) in series


async def test_content_is_on_the_span_only_and_only_when_asked_for(tmp_path: Path) -> None:
    body = {
        "model": "coder",
        "messages": [{"role": "user", "content": f"{PROMPT} My key is sk-1234567890abcdef."}],
    }
    async with ScriptedUpstream() as a, collector() as spans:
        a.default = Answer(text=("High", " water", " at six."))
        for n, wanted in enumerate((True, False)):
            folder = tmp_path / str(n)
            folder.mkdir()
            telemetry = {"otlp_endpoint": spans.url, "capture_content": wanted}
            settings = settings_of({"a": openai(a)}, {"coder": ["a/m"]}, telemetry=telemetry)
            spans.spans.clear()
            async with gateway(folder, settings) as g:
                for stream in (False, True):
                    asked = {**body, "stream": stream}
                    assert (await g.client.post(OPENAI_PATH, asked)).status == 200
                await sent(g)
            told = [said(span) for span in spans.spans if span.name == "chat coder"]
            assert len(told) == 2
            for each in told:
                assert ("gen_ai.input.messages" in each) is wanted
                assert ("gen_ai.output.messages" in each) is wanted
                if wanted:
                    [message] = json.loads(each["gen_ai.input.messages"])
                    [part] = message["parts"]
                    assert message["role"] == "user"
                    assert part["content"] == f"{PROMPT} My key is ***."
                    [answer] = json.loads(each["gen_ai.output.messages"])
                    assert answer["parts"] == [{"type": "text", "content": "High water at six."}]
            for path in folder.iterdir():
                assert PROMPT.encode() not in path.read_bytes()
