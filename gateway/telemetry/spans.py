"""What spans say: names and attributes made of events, without OpenTelemetry.

A request is three levels: what the client asked (SERVER), the operation it meant, however often it was
tried (INTERNAL), and each upstream call (CLIENT). What concerns a route or a key rather than one
request (a switch, a cooldown that ended, a probe) has a root of its own, linked to what caused it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct, field

from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    RequestFinished,
    Switched,
    Usage,
)
from gateway.telemetry.catalogue_spans import (
    CONVENTIONS,
    OPERATIONS,
    PROVIDERS,
    Span,
)
from gateway.telemetry.content import Content, answered, asked
from gateway.telemetry.sampling import FAULTS

Part = AttemptFinished | CandidateSkipped | Switched | CooldownStarted
Value = str | bool | int | float
Attributes = Mapping[str, Value]

_TOKENS: Final = {
    Span.INPUT_TOKENS: "input_tokens",
    Span.OUTPUT_TOKENS: "output_tokens",
    Span.CACHED_TOKENS: "cached_tokens",
    Span.CACHE_WRITE_TOKENS: "cache_write_tokens",
    Span.REASONING_TOKENS: "reasoning_tokens",
}


class Role(Enum):
    """OpenTelemetry's kinds of span, as far as they are used."""

    SERVER = "SERVER"
    INTERNAL = "INTERNAL"
    CLIENT = "CLIENT"


class Ids(Struct, frozen=True, gc=False):
    """Hexadecimal: 32 digits and 16."""

    trace: str
    span: str


