"""The endpoints clients call: read a request, let the relay answer it, record what never got there.

A request that is refused before any candidate was looked at (no JSON, unknown model, wrong key,
too large) is the client's own fault: it becomes one row and touches no state.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil

from aiohttp import web

from gateway.api import endpoints, ids
from gateway.api.access import RateExceeded, may_use
from gateway.api.array_answer import ArrayAnswer
from gateway.api.capture import Overheard
from gateway.api.context import CONTEXT, Context
from gateway.api.endpoints import Endpoint
from gateway.api.errors import not_supported
from gateway.api.held_answer import SAFE_SECONDS, HeldAnswer
from gateway.api.http_answer import HttpAnswer
from gateway.api.http_incoming import HttpIncoming
from gateway.config import Client, Durability
from gateway.events import RequestFinished, RequestOutcome
from gateway.relay.answering import Answer, ClientGone, answer_error, request_headers
from gateway.relay.inbound import Inbound
from gateway.relay.incoming import BodyBroken, BodyTooLarge, Incoming
from gateway.routing.state import RouteState
from gateway.routing.steps import Facts
from gateway.telemetry.content import Content, Contents
from gateway.units import Moment
from gateway.wire.base import Asked, ClientError, ErrorAnswer, Wire
from gateway.wire.conversation import NOTHING_KNOWN, conversation
from gateway.wire.headers import ClientHeaders, client_keys, with_alt

MODEL_CHARS_MAX = 200
"""Of what the history keeps of a model's name."""
BYTES_PER_TOKEN = 4
"""Rough, and only compared with a target's `context_tokens`."""
CLIENT_CLOSED = 499

ENCODINGS = ("gzip", "deflate", "br", "zstd")
"""Of request bodies; one at a time, which is what clients use."""


class _Learned:
    """What reading a request has brought to light so far; a refused one's row tells that much."""

    __slots__ = (
        "asked",
        "began",
        "body_bytes",
        "client",
        "endpoint",
        "headers",
        "parent_span_id",
        "request_id",
        "span_id",
        "trace_id",
    )

    def __init__(self, incoming: Incoming, endpoint: Endpoint, context: Context) -> None:
        began, rng = context.clock.now(), context.rng
        headers = ClientHeaders(incoming.headers)
        caller = headers.traceparent()
        self.began = began
        self.endpoint = endpoint
        self.headers = headers
        self.request_id = context.request_ids(began.timestamp)
        if caller is None:
            self.trace_id, self.span_id = ids.trace_and_span(rng)
            self.parent_span_id = ""
        else:
            self.trace_id, self.span_id = caller[0], ids.span_id(rng)
            self.parent_span_id = caller[1]
        self.client = ""
        self.body_bytes = 0
        self.asked: Asked | None = None

    def facts(self) -> Facts:
        """Of a request that is refused."""
        asked, headers = self.asked, self.headers
        if asked is None:
            return self._facts(headers.session(), "", stream=False)
        named = headers.session(asked.session_of_user) or asked.session
        return self._facts(named, asked.model, stream=asked.stream)

    def _facts(self, session: str, model: str, *, stream: bool) -> Facts:
        return Facts(
            request_id=self.request_id,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_span_id,
            session=session,
            client=self.client,
            endpoint=self.endpoint.path,
            dialect=self.endpoint.wire.name,
            requested_model=model[:MODEL_CHARS_MAX],
            stream=stream,
            body_tokens=self.body_bytes // BYTES_PER_TOKEN,
            bytes_received=self.body_bytes,
            began=self.began,
        )

    def admitted(self, asked: Asked, body: bytes) -> Facts:
        """Of one that goes on. Raises `ClientError`."""
        headers, endpoint = self.headers, self.endpoint
        session = headers.session(asked.session_of_user) or asked.session
        hashed = endpoint.talks and not session
        begun = conversation(body) if hashed else NOTHING_KNOWN
        return Facts(
            request_id=self.request_id,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_span_id,
            session=session,
            client=self.client,
            endpoint=endpoint.path,
            dialect=endpoint.wire.name,
            requested_model=asked.model[:MODEL_CHARS_MAX],
            stream=asked.stream,
            body_tokens=self.body_bytes // BYTES_PER_TOKEN,
            bytes_received=self.body_bytes,
            began=self.began,
            conversation=begun.opening,
            continued=begun.continued,
            first_turn=bool(begun.opening) and not begun.continued,
            reasoning=asked.reasoning,
            deadline_seconds=headers.deadline_seconds(),
            no_fallback=headers.no_fallback(),
            client_retries=headers.client_retries(),
        )


@dataclass(frozen=True, slots=True)
class Inference:
    """One endpoint as it is asked: what a server hands a request to, whichever server that is."""

    context: Context
    endpoint: Endpoint
    query: str = ""
    """Raw."""
    query_key: str = ""
    """The client's key, where the query holds one."""

    async def answer(self, incoming: Incoming, answer: Answer) -> None:
        """Answers one request and records it."""
        context, endpoint = self.context, self.endpoint
        learned = _Learned(incoming, endpoint, context)
        if endpoint.as_array:
            answer = ArrayAnswer(answer)
        held = None
        if context.config.storage.durability is Durability.STRICT:
            answer = held = HeldAnswer(answer)
        try:
            inbound, route = await _admit(incoming, self, learned)
        except ClientError as error:
            await _refuse(error, endpoint.wire, learned.facts(), answer, context)
        else:
            if context.contents is None:
                await context.relay.serve(inbound, route, answer)
            else:
                await _overheard(context.contents, context, inbound, route, answer)
        if held is not None:
            await context.spine.safe("storage", SAFE_SECONDS)
            with suppress(ClientGone):
                await held.release()


