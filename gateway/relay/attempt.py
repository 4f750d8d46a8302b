"""One attempt: sends it, holds the answer until there is content, passes it on, judges its end.

Until the first content nothing reaches the client, so a failure here can fall back unseen; with it
comes `commit`, after which the stream is passed on as it comes, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from gateway.events import Event, Failure
from gateway.relay.answering import UNBUFFERED, Answer, Headers, own_headers
from gateway.relay.exchange import Exchange, Exchanges, Flow, unreadable
from gateway.relay.keep_alive import KeepAlives
from gateway.relay.patience import Patience
from gateway.relay.progress import (
    AttemptFailed,
    ErrorReply,
    Progress,
    bad_of,
    bad_success,
    broken,
    is_told,
    read_error,
)
from gateway.routing.call import Call
from gateway.routing.classify import Verdict, classify, classify_fault
from gateway.routing.pool import Pool
from gateway.routing.redaction import MASK
from gateway.routing.steps import Bad, Send
from gateway.routing.vendors import vendor_of
from gateway.units import Clock
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure
from gateway.upstream.waits import Waits
from gateway.wire.base import Fault, Judge

HELD_BYTES_MAX = 64 * 1024 * 1024
"""Of one answer before its first content: a single answer is held whole, and judged, first."""
TAIL_SECONDS = 1.0
"""How long an upstream may keep a stream open after its terminal marker."""
CLOCK_SLACK_SECONDS = 0.05
"""A timer rings this much early or late; the deadline is told from the provider's clock by it."""


class Means(msgspec.Struct, frozen=True, eq=False):
    """What all attempts of a relay share."""

    clock: Clock
    loop: asyncio.AbstractEventLoop
    waits: Waits
    keep_alives: KeepAlives
    emit: Callable[[Pool, Sequence[Event]], None]