class Told(Struct, frozen=True, kw_only=True):
    """One span, in our own terms. Times are Unix microseconds."""

    name: str
    role: Role
    ids: Ids
    parent: str = ""
    remote_parent: bool = False
    links: tuple[Ids, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    events: tuple[tuple[str, Attributes, int], ...] = ()
    error: str = ""
    started: int
    ended: int


def operation_span(request_id: str) -> str:
    """Id of the span of a request's operation; the same for whoever knows the request's id."""
    return blake2b(request_id.encode(), digest_size=8, person=b"operation").hexdigest()


def root(boot_id: str, seq: int) -> Ids:
    """Ids of a trace of its own for what the event with this number tells."""
    digits = blake2b(f"{boot_id} {seq}".encode(), digest_size=24, person=b"root").hexdigest()
    return Ids(digits[:32], digits[32:])


class Words:
    """Makes spans in the names of one version of the GenAI conventions."""

    def __init__(self, conventions: str) -> None:
        self._renamed = CONVENTIONS[conventions]

    def request(
        self, request: RequestFinished, parts: Sequence[Part], content: Content | None = None
    ) -> Iterator[Told]:
        """The request's span, its operation's, and those of its attempts."""
        faulty = request.outcome in FAULTS
        error = _name(request.failure or request.outcome) if faulty else ""
        yield Told(
            name=f"POST {request.endpoint}",
            role=Role.SERVER,
            ids=Ids(request.trace_id, request.span_id),
            parent=request.parent_span_id,
            remote_parent=True,
            attributes=self.said(_server(request, error)),
            error=error,
            started=request.started,
            ended=request.ts,
        )
        if not request.route:
            return
        attempts = [part for part in parts if isinstance(part, AttemptFinished)]
        within = [part for part in parts if not isinstance(part, AttemptFinished)]
        operation = OPERATIONS.get(request.endpoint, "chat")
        yield Told(
            name=f"{operation} {request.requested_model}".rstrip(),
            role=Role.INTERNAL,
            ids=Ids(request.trace_id, operation_span(request.request_id)),
            parent=request.span_id,
            attributes=self.said(_operation(request, operation) | _content(content)),
            events=(*self._wait(request, attempts), *(self.event(part) for part in within)),
            error=error,
            started=request.started,
            ended=request.ts,
        )
        for number, attempt in enumerate(attempts):
            yield self._attempt(request, attempt, operation=operation, resent=number)

    def _attempt(
        self, request: RequestFinished, attempt: AttemptFinished, *, operation: str, resent: int
    ) -> Told:
        values = _attempt(attempt, operation) | {Span.STREAM: request.stream}
        if resent:
            values[Span.RESEND] = resent
        failed = attempt.outcome is AttemptOutcome.FAILED
        return Told(
            name=f"{operation} {attempt.model}",
            role=Role.CLIENT,
            ids=Ids(attempt.trace_id, attempt.span_id),
            parent=operation_span(request.request_id),
            attributes=self.said(values),
            error=_name(attempt.failure) if failed else "",
            started=attempt.started,
            ended=attempt.ts,
        )

    def _wait(
        self, request: RequestFinished, attempts: Sequence[AttemptFinished]
    ) -> Iterator[tuple[str, Attributes, int]]:
        """All waits of a request as one, told at the first call that came of them, or at the end."""
        if request.waited_seconds:
            ts = attempts[0].started if attempts else request.ts
            yield Span.WAITED_EVENT.value, self.said({Span.WAITED: request.waited_seconds}), ts

    def event(
        self, part: CandidateSkipped | Switched | CooldownStarted
    ) -> tuple[str, Attributes, int]:
        """What happened within a request."""
        match part:
            case CandidateSkipped():
                name, values = Span.SKIPPED_EVENT, _skipped(part)
            case Switched():
                name, values = Span.SWITCHED_EVENT, _switched(part)
            case CooldownStarted():
                name, values = Span.COOLDOWN_EVENT, _cooldown(part)
        return name, self.said(values), part.ts

    def switch(self, switched: Switched, ids: Ids, links: tuple[Ids, ...]) -> Told:
        return Told(
            name=f"switch {switched.route}",
            role=Role.INTERNAL,
            ids=ids,
            links=links,
            attributes=self.said(_switched(switched) | {Span.ROUTE: switched.route}),
            started=switched.ts,
            ended=switched.ts,
        )

    def rest(self, ended: CooldownEnded, ids: Ids, links: tuple[Ids, ...]) -> Told:
        values = _cooldown(ended) | {Span.ENDED: ended.ended.value, Span.ROUTE: ended.route}
        return Told(
            name=f"cooldown {ended.scope.value}",
            role=Role.INTERNAL,
            ids=ids,
            links=links,
            attributes=self.said(values),
            started=ended.ended_at - round(ended.duration_seconds * 1_000_000),
            ended=ended.ended_at,
        )

    def probe(self, attempt: AttemptFinished, ids: Ids) -> Told:
        """The test of a place, apart from the request it was made with."""
        target = f"{attempt.provider}/{attempt.model}"
        values = {
            Span.TARGET: target,
            Span.ROUTE: attempt.route,
            Span.CREDENTIAL: attempt.credential,
            Span.OUTCOME: attempt.outcome.value,
            Span.ERROR: _name(attempt.failure),
        }
        return Told(
            name=f"probe {target}",
            role=Role.INTERNAL,
            ids=ids,
            links=(Ids(attempt.trace_id, attempt.span_id),),
            attributes=self.said(values),
            error=_name(attempt.failure) if attempt.outcome is AttemptOutcome.FAILED else "",
            started=attempt.started,
            ended=attempt.ts,
        )

    def said(self, values: Mapping[Span, Value | None]) -> Attributes:
        """Without what is empty, in the names of the conventions; half surrogate pairs of some
        client's text would not fit into protobuf."""
        renamed = self._renamed
        return {
            renamed.get(name, name._value_): (
                value.encode("utf-8", "replace").decode()
                if isinstance(value, str) and not value.isascii()
                else value
            )
            for name, value in values.items()
            if value is not None and value != ""
        }


def _server(request: RequestFinished, error: str) -> dict[Span, Value | None]:
    return {
        Span.METHOD: "POST",
        Span.PATH: request.endpoint,
        Span.HTTP_ROUTE: request.endpoint,
        Span.STATUS: request.status,
        Span.ERROR: error,
        Span.REQUEST_ID: request.request_id,
        Span.CLIENT: request.client,
        Span.OUTCOME: request.outcome.value,
        Span.REASON: request.reason,
    }


def _operation(request: RequestFinished, operation: str) -> dict[Span, Value | None]:
    served = bool(request.provider)
    return {
        Span.OPERATION: operation,
        Span.PROVIDER: PROVIDERS.get(request.provider, request.provider),
        Span.REQUEST_MODEL: request.requested_model,
        Span.RESPONSE_MODEL: request.model,
        Span.STREAM: request.stream,
        Span.FIRST_CHUNK: request.first_content_seconds,
        Span.CONVERSATION: request.session,
        Span.REQUEST_ID: request.request_id,
        Span.ROUTE: request.route,
        Span.OUTCOME: request.outcome.value,
        Span.REASON: request.reason,
        Span.ERROR: _name(request.failure) if request.outcome in FAULTS else "",
        Span.TARGET: f"{request.provider}/{request.model}" if served else "",
        Span.CREDENTIAL: request.credential,
        Span.ATTEMPTS: request.attempts,
        Span.SKIPPED: request.skipped,
        Span.FALLBACK_FROM: request.fallback_from,
        Span.FALLBACK_REASON: request.fallback_reason,
        Span.COST: request.cost_usd,
        Span.WAITED: request.waited_seconds or None,
        **_tokens(request.usage),
    }


def _content(content: Content | None) -> dict[Span, Value | None]:
    if content is None:
        return {}
    return {Span.INPUT: asked(content), Span.OUTPUT: answered(content)}


def _attempt(attempt: AttemptFinished, operation: str) -> dict[Span, Value | None]:
    return {
        Span.OPERATION: operation,
        Span.PROVIDER: PROVIDERS.get(attempt.provider, attempt.provider),
        Span.REQUEST_MODEL: attempt.model,
        Span.STATUS: attempt.status,
        Span.ERROR: _name(attempt.failure),
        Span.FIRST_CHUNK: attempt.first_content_seconds,
        Span.ATTEMPT_ID: attempt.attempt_id,
        Span.ATTEMPT_NUMBER: attempt.n,
        Span.TARGET: f"{attempt.provider}/{attempt.model}",
        Span.CREDENTIAL: attempt.credential,
        Span.OUTCOME: attempt.outcome.value,
        Span.REASON: attempt.reason,
        Span.SCOPE: _name(attempt.scope),
        Span.PROBE: attempt.probe,
        Span.COST: attempt.cost_usd,
        **_tokens(attempt.usage),
    }


def _skipped(part: CandidateSkipped) -> dict[Span, Value | None]:
    return {
        Span.TARGET: f"{part.provider}/{part.model}",
        Span.CREDENTIAL: part.credential,
        Span.REASON: part.cause or part.reason.value,
        Span.OUTCOME: part.reason.value,
    }


def _switched(part: Switched) -> dict[Span, Value | None]:
    return {
        Span.FROM: part.from_target,
        Span.TO: part.to_target,
        Span.SWITCH: part.switch.value,
        Span.REASON: part.reason,
        Span.DWELL: part.dwell_seconds,
        Span.HOLD: part.hold_seconds,
        Span.PENALTY: part.penalty,
        Span.REVERSAL: part.reversal,
    }


def _cooldown(part: CooldownStarted | CooldownEnded) -> dict[Span, Value | None]:
    return {
        Span.SCOPE: part.scope.value,
        Span.TARGET: f"{part.provider}/{part.model}" if part.model else part.provider,
        Span.CREDENTIAL: part.credential,
        Span.REASON: part.reason,
        Span.SOURCE: part.source.value,
        Span.SECONDS: part.duration_seconds,
    }


def _tokens(usage: Usage | None) -> dict[Span, Value | None]:
    return {} if usage is None else {name: getattr(usage, own) for name, own in _TOKENS.items()}


def _name(value: Any) -> str:  # noqa: ANN401
    return value.value if value is not None else ""
