"""The sink that makes OpenTelemetry spans of events and sends them.

Their ids are those of the events, so the sink only has to put the parts of a request together when it
is over, which is also when it is known whether they are worth keeping. OpenTelemetry is imported with
the first span, in the thread that sends it: neither the start nor an idle gateway pays for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.config import Telemetry
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    RequestFinished,
    Stamped,
    Switched,
    SwitchKind,
)
from gateway.telemetry.catalogue_spans import Span
from gateway.telemetry.content import Contents
from gateway.telemetry.sampling import Sampling
from gateway.telemetry.spans import Ids, Part, Told, Words, operation_span, root
from gateway.telemetry.spans_otlp import message, span

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

SPANS_MAX: Final = 8192
"""Spans that wait for a collector that is away; older ones make room."""
EXPORT_SPANS_MAX: Final = 512
OPEN_REQUESTS_MAX: Final = 4096
"""Requests with parts and no end yet; the oldest are forgotten. As many cooldowns."""
PARTS_MAX: Final = 128
"""Parts of one request: more candidates than any trace shows."""
PROBES_MAX: Final = 8
"""Of one target: those a return is linked to."""
EXPORT_TIMEOUT_SECONDS: Final = 5.0
V = TypeVar("V")


class ExportError(Exception):
    """The collector did not take the spans; they are kept and sent again."""


class TraceSink:
    """A `Sink`. A collector that is away costs spans after a while, and nothing else."""

    name = "traces"

    def __init__(self, telemetry: Telemetry, *, version: str) -> None:
        endpoint = telemetry.otlp_endpoint.rstrip("/")
        if not endpoint.endswith("/v1/traces"):
            endpoint += "/v1/traces"
        # The spine tells of failures, once; the exporter would with every try.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._endpoint = endpoint
        self._exporter: OTLPSpanExporter | None = None
        self._version = version
        self._sampling = Sampling(telemetry)
        self._words = Words(telemetry.genai_conventions)
        self.contents = Contents() if telemetry.capture_content else None
        """Prompts and answers of requests whose spans are still to be made."""
        self._story = _Story(self._sampling, self._words, self.contents)
        self._ready: deque[bytes] = deque(maxlen=SPANS_MAX)
        self._lock = Lock()
        """A cancelled caller leaves its thread at work."""
        self._boot_id = ""
        self._seen = 0
        self.dropped = 0
        """Spans that made room for newer ones."""

    async def take(self, batch: Sequence[Stamped]) -> None:
        """Raises `ExportError`; the spans of the batch are then kept, and not made again."""
        await asyncio.to_thread(self._work, batch)

    def _work(self, batch: Sequence[Stamped]) -> None:
        """Whole in a thread: a second's events in one piece would keep the loop."""
        with self._lock:
            self._hear(batch)
            while self._ready:
                spans = list(islice(self._ready, EXPORT_SPANS_MAX))
                self._export(spans)
                for _ in spans:
                    self._ready.popleft()

    def _hear(self, batch: Sequence[Stamped]) -> None:
        hear, ready = self._story.hear, self._ready
        for stamped in batch:
            if stamped.boot_id != self._boot_id:
                self._boot_id, self._seen = stamped.boot_id, 0
            if stamped.seq > self._seen:
                self._seen = stamped.seq
                for told in hear(stamped):
                    self.dropped += len(ready) == SPANS_MAX
                    ready.append(span(told))

    async def close(self) -> None:
        if self._exporter is not None:
            await asyncio.to_thread(self._exporter.shutdown)

    def _export(self, spans: Sequence[bytes]) -> None:
        if self._exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            self._exporter = OTLPSpanExporter(
                endpoint=self._endpoint, timeout=EXPORT_TIMEOUT_SECONDS
            )
        text = message(
            spans,
            resource={
                "service.name": "evenkeel",
                "service.version": self._version,
                "service.instance.id": self._boot_id,
            },
            name="evenkeel",
            version=self._version,
            schema=Span.SCHEMA.value,
        )
        # The exporter's own sender, which reads OpenTelemetry's environment: headers, certificates,
        # compression. Its `export` takes the SDK's spans only, which cost ten times as much.
        if not self._exporter._client.export(text).success:
            what = f"the collector did not take {len(spans)} spans"
            raise ExportError(what)


