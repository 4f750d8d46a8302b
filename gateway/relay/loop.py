"""The only loop: decide, send, report, emit. Streams and single answers take the same way.

What to do next is `Call`'s to say, how an attempt goes is `attempt`'s; this file joins the two and
sees to it that every request ends: with an answer, an honest refusal, or its client gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

from gateway.config import Dialect
from gateway.events import Event, Failure, RequestOutcome
from gateway.relay.answering import Answer, ClientGone, Headers, answer_error, own_headers
from gateway.relay.attempt import Attempt, Means
from gateway.relay.exchange import Exchanges
from gateway.relay.inbound import Emit, Inbound
from gateway.relay.keep_alive import KeepAlives
from gateway.relay.progress import AttemptFailed, ErrorReply, Progress
from gateway.routing.call import Call, Phase
from gateway.routing.pool import Pool
from gateway.routing.prices import Prices
from gateway.routing.state import RouteState
from gateway.routing.steps import Bad, GiveUp, Send, Wait
from gateway.units import Clock, Moment
from gateway.upstream.base import Upstream
from gateway.upstream.waits import Waits
from gateway.wire.base import ErrorAnswer

CLIENT_CLOSED = 499
"""What the history calls the status of a request whose client went away before any answer."""

MICROSECONDS = 1_000_000

OWN_FAULT_STATUS: Mapping[Failure, int] = {
    Failure.BAD_REQUEST: 400,
    Failure.CONTEXT_TOO_LONG: 400,
    Failure.CONTENT_POLICY: 400,
}
"""Of a client's own fault that the provider told inside a 200."""