async def infer(request: web.Request) -> web.StreamResponse:
    """Answers one inference request of OpenAI's or Anthropic's dialects."""
    return await _infer(request, endpoints.fixed(request))


async def infer_gemini(request: web.Request) -> web.StreamResponse:
    """One of Gemini's, whose path names model and method."""
    endpoint = endpoints.of_gemini(request)
    return not_supported(request) if endpoint is None else await _infer(request, endpoint)


async def _infer(request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
    sent = HttpAnswer(request)
    query, key = request.rel_url.raw_query_string, request.query.get("key", "")
    inference = Inference(request.app[CONTEXT], endpoint, query, key)
    await inference.answer(HttpIncoming(request), sent)
    # None only where the client was gone before its answer began: nobody reads this one.
    return sent.response or web.Response(status=CLIENT_CLOSED)


async def _overheard(
    contents: Contents, context: Context, inbound: Inbound, route: RouteState, answer: Answer
) -> None:
    """Serves it, and keeps both sides for the span, which is made once the loop goes on."""
    listening = Overheard(answer)
    try:
        await context.relay.serve(inbound, route, listening)
    finally:
        facts = inbound.facts
        content = Content(facts.dialect, inbound.body, listening.heard, facts.stream)
        contents.keep(facts.request_id, content)


async def _admit(
    incoming: Incoming, inference: Inference, learned: _Learned
) -> tuple[Inbound, RouteState]:
    """The request read and allowed. Raises `ClientError`."""
    context, endpoint, headers = inference.context, inference.endpoint, learned.headers
    access = context.access
    access.guard_clients(headers.first)
    client = access.client(client_keys(headers.first, inference.query_key))
    if client is not None:
        learned.client = client.name
        access.spend(client, learned.began.instant)
    body = await _body(incoming, headers, context)
    learned.body_bytes = len(body)
    asked = learned.asked = endpoint.wire.read(body)
    route = _route(context, client, asked, learned.began)
    inbound = Inbound(
        wire=endpoint.wire,
        path=endpoint.upstream_path,
        raw_query=_query(inference.query, endpoint.wire, asked),
        raw_headers=headers.pairs,
        body=body,
        facts=learned.admitted(asked, body),
        crossing=headers.upstream,
    )
    return inbound, route


def _query(query: str, wire: Wire, asked: Asked) -> str:
    """Gemini's says how a stream is written, which is the gateway's matter on the way in."""
    return with_alt(query, stream=asked.stream) if wire.name == "gemini" else query


async def _body(incoming: Incoming, headers: ClientHeaders, context: Context) -> bytes:
    """The decoded body. Raises `ClientError` 413, 415 and 400."""
    encoding = headers.first.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", *ENCODINGS):
        message = f"`content-encoding` must be one of {', '.join(ENCODINGS)}, not {encoding!r}."
        raise ClientError(415, "unsupported_encoding", message)
    try:
        return await incoming.body()
    except BodyTooLarge:
        limit = context.config.server.max_body_bytes
        message = f"The body is larger than {limit} bytes (`server.max_body_bytes`)."
        raise ClientError(413, "body_too_large", message) from None
    except BodyBroken:
        message = "The body could not be decoded as its `content-encoding` and length say."
        raise ClientError(400, "invalid_body", message) from None


def _route(context: Context, client: Client | None, asked: Asked, now: Moment) -> RouteState:
    if not may_use(client, asked.model):
        message = f"Client {client.name if client else ''!r} may not use {asked.model!r}."
        raise ClientError(403, "route_not_allowed", message)
    route = context.pool.route(asked.model, now)
    if route is not None:
        return route
    raise ClientError(404, "model_not_found", nearest(context, client, asked.model))


def nearest(context: Context, client: Client | None, model: str) -> str:
    """A sentence for a name that nobody configured."""
    known = [name for name in context.pool.directory.names() if may_use(client, name)]
    near = get_close_matches(model, known, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else " See /v1/models."
    return f"No route or target is called {model[:MODEL_CHARS_MAX]!r}.{hint}"


async def _refuse(
    error: ClientError, wire: Wire, facts: Facts, answer: Answer, context: Context
) -> None:
    wait = error.retry_after_seconds if isinstance(error, RateExceeded) else None
    told = ErrorAnswer(
        status=error.status,
        code=error.code,
        message=error.message,
        request_id=facts.request_id,
        retry_after_seconds=None if wait is None else ceil(wait),
        should_retry=False if wait is None else None,
    )
    status = error.status
    try:
        await answer_error(answer, wire, told, request_headers(facts.request_id))
    except ClientGone:
        status = CLIENT_CLOSED
    outcome = RequestOutcome.CLIENT_ERROR if wait is None else RequestOutcome.SHED
    context.emit([_unrouted(facts, outcome, status, error.code, context.clock.now())])


def _unrouted(
    facts: Facts, outcome: RequestOutcome, status: int, reason: str, now: Moment
) -> RequestFinished:
    """The row of a request that reached no route."""
    seconds = now.instant - facts.began.instant
    return RequestFinished(
        ts=now.timestamp,
        request_id=facts.request_id,
        trace_id=facts.trace_id,
        span_id=facts.span_id,
        parent_span_id=facts.parent_span_id,
        route="",
        session=facts.session,
        client=facts.client,
        endpoint=facts.endpoint,
        requested_model=facts.requested_model,
        stream=facts.stream,
        outcome=outcome,
        status=status,
        failure=None,
        reason=reason,
        provider="",
        model="",
        credential="",
        attempts=0,
        skipped=0,
        fallback_from="",
        fallback_reason="",
        started=facts.began.timestamp,
        duration_seconds=seconds,
        first_content_seconds=None,
        overhead_seconds=seconds,
        bytes_received=facts.bytes_received,
        bytes_sent=0,
        usage=None,
        cost_usd=None,
    )
