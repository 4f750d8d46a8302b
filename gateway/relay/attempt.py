"""One attempt: sends it, holds the answer until there is content, passes it on, judges its end.

Until the first content nothing reaches the client, so a failure here can fall back unseen; with it
comes `commit`, after which the stream is passed on as it comes, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from gateway.events import Failure
from gateway.relay.answering import UNBUFFERED, Answer, Headers, own_headers
from gateway.relay.exchange import Exchange, Exchanges, Flow, unreadable
from gateway.relay.inbound import Emit, Inbound
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
from gateway.routing.redaction import MASK
from gateway.routing.steps import Bad, Send
from gateway.routing.vendors import vendor_of
from gateway.units import Clock
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure
from gateway.wire.base import Fault, Judge

HELD_BYTES_MAX = 64 * 1024 * 1024
"""Of one answer before its first content: a single answer is held whole, and judged, first."""
TAIL_SECONDS = 1.0
"""How long an upstream may keep a stream open after its terminal marker."""
CLOCK_SLACK_SECONDS = 0.05
"""A timer rings this much early or late; the deadline is told from the provider's clock by it."""


@dataclass(slots=True)
class Attempt:
    """`run` returns when the client has the whole answer, and raises `AttemptFailed` else."""

    call: Call
    send: Send
    exchanges: Exchanges
    answer: Answer
    clock: Clock
    emit: Emit
    progress: Progress = field(default_factory=Progress)
    _until: float = 0.0
    """Loop time at which the first content must be there."""
    _waiting: Patience | None = None

    @property
    def inbound(self) -> Inbound:
        return self.exchanges.inbound

    @property
    def exchange(self) -> Exchange:
        exchange = self.progress.exchange
        assert exchange is not None
        return exchange

    async def run(self, upstream: Upstream) -> None:
        loop = asyncio.get_running_loop()
        self._until = loop.time() + self.send.timeouts.first_content_seconds
        self.progress.exchange = self.exchanges.of(self.send)
        try:
            reply = await upstream.send(self._outgoing())
        except UpstreamFailure as failure:
            raise AttemptFailed(self._unanswered(failure, loop.time())) from failure
        self.progress.reply = reply
        self._waiting = Patience()
        try:
            if not 200 <= reply.status <= 299:
                raise await self._refused(reply)
            judge = self.exchange.wire.judge(stream=self.inbound.facts.stream)
            self.progress.judge = judge
            if self.inbound.facts.stream:
                await self._stream(reply, judge)
            else:
                await self._single(reply, judge)
        finally:
            self._waiting.close()
            await reply.close()

    def _outgoing(self) -> Outgoing:
        send, inbound, exchange = self.send, self.inbound, self.exchange
        headers = tuple(exchange.headers)
        if send.provider.internal:
            trace = f"00-{inbound.facts.trace_id}-{send.span_id}-01"
            headers += (("traceparent", trace),)
        return Outgoing(
            provider=send.provider,
            credential=send.credential,
            model=send.model,
            dialect=exchange.wire.name,
            path=exchange.path,
            query=exchange.query,
            headers=headers,
            body=exchange.body,
            stream=inbound.facts.stream,
            timeouts=send.timeouts,
            session=inbound.session_word,
        )

    # -- a single answer -----------------------------------------------------------------------

    async def _single(self, reply: Reply, judge: Judge) -> None:
        parts: list[bytes] = []
        size = 0
        chunks = reply.chunks()
        try:
            while (
                chunk := await self._next(chunks, self._patience(begun=bool(parts)))
            ) is not None:
                size += len(chunk)
                if size > HELD_BYTES_MAX:
                    raise AttemptFailed(bad_success("too_large"))
                parts.append(chunk)
                judge.feed(chunk)
        except TimeoutError:
            raise AttemptFailed(self._too_slow()) from None
        except UpstreamFailure as failure:
            raise AttemptFailed(self._unanswered(failure, 0.0)) from failure
        judge.end()
        if judge.fault is not None:
            raise AttemptFailed(self._faulty(judge.fault))
        try:
            body = self.exchange.answer(b"".join(parts))
        except ValueError:
            raise AttemptFailed(self._faulty(unreadable())) from None
        self._commit()
        await self.answer.whole(reply.status, self._headers(reply), body)
        self.progress.bytes_sent = len(body)

    def _patience(self, *, begun: bool) -> float:
        """Seconds for the next part of a body; one that has begun may not stall."""
        left = max(0.0, self._until - asyncio.get_running_loop().time())
        return min(left, self.send.timeouts.idle_seconds) if begun else left

    # -- a stream ------------------------------------------------------------------------------

    async def _stream(self, reply: Reply, judge: Judge) -> None:
        chunks = reply.chunks()
        head = await self._head(chunks, judge)
        flow = self.progress.flow = self.exchange.flow()
        self._commit()
        await self.answer.begin(reply.status, [*self._headers(reply), *UNBUFFERED])
        await self._pass_on(self._cleared(flow.feed(head), judge))
        self.progress.gate = flow
        try:
            while not judge.done and judge.fault is None:
                chunk = await self._next(chunks, self.send.timeouts.idle_seconds)
                if chunk is None:
                    judge.end()
                    break
                judge.feed(chunk)
                await self._pass_on(self._cleared(flow.feed(chunk), judge))
        except TimeoutError:
            raise AttemptFailed(Bad(failure=Failure.IDLE_TIMEOUT, reason="idle")) from None
        except UpstreamFailure as failure:
            raise AttemptFailed(broken(failure.reason)) from failure
        finally:
            self.progress.gate = None
        if judge.fault is not None:
            told = self.progress.told
            self.progress.error_told = told is not None and is_told(told.fault)
            verdict = self._verdict(judge.fault)
            raise AttemptFailed(broken(verdict.reason, verdict.message))
        await self._tail(chunks, flow)
        await self.answer.end()

    async def _head(self, chunks: AsyncIterator[bytes], judge: Judge) -> bytes:
        """Everything up to the chunk with the first content."""
        held: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout_at(self._until):
                while not judge.content and judge.fault is None:
                    chunk = await anext(chunks, None)
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

    async def _next(self, chunks: AsyncIterator[bytes], seconds: float) -> bytes | None:
        assert self._waiting is not None
        with self._waiting.of(seconds):
            return await anext(chunks, None)

    async def _tail(self, chunks: AsyncIterator[bytes], flow: Flow) -> None:
        """What comes behind the terminal marker: the answer is whole, so nothing here is a failure."""
        try:
            async with asyncio.timeout(TAIL_SECONDS):
                async for chunk in chunks:
                    await self._pass_on(flow.feed(chunk))
        except (TimeoutError, UpstreamFailure):
            pass
        await self._pass_on(flow.rest())

    async def _pass_on(self, chunk: bytes) -> None:
        if chunk:
            await self.answer.write(chunk)
            self.progress.bytes_sent += len(chunk)

    def _commit(self) -> None:
        self.progress.committed = True
        self.emit(self.call.committed(self.clock.now()))

    def _headers(self, reply: Reply) -> Headers:
        exchange = self.exchange
        kept = exchange.headers_to_client(reply.pairs(), stream=self.inbound.facts.stream)
        headers = [*kept, *own_headers(self.call)]
        if exchange.translated:
            headers.append(("x-evenkeel-translated", exchange.translated))
        if exchange.dropped:
            headers.append(("x-evenkeel-dropped", ", ".join(exchange.dropped)))
        return headers

    # -- what went wrong -----------------------------------------------------------------------

    async def _refused(self, reply: Reply) -> AttemptFailed:
        body = await read_error(reply)
        key = self.send.credential.key.reveal()
        verdict = classify(
            status=reply.status,
            headers={name.lower(): value for name, value in reply.pairs()},
            body=body,
            vendor=vendor_of(self.send.provider, self.send.model),
            dialect=self.exchange.wire.name,
            rules=self.send.provider.errors,
            now=self.clock.now().timestamp,
            credential_key=key,
        )
        kept = ErrorReply(
            reply.status,
            self.exchange.headers_to_client(reply.pairs(), stream=False),
            self._masked(self.exchange.refusal(reply.status, body)),
        )
        return AttemptFailed(replace(bad_of(verdict), repairs=self._repairs(verdict)), kept)

    def _repairs(self, verdict: Verdict) -> tuple[str, ...]:
        if verdict.foreign is None:
            return ()
        return self.exchanges.adapt(self.send, verdict.foreign)

    def _cleared(self, chunk: bytes, judge: Judge) -> bytes:
        """What is passed on of a chunk: an error event may name the credential's key."""
        return chunk if judge.fault is None else self._masked(chunk)

    def _masked(self, told: bytes) -> bytes:
        """A provider's error without the credential's key, which some repeat in their sentence."""
        key = self.send.credential.key.reveal().encode()
        return told.replace(key, MASK.encode()) if key else told

    def _verdict(self, fault: Fault) -> Verdict:
        reply = self.progress.reply
        assert reply is not None
        return classify_fault(
            fault,
            headers={name.lower(): value for name, value in reply.pairs()},
            vendor=vendor_of(self.send.provider, self.send.model),
            dialect=self.exchange.wire.name,
            rules=self.send.provider.errors,
            now=self.clock.now().timestamp,
            credential_key=self.send.credential.key.reveal(),
        )

    def _faulty(self, fault: Fault) -> Bad:
        return bad_of(self._verdict(fault))

    def _unanswered(self, failure: UpstreamFailure, at: float) -> Bad:
        """A failure below HTTP before content. `at`: loop time, where it may be the deadline's."""
        if self.send.by_deadline and at >= self._until - CLOCK_SLACK_SECONDS:
            return Bad(failure=Failure.DEADLINE, reason="deadline")
        return Bad(
            failure=failure.failure,
            reason=failure.reason,
            processed=failure.processed,
            message=f"The provider could not be asked: {failure.reason}.",
        )

    def _too_slow(self) -> Bad:
        left = self._until - asyncio.get_running_loop().time()
        if left > CLOCK_SLACK_SECONDS:
            return Bad(failure=Failure.IDLE_TIMEOUT, reason="idle")
        if self.send.by_deadline:
            return Bad(failure=Failure.DEADLINE, reason="deadline")
        seconds = self.send.timeouts.first_content_seconds
        return Bad(
            failure=Failure.FIRST_CONTENT_TIMEOUT,
            reason="first_content",
            message=f"The provider sent no content within {seconds:g} s.",
        )