class Attempt:
    """`run` returns when the client has the whole answer, and raises `AttemptFailed` else."""

    __slots__ = (
        "_answer",
        "_call",
        "_exchange",
        "_exchanges",
        "_means",
        "_owed",
        "_pool",
        "_send",
        "_stream",
        "_until",
        "_waiting",
        "progress",
    )

    def __init__(
        self, means: Means, pool: Pool, call: Call, send: Send, exchanges: Exchanges, answer: Answer
    ) -> None:
        self._means = means
        self._pool = pool
        self._call = call
        self._send = send
        self._exchanges = exchanges
        self._answer = answer
        self._stream = exchanges.inbound.facts.stream
        self._exchange: Exchange
        self._until = 0.0
        """Loop time at which the first content must be there."""
        self._waiting: Patience | None = None
        self._owed = b""
        """Of a stream: what the client could not be given within the read that brought it."""
        self.progress = Progress(send=send)

    async def run(self, upstream: Upstream) -> None:
        loop, progress = self._means.loop, self.progress
        self._until = loop.time() + self._send.timeouts.first_content_seconds
        progress.exchange = self._exchange = self._exchanges.of(self._send)
        try:
            reply = await upstream.send(self._outgoing())
        except UpstreamFailure as failure:
            raise AttemptFailed(self._unanswered(failure, loop.time())) from failure
        progress.reply = reply
        try:
            if not 200 <= reply.status <= 299:
                raise await self._refused(reply)
            judge = progress.judge = self._exchange.wire.judge(stream=self._stream)
            if self._stream:
                await self._streamed(reply, judge)
            else:
                await self._single(reply, judge)
        finally:
            if self._waiting is not None:
                self._waiting.close()
            await reply.close()

    def _outgoing(self) -> Outgoing:
        send, inbound, exchange = self._send, self._exchanges.inbound, self._exchange
        headers = exchange.headers
        if send.provider.internal:
            trace = f"00-{inbound.facts.trace_id}-{send.span_id}-01"
            headers = [*headers, ("traceparent", trace)]
        return Outgoing(
            provider=send.provider,
            credential=send.credential,
            model=send.model,
            dialect=exchange.wire.name,
            path=exchange.path,
            query=exchange.query,
            headers=headers,
            body=exchange.body,
            stream=self._stream,
            timeouts=send.timeouts,
            session=inbound.session_word,
        )

    def _patience(self) -> Patience:
        """The one of this attempt; many have nothing to wait for."""
        waiting = self._waiting
        if waiting is None:
            waiting = self._waiting = Patience(self._means.waits)
        return waiting

    # -- a single answer -----------------------------------------------------------------------

    async def _single(self, reply: Reply, judge: Judge) -> None:
        body = reply.whole()
        if body is None:
            try:
                body = await self._body(reply)
            except TimeoutError:
                raise AttemptFailed(self._too_slow()) from None
            except UpstreamFailure as failure:
                raise AttemptFailed(self._unanswered(failure, 0.0)) from failure
        if len(body) > HELD_BYTES_MAX:
            raise AttemptFailed(bad_success("too_large"))
        judge.feed(body)
        judge.end()
        if judge.fault is not None:
            raise AttemptFailed(self._faulty(judge.fault))
        try:
            body = self._exchange.answer(body)
        except ValueError:
            raise AttemptFailed(self._faulty(unreadable())) from None
        self._commit()
        await self._answer.whole(reply.status, self._headers(reply), body)
        self.progress.bytes_sent = len(body)

    async def _body(self, reply: Reply) -> bytes:
        """At most one part more than may be held. A body that has begun may not stall."""
        parts: list[bytes] = []
        size = 0
        patience, loop = self._patience(), self._means.loop
        idle = self._send.timeouts.idle_seconds

        def take(part: bytes) -> bytes | None:
            nonlocal size
            parts.append(part)
            size += len(part)
            patience.to(min(self._until, loop.time() + idle))
            return None if size <= HELD_BYTES_MAX else b""

        reply.pour(take)
        until = self._until
        while size <= HELD_BYTES_MAX:
            with patience.to(until):
                part = await reply.chunk()
            if part is None:
                break
            parts.append(part)
            size += len(part)
            until = min(self._until, loop.time() + idle)
        return b"".join(parts)

    # -- a stream ------------------------------------------------------------------------------

    async def _streamed(self, reply: Reply, judge: Judge) -> None:
        progress = self.progress
        head = await self._head(reply, judge)
        flow = progress.flow = self._exchange.flow()
        self._commit()
        await self._answer.begin(reply.status, [*self._headers(reply), *UNBUFFERED])
        await self._pass_on(self._cleared(flow.feed(head), judge))
        progress.gate = flow
        wire = self._exchanges.inbound.wire
        self._means.keep_alives.watch(progress, self._answer, wire.keep_alive)
        try:
            await self._flow(reply, judge, flow)
        except TimeoutError:
            raise AttemptFailed(Bad(failure=Failure.IDLE_TIMEOUT, reason="idle")) from None
        except UpstreamFailure as failure:
            raise AttemptFailed(broken(failure.reason)) from failure
        finally:
            progress.gate = None
            self._means.keep_alives.forget(progress)
        if judge.fault is not None:
            told = progress.told
            progress.error_told = told is not None and is_told(told.fault)
            verdict = self._verdict(judge.fault)
            raise AttemptFailed(broken(verdict.reason, verdict.message))
        await self._tail(reply, flow)
        await self._answer.end()

    async def _head(self, reply: Reply, judge: Judge) -> bytes:
        """Everything up to the chunk with the first content."""
        held: list[bytes] = []
        size = 0
        try:
            with self._patience().to(self._until):
                while not judge.content and judge.fault is None:
                    chunk = await reply.chunk()
                    if chunk is None:
                        judge.end()
                        break
                    size += len(chunk)
                    if size > HELD_BYTES_MAX:
                        raise AttemptFailed(bad_success("too_large"))
                    held.append(chunk)
                    judge.feed(chunk)
        except TimeoutError:
            raise AttemptFailed(self._too_slow()) from None
        except UpstreamFailure as failure:
            raise AttemptFailed(self._unanswered(failure, 0.0)) from failure
        if judge.fault is not None and not judge.content:
            raise AttemptFailed(self._faulty(judge.fault))
        return b"".join(held)

    async def _flow(self, reply: Reply, judge: Judge, flow: Flow) -> None:
        """Passes on what comes, until the terminal marker, a fault or the end: mostly within the
        read that brought it, so that this task sleeps on."""
        patience, loop = self._patience(), self._means.loop
        answer, progress = self._answer, self.progress
        idle = self._send.timeouts.idle_seconds

        def take(chunk: bytes) -> bytes | None:
            judge.feed(chunk)
            whole = flow.feed(chunk)
            over = judge.done or judge.fault is not None
            if over:
                whole = self._cleared(whole, judge)
            if whole:
                if not answer.put(whole):
                    self._owed = whole
                    return b""
                progress.bytes_sent += len(whole)
            patience.until = loop.time() + idle
            return b"" if over else None

        reply.pour(take)
        while not judge.done and judge.fault is None:
            with patience.of(idle):
                chunk = await reply.chunk()
            if self._owed:
                owed, self._owed = self._owed, b""
                await self._pass_on(owed)
            if chunk is None:
                judge.end()
            elif chunk:
                judge.feed(chunk)
                await self._pass_on(self._cleared(flow.feed(chunk), judge))
        reply.pour(None)

    async def _tail(self, reply: Reply, flow: Flow) -> None:
        """What comes behind the terminal marker: the answer is whole, so nothing here is a failure."""
        try:
            with self._patience().of(TAIL_SECONDS):
                while (chunk := await reply.chunk()) is not None:
                    await self._pass_on(flow.feed(chunk))
        except (TimeoutError, UpstreamFailure):
            pass
        await self._pass_on(flow.rest())

    async def _pass_on(self, chunk: bytes) -> None:
        if chunk:
            await self._answer.write(chunk)
            self.progress.bytes_sent += len(chunk)

    def _commit(self) -> None:
        self.progress.committed = True
        means = self._means
        means.emit(self._pool, self._call.committed(means.clock.now()))

    def _headers(self, reply: Reply) -> Headers:
        exchange = self._exchange
        headers = exchange.headers_to_client(reply.pairs(), stream=self._stream)
        headers += own_headers(self._call)
        if exchange.translated:
            headers.append(("x-evenkeel-translated", exchange.translated))
        if exchange.dropped:
            headers.append(("x-evenkeel-dropped", ", ".join(exchange.dropped)))
        return headers

    # -- what went wrong -----------------------------------------------------------------------

    async def _refused(self, reply: Reply) -> AttemptFailed:
        body = await read_error(reply)
        key = self._send.credential.key.reveal()
        verdict = classify(
            status=reply.status,
            headers={name.lower(): value for name, value in reply.pairs()},
            body=body,
            vendor=vendor_of(self._send.provider, self._send.model),
            dialect=self._exchange.wire.name,
            rules=self._send.provider.errors,
            now=self._means.clock.now().timestamp,
            credential_key=key,
        )
        kept = ErrorReply(
            reply.status,
            self._exchange.headers_to_client(reply.pairs(), stream=False),
            self._masked(self._exchange.refusal(reply.status, body)),
        )
        return AttemptFailed(replace(bad_of(verdict), repairs=self._repairs(verdict)), kept)

    def _repairs(self, verdict: Verdict) -> tuple[str, ...]:
        if verdict.foreign is None:
            return ()
        return self._exchanges.adapt(self._send, verdict.foreign)

    def _cleared(self, chunk: bytes, judge: Judge) -> bytes:
        """What is passed on of a chunk: an error event may name the credential's key."""
        return chunk if judge.fault is None else self._masked(chunk)

    def _masked(self, told: bytes) -> bytes:
        """A provider's error without the credential's key, which some repeat in their sentence."""
        key = self._send.credential.key.reveal().encode()
        return told.replace(key, MASK.encode()) if key else told

    def _verdict(self, fault: Fault) -> Verdict:
        reply = self.progress.reply
        assert reply is not None
        return classify_fault(
            fault,
            headers={name.lower(): value for name, value in reply.pairs()},
            vendor=vendor_of(self._send.provider, self._send.model),
            dialect=self._exchange.wire.name,
            rules=self._send.provider.errors,
            now=self._means.clock.now().timestamp,
            credential_key=self._send.credential.key.reveal(),
        )

    def _faulty(self, fault: Fault) -> Bad:
        return bad_of(self._verdict(fault))

    def _unanswered(self, failure: UpstreamFailure, at: float) -> Bad:
        """A failure below HTTP before content. `at`: loop time, where it may be the deadline's."""
        if self._send.by_deadline and at >= self._until - CLOCK_SLACK_SECONDS:
            return Bad(failure=Failure.DEADLINE, reason="deadline")
        return Bad(
            failure=failure.failure,
            reason=failure.reason,
            processed=failure.processed,
            message=f"The provider could not be asked: {failure.reason}.",
        )

    def _too_slow(self) -> Bad:
        left = self._until - self._means.loop.time()
        if left > CLOCK_SLACK_SECONDS:
            return Bad(failure=Failure.IDLE_TIMEOUT, reason="idle")
        if self._send.by_deadline:
            return Bad(failure=Failure.DEADLINE, reason="deadline")
        seconds = self._send.timeouts.first_content_seconds
        return Bad(
            failure=Failure.FIRST_CONTENT_TIMEOUT,
            reason="first_content",
            message=f"The provider sent no content within {seconds:g} s.",
        )