class Relay:
    """Carries requests of one pool."""

    def __init__(
        self,
        *,
        pool: Pool,
        upstreams: Mapping[Dialect, Upstream],
        emit: Emit,
        clock: Clock,
        rng: Random,
        prices: Prices | None = None,
    ) -> None:
        self._pool = pool
        self._prices = prices or Prices()
        self._upstreams = upstreams
        self._emit = emit
        self._clock = clock
        self._rng = rng
        self._means: Means | None = None
        self.keep_alives = KeepAlives()
        self._waiters: dict[str, asyncio.Event] = {}

    def use(self, pool: Pool) -> None:
        """From now on requests are decided by `pool`; those under way stay with theirs."""
        self._pool = pool

    async def serve(self, inbound: Inbound, route: RouteState, answer: Answer) -> None:
        """Answers one request, whatever happens. Raises only `CancelledError`."""
        now, pool = self._clock.now(), self._pool
        self._tell(pool, pool.expire(now))
        exchanges = Exchanges(inbound, created=int(now.timestamp // MICROSECONDS))
        call = Call(pool, route, inbound.facts, now=now, rng=self._rng, cannot=exchanges.cannot)
        carried = _Carried(call, pool, exchanges, answer)
        outcome, status = RequestOutcome.CANCELLED, CLIENT_CLOSED
        try:
            outcome, status = await self._run(carried, now)
        except ClientGone:
            status = carried.status or CLIENT_CLOSED
        except asyncio.CancelledError:
            status = carried.status or CLIENT_CLOSED
            raise
        finally:
            now = self._clock.now()
            if call.phase is not Phase.DONE:
                self._tell(pool, call.abandoned(now, carried.progress.seen()))
            self._emit([call.closed(now, outcome=outcome, status=status)])

    async def _run(self, carried: _Carried, now: Moment) -> tuple[RequestOutcome, int]:
        call, pool = carried.call, carried.pool
        while True:
            step, events = call.step(now)
            self._tell(pool, events)
            if isinstance(step, Send):
                result = await self._send(carried, step)
                if result is not None:
                    return result
            elif isinstance(step, Wait):
                await self._wait(carried.inbound.facts.request_id, step.seconds)
            else:
                return await _give_up(carried, step)
            now = self._clock.now()

    async def _send(self, carried: _Carried, send: Send) -> tuple[RequestOutcome, int] | None:
        """One attempt. None: it failed before content, and the next step may go elsewhere."""
        call, pool = carried.call, carried.pool
        means = self._means or self._made()
        attempt = Attempt(means, pool, call, send, carried.exchanges, carried.answer)
        progress = carried.progress = attempt.progress
        progress.prices = self._prices
        try:
            await attempt.run(self._upstreams[send.provider.dialect])
        except AttemptFailed as failed:
            carried.last_reply = failed.reply
            events = call.failed(failed.bad, self._clock.now(), progress.seen())
            self._tell(pool, events)
            if not progress.committed:
                return None
            await _end_broken(carried, failed.bad)
            return RequestOutcome.UPSTREAM_ERROR, carried.status
        self._tell(pool, call.finished(self._clock.now(), progress.seen()))
        return RequestOutcome.OK, carried.status

    def _made(self) -> Means:
        """Within the loop, where a relay may be made before it."""
        loop = asyncio.get_running_loop()
        means = self._means = Means(self._clock, loop, Waits(), self.keep_alives, self._tell)
        return means

    async def _wait(self, request: str, seconds: float) -> None:
        """Until the time is over, or the pool names the request."""
        woken = self._waiters[request] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiters[request]

    def _tell(self, pool: Pool, events: Sequence[Event]) -> None:
        """Emits, and wakes those for whom something has changed."""
        if events:
            self._emit(events)
        self.wake(pool)

    def wake(self, pool: Pool) -> None:
        for request in pool.waiting.woken():
            waiter = self._waiters.get(request)
            if waiter is not None:
                waiter.set()


class _Carried:
    """One request under way."""

    __slots__ = ("answer", "call", "exchanges", "inbound", "last_reply", "pool", "progress")

    def __init__(self, call: Call, pool: Pool, exchanges: Exchanges, answer: Answer) -> None:
        self.call = call
        self.pool = pool
        self.exchanges = exchanges
        self.inbound = exchanges.inbound
        self.answer = answer
        self.progress = Progress()
        self.last_reply: ErrorReply | None = None

    @property
    def status(self) -> int:
        """What the client saw of the attempt under way; 0 before it saw anything."""
        progress = self.progress
        if not progress.committed or progress.reply is None:
            return 0
        return progress.reply.status


async def _end_broken(carried: _Carried, bad: Bad) -> None:
    """Ends a stream that broke after content: with the dialect's error event, once, and no marker
    that would make it look whole."""
    if not carried.progress.error_told:
        reason = bad.message or f"The provider's stream broke: {bad.reason}."
        error = ErrorAnswer(
            status=502,
            code=bad.failure.value,
            message=reason,
            request_id=carried.inbound.facts.request_id,
        )
        event = carried.inbound.wire.error_event(error, carried.progress.told)
        await carried.answer.write(event)
    await carried.answer.end()


async def _give_up(carried: _Carried, step: GiveUp) -> tuple[RequestOutcome, int]:
    headers = own_headers(carried.call)
    if step.own_fault:
        status = await _own_fault(carried, step, headers)
        return RequestOutcome.CLIENT_ERROR, status
    if step.hand_on and carried.last_reply is not None:
        return RequestOutcome.UPSTREAM_ERROR, await _own_fault(carried, step, headers)
    refusal = step.refusal
    assert refusal is not None
    error = ErrorAnswer(
        status=refusal.status,
        code=refusal.code,
        message=refusal.message,
        request_id=carried.inbound.facts.request_id,
        targets=tuple(part.shown() for part in step.parts),
        retry_after_seconds=refusal.retry_after_seconds,
        should_retry=refusal.should_retry,
    )
    await answer_error(carried.answer, carried.inbound.wire, error, headers)
    return RequestOutcome.EXHAUSTED, refusal.status


async def _own_fault(carried: _Carried, step: GiveUp, headers: Headers) -> int:
    """The provider's own words on a bad request, unchanged: clients act on their text."""
    reply = carried.last_reply
    if reply is not None:
        await carried.answer.whole(reply.status, [*reply.headers, *headers], reply.body)
        return reply.status
    failure = step.failure or Failure.BAD_REQUEST
    message = next((part.message for part in step.parts if part.message), "")
    error = ErrorAnswer(
        status=OWN_FAULT_STATUS.get(failure, 400),
        code=failure.value,
        message=message or "The provider refused this request.",
        request_id=carried.inbound.facts.request_id,
    )
    await answer_error(carried.answer, carried.inbound.wire, error, headers)
    return error.status