class _Story:
    """Puts events together until they make a span."""

    def __init__(self, sampling: Sampling, words: Words, contents: Contents | None) -> None:
        self._sampling = sampling
        self._words = words
        self._contents = contents
        self._open: dict[str, list[Part]] = {}
        """Request → what is known of it before it is over."""
        self._causes: dict[str, Ids] = {}
        """Cooldown that runs → the attempt that brought it about."""
        self._probes: dict[tuple[str, str], deque[Ids]] = {}
        """Route and target → its last probes that went well."""

    def hear(self, stamped: Stamped) -> Iterable[Told]:
        event = stamped.event
        if isinstance(event, RequestFinished):
            return self._request(event)
        if isinstance(event, AttemptFinished):
            self._keep(event)
            return self._probe(event, stamped) if event.probe else ()
        match event:
            case CandidateSkipped():
                self._keep(event)
            case Switched():
                told = self._switch(event, stamped)
                self._keep(event)
                return (told,)
            case CooldownStarted():
                self._cooldown(event)
            case CooldownEnded():
                cause = self._causes.pop(event.cooldown_id, None)
                links = () if cause is None else (cause,)
                return (self._words.rest(event, root(stamped.boot_id, stamped.seq), links),)
        return ()

    def _request(self, request: RequestFinished) -> Iterable[Told]:
        parts = self._open.pop(request.request_id, ())
        content = self._contents.take(request.request_id) if self._contents is not None else None
        if self._sampling.request(request):
            return self._words.request(request, parts, content)
        for part in parts:
            if _is_telling(part):
                return self._words.request(request, parts, content)
        return ()

    def _probe(self, attempt: AttemptFinished, stamped: Stamped) -> Iterator[Told]:
        place = attempt.route, f"{attempt.provider}/{attempt.model}"
        if attempt.failure is None:
            probes = self._probes.get(place)
            if probes is None:
                probes = _put(self._probes, place, deque(maxlen=PROBES_MAX))
            probes.append(Ids(attempt.trace_id, attempt.span_id))
        yield self._words.probe(attempt, root(stamped.boot_id, stamped.seq))

    def _switch(self, switched: Switched, stamped: Stamped) -> Told:
        """Linked to its request, and to what spoke for it: the last failure, or the probes."""
        links: list[Ids] = []
        if switched.request_id:
            links.append(Ids(switched.trace_id, operation_span(switched.request_id)))
            tried = [
                part
                for part in self._open.get(switched.request_id, ())
                if isinstance(part, AttemptFinished)
            ]
            links += [Ids(part.trace_id, part.span_id) for part in tried[-1:]]
        if switched.switch is SwitchKind.RETURN:
            links += self._probes.pop((switched.route, switched.to_target), ())
        return self._words.switch(switched, root(stamped.boot_id, stamped.seq), tuple(links))

    def _cooldown(self, started: CooldownStarted) -> None:
        for part in self._open.get(started.request_id, ()):
            if isinstance(part, AttemptFinished) and part.attempt_id == started.trigger_attempt_id:
                _put(self._causes, started.cooldown_id, Ids(part.trace_id, part.span_id))
        if started.request_id in self._open:
            self._keep(started)

    def _keep(self, part: Part) -> None:
        if not part.request_id:
            return
        parts = self._open.get(part.request_id)
        if parts is None:
            parts = _put(self._open, part.request_id, [])
        if len(parts) < PARTS_MAX:
            parts.append(part)


def _put(where: dict[Any, V], key: object, value: V) -> V:
    """Adds to a table of bounded size; the oldest entry makes room."""
    if len(where) >= OPEN_REQUESTS_MAX:
        del where[next(iter(where))]
    where[key] = value
    return value


def _is_telling(part: Part) -> bool:
    if type(part) is AttemptFinished:
        return part.probe
    return isinstance(part, Switched | CooldownStarted)
