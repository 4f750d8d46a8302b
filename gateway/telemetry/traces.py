"""The sink that makes OpenTelemetry spans, one per request and one per attempt, and sends them.

Their ids are those of the events, so the sink only has to put the parts of a request together.
Whether a trace is kept is decided by its id, before any span is made. OpenTelemetry is imported
where the sink is made: who has no collector does not load it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.config import Telemetry
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownStarted,
    RequestFinished,
    RequestOutcome,
    Stamped,
    Switched,
    Usage,
)
from gateway.telemetry.catalogue import OPERATIONS, PROVIDERS, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event as SpanEvent
    from opentelemetry.sdk.trace import ReadableSpan

SPANS_MAX: Final = 8192
"""Spans that wait for a collector that is away; older ones make room."""
EXPORT_SPANS_MAX: Final = 512
OPEN_REQUESTS_MAX: Final = 4096
"""Requests with parts and no end yet; the oldest are forgotten."""
PARTS_MAX: Final = 128
"""Parts of one request: more candidates than any trace shows."""
EXPORT_TIMEOUT_SECONDS: Final = 5.0
TRACE_ID_BITS: Final = (1 << 64) - 1
"""The half of a trace id that decides, as in OpenTelemetry's own ratio sampler."""
NANOS: Final = 1000
"""In a microsecond."""

Part = AttemptFinished | CandidateSkipped | Switched | CooldownStarted
Attributes = Mapping[str, str | bool | int | float]

_TOKENS: Final = {
    Span.INPUT_TOKENS: "input_tokens",
    Span.OUTPUT_TOKENS: "output_tokens",
    Span.CACHED_TOKENS: "cached_tokens",
    Span.CACHE_WRITE_TOKENS: "cache_write_tokens",
    Span.REASONING_TOKENS: "reasoning_tokens",
}
_FAULTS: Final = (RequestOutcome.UPSTREAM_ERROR, RequestOutcome.EXHAUSTED, RequestOutcome.SHED)
"""Outcomes that are an error of the gateway's side; a client's own are not."""


class ExportError(Exception):
    """The collector did not take the spans; they are kept and sent again."""


class TraceSink:
    """A `Sink`. A collector that is away costs spans after a while, and nothing else."""

    name = "traces"

    def __init__(self, telemetry: Telemetry, *, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = telemetry.otlp_endpoint.rstrip("/")
        if not endpoint.endswith("/v1/traces"):
            endpoint += "/v1/traces"
        # The spine tells of failures, once; the exporter would with every try.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_SECONDS)
        self._version = version
        self._bound = round(telemetry.trace_sample_ratio * (TRACE_ID_BITS + 1))
        self._open: dict[str, list[Part]] = {}
        """Request → what is known of it before it is over."""
        self._ready: deque[ReadableSpan] = deque(maxlen=SPANS_MAX)
        self._builder: _Builder | None = None
        self._boot_id = ""
        self._seen = 0
        self.dropped = 0
        """Spans that made room for newer ones."""

    async def take(self, batch: Sequence[Stamped]) -> None:
        """Raises `ExportError`; the spans of the batch are then kept, and not made again."""
        for stamped in batch:
            self._put(stamped)
        while self._ready:
            spans = [self._ready[n] for n in range(min(EXPORT_SPANS_MAX, len(self._ready)))]
            await asyncio.to_thread(self._export, spans)
            for _ in spans:
                self._ready.popleft()

    async def close(self) -> None:
        await asyncio.to_thread(self._exporter.shutdown)

    def sampled(self, trace_id: str) -> bool:
        """Whether the trace of these 32 hexadecimal digits is kept; every replica agrees."""
        return int(trace_id, 16) & TRACE_ID_BITS < self._bound

    def _export(self, spans: Sequence[ReadableSpan]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            message = f"the collector did not take {len(spans)} spans"
            raise ExportError(message)

    def _put(self, stamped: Stamped) -> None:
        if self._builder is None or stamped.boot_id != self._boot_id:
            self._boot_id, self._seen = stamped.boot_id, 0
            self._builder = _Builder(version=self._version, boot_id=stamped.boot_id)
        if stamped.seq <= self._seen:
            return
        self._seen = stamped.seq
        match stamped.event:
            case RequestFinished() as request:
                parts = self._open.pop(request.request_id, [])
                if not self.sampled(request.trace_id):
                    return
                for span in self._builder.spans(request, parts):
                    self.dropped += len(self._ready) == SPANS_MAX
                    self._ready.append(span)
            case AttemptFinished() | CandidateSkipped() | Switched() as part:
                if part.request_id and self.sampled(part.trace_id):
                    self._keep(part)
            case CooldownStarted() as part if part.request_id in self._open:
                self._keep(part)

    def _keep(self, part: Part) -> None:
        parts = self._open.get(part.request_id)
        if parts is None:
            if len(self._open) >= OPEN_REQUESTS_MAX:
                del self._open[next(iter(self._open))]
            parts = self._open[part.request_id] = []
        if len(parts) < PARTS_MAX:
            parts.append(part)


class _Builder:
    """Makes spans of events. Holds what OpenTelemetry's modules are needed for."""

    def __init__(self, *, version: str, boot_id: str) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._api = trace
        self._sdk = sdk
        self._resource = Resource(
            {
                "service.name": "evenkeel",
                "service.version": version,
                "service.instance.id": boot_id,
            }
        )
        self._scope = InstrumentationScope("evenkeel", version, str(Span.SCHEMA))

    def spans(self, request: RequestFinished, parts: Sequence[Part]) -> list[ReadableSpan]:
        attempts = [part for part in parts if isinstance(part, AttemptFinished)]
        events = [self._event(part) for part in parts if not isinstance(part, AttemptFinished)]
        made = [self._request(request, events)]
        for number, attempt in enumerate(attempts):
            made.append(self._attempt(request, attempt, resent=number))
        return made

    def _request(self, request: RequestFinished, events: list[SpanEvent]) -> ReadableSpan:
        faulty = request.outcome in _FAULTS
        return self._span(
            f"POST {request.endpoint}",
            kind=self._api.SpanKind.SERVER,
            ids=(request.trace_id, request.span_id),
            parent=request.parent_span_id,
            parent_is_remote=True,
            attributes=request_attributes(request),
            events=events,
            error=_name(request.failure or request.outcome) if faulty else "",
            started=request.started,
            ended=request.ts,
        )

    def _attempt(
        self, request: RequestFinished, attempt: AttemptFinished, *, resent: int
    ) -> ReadableSpan:
        failed = attempt.outcome is AttemptOutcome.FAILED
        attributes = dict(attempt_attributes(attempt, endpoint=request.endpoint))
        attributes[Span.STREAM] = request.stream
        if resent:
            attributes[Span.RESEND] = resent
        return self._span(
            f"{attributes[Span.OPERATION]} {attempt.model}",
            kind=self._api.SpanKind.CLIENT,
            ids=(attempt.trace_id, attempt.span_id),
            parent=request.span_id,
            parent_is_remote=False,
            attributes=attributes,
            events=[],
            error=_name(attempt.failure) if failed else "",
            started=attempt.started,
            ended=attempt.ts,
        )

    def _span(
        self,
        name: str,
        *,
        kind: Any,  # noqa: ANN401  # an enum of a module that is not imported
        ids: tuple[str, str],
        parent: str,
        parent_is_remote: bool,
        attributes: Attributes,
        events: list[SpanEvent],
        error: str,
        started: int,
        ended: int,
    ) -> ReadableSpan:
        api = self._api
        trace_id = ids[0]
        status = api.Status(api.StatusCode.ERROR, error) if error else api.Status()
        return self._sdk.ReadableSpan(
            name,
            context=self._context(trace_id, ids[1], remote=False),
            parent=self._context(trace_id, parent, remote=parent_is_remote) if parent else None,
            resource=self._resource,
            attributes=_plain(attributes),
            events=events,
            kind=kind,
            status=status,
            start_time=started * NANOS,
            end_time=max(started, ended) * NANOS,
            instrumentation_scope=self._scope,
        )

    def _context(self, trace_id: str, span_id: str, *, remote: bool) -> Any:  # noqa: ANN401
        flags = self._api.TraceFlags(self._api.TraceFlags.SAMPLED)
        return self._api.SpanContext(int(trace_id, 16), int(span_id, 16), remote, flags)

    def _event(self, part: CandidateSkipped | Switched | CooldownStarted) -> SpanEvent:
        name, attributes = event_attributes(part)
        return self._sdk.Event(name, _plain(attributes), timestamp=part.ts * NANOS)


def request_attributes(request: RequestFinished) -> Attributes:
    """Of the span of the whole request, empty ones left out."""
    target = f"{request.provider}/{request.model}" if request.provider else ""
    return _said(
        {
            Span.METHOD: "POST",
            Span.PATH: request.endpoint,
            Span.HTTP_ROUTE: request.endpoint,
            Span.STATUS: request.status,
            Span.ERROR: _name(request.failure) if request.outcome in _FAULTS else "",
            Span.REQUEST_ID: request.request_id,
            Span.ROUTE: request.route,
            Span.SESSION: request.session,
            Span.CLIENT: request.client,
            Span.OUTCOME: request.outcome.value,
            Span.REASON: request.reason,
            Span.TARGET: target,
            Span.CREDENTIAL: request.credential,
            Span.ATTEMPTS: request.attempts,
            Span.SKIPPED: request.skipped,
            Span.FALLBACK_FROM: request.fallback_from,
            Span.FALLBACK_REASON: request.fallback_reason,
        }
    )


def attempt_attributes(attempt: AttemptFinished, *, endpoint: str) -> Attributes:
    """Of the span of one upstream call, empty ones left out."""
    return _said(
        {
            Span.OPERATION: OPERATIONS.get(endpoint, "chat"),
            Span.PROVIDER: PROVIDERS.get(attempt.provider, attempt.provider),
            Span.REQUEST_MODEL: attempt.model,
            Span.STATUS: attempt.status,
            Span.ERROR: _name(attempt.failure),
            Span.FIRST_CHUNK: attempt.first_content_seconds,
            Span.ATTEMPT_ID: attempt.attempt_id,
            Span.TARGET: f"{attempt.provider}/{attempt.model}",
            Span.CREDENTIAL: attempt.credential,
            Span.OUTCOME: attempt.outcome.value,
            Span.REASON: attempt.reason,
            Span.SCOPE: _name(attempt.scope),
            Span.PROBE: attempt.probe,
            **_tokens(attempt.usage),
        }
    )


def event_attributes(part: CandidateSkipped | Switched | CooldownStarted) -> tuple[str, Attributes]:
    """Name and attributes of what happened within a request."""
    match part:
        case CandidateSkipped():
            target = f"{part.provider}/{part.model}"
            return Span.SKIPPED_EVENT, _said(
                {
                    Span.TARGET: target,
                    Span.CREDENTIAL: part.credential,
                    Span.REASON: part.cause or part.reason.value,
                    Span.OUTCOME: part.reason.value,
                }
            )
        case Switched():
            return Span.SWITCHED_EVENT, _said(
                {
                    Span.FROM: part.from_target,
                    Span.TO: part.to_target,
                    Span.SWITCH: part.switch.value,
                    Span.REASON: part.reason,
                }
            )
        case CooldownStarted():
            return Span.COOLDOWN_EVENT, _said(
                {
                    Span.SCOPE: part.scope.value,
                    Span.TARGET: f"{part.provider}/{part.model}" if part.model else part.provider,
                    Span.CREDENTIAL: part.credential,
                    Span.REASON: part.reason,
                    Span.SOURCE: part.source.value,
                    Span.SECONDS: part.duration_seconds,
                }
            )


def _tokens(usage: Usage | None) -> dict[Span, int | None]:
    return {} if usage is None else {name: getattr(usage, own) for name, own in _TOKENS.items()}


def _said(values: Mapping[Span, str | bool | int | float | None]) -> Attributes:
    found = {name: value for name, value in values.items() if value is not None and value != ""}
    return {str(name): value for name, value in found.items()}


def _plain(attributes: Attributes) -> dict[str, str | bool | int | float]:
    """Half surrogate pairs of some client's text would not fit into protobuf."""
    return {
        str(name): value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _name(value: Any) -> str:  # noqa: ANN401
    return value.value if value is not None else ""
