"""How far an attempt has come, and what its failing is called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from gateway.events import Failure, Usage
from gateway.relay.answering import Headers
from gateway.relay.exchange import Exchange, Flow, TranslatedFlow
from gateway.routing.classify import Verdict
from gateway.routing.prices import Prices
from gateway.routing.quota import remaining_share
from gateway.routing.steps import Bad, Seen, Send
from gateway.upstream.base import Reply, UpstreamFailure, chunks
from gateway.wire.base import Fault, Judge

ERROR_BYTES_MAX = 1024 * 1024
"""Of an error's body: enough for any sentence, too little to fill memory with."""
ERROR_SECONDS = 5.0
"""For an error's body, once its status is known."""


_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class ErrorReply(msgspec.Struct, frozen=True):
    """An upstream's error answer, kept in case it is the client's own fault and is handed on."""

    status: int
    headers: Headers
    body: bytes


class AttemptFailed(Exception):
    """This attempt is over before or after content; `bad` says how."""

    def __init__(self, bad: Bad, reply: ErrorReply | None = None) -> None:
        super().__init__(bad.failure)
        self.bad = bad
        self.reply = reply


class Progress(msgspec.Struct, eq=False):
    """What the attempt has come to; read by the relay however it ends."""

    reply: Reply | None = None
    judge: Judge | None = None
    committed: bool = False
    error_told: bool = False
    """The client has seen the upstream's own error event."""
    bytes_sent: int = 0
    gate: Flow | None = None
    """While a stream waits for its next chunk."""
    send: Send | None = None
    prices: Prices | None = None
    exchange: Exchange | None = None
    flow: Flow | None = None

    @property
    def told(self) -> Judge | None:
        """Of a stream: what has seen what the client was sent so far."""
        return self.flow.judge if isinstance(self.flow, TranslatedFlow) else self.judge

    def seen(self) -> Seen:
        reply, exchange, judge = self.reply, self.exchange, self.judge
        if reply is None:
            headers, status = _NONE, None
        else:
            headers, status = reply.headers, reply.status
        upstream_id = headers.get("request-id") or headers.get("x-request-id") or ""
        translated = exchange.translated if exchange is not None else ""
        usage = self._usage()
        return Seen(
            status=status,
            upstream_request_id=upstream_id[:128],
            bytes_sent=self.bytes_sent,
            usage=usage,
            cost_usd=self._cost(usage),
            dropped=exchange.dropped if exchange is not None else (),
            translated=translated,
            # A translated answer has an id of the gateway's own, which no provider knows.
            answer_id="" if judge is None or translated else judge.kept_id,
            quota_remaining=remaining_share(headers),
        )

    def _cost(self, usage: Usage | None) -> float | None:
        send, judge = self.send, self.judge
        if usage is None or send is None or self.prices is None:
            return None
        served_model = judge.served_model if judge is not None else ""
        return self.prices.cost(send.provider, send.model, served_model, usage)

    def _usage(self) -> Usage | None:
        """As the provider counted; of a stream that did not end, at least what came."""
        judge = self.judge
        if judge is None or judge.done or not judge.pieces:
            return judge.usage if judge is not None else None
        counted = judge.usage or Usage()
        return replace(counted, output_tokens=max(counted.output_tokens or 0, judge.pieces))


async def read_error(reply: Reply) -> bytes:
    """As much of an error's body as comes in time; what is missing cannot change its status."""
    whole = reply.whole()
    if whole is not None:
        return whole[:ERROR_BYTES_MAX]
    body = bytearray()
    try:
        async with asyncio.timeout(ERROR_SECONDS):
            async for chunk in chunks(reply):
                body += chunk[: ERROR_BYTES_MAX - len(body)]
                if len(body) >= ERROR_BYTES_MAX:
                    break
    except (TimeoutError, UpstreamFailure):
        pass
    return bytes(body)


def bad_of(verdict: Verdict) -> Bad:
    return Bad(
        failure=verdict.failure,
        reason=verdict.reason,
        scope=verdict.scope,
        stated_seconds=verdict.stated_seconds,
        message=verdict.message,
        excerpt=verdict.excerpt,
    )


def bad_success(reason: str) -> Bad:
    return Bad(
        failure=Failure.BAD_SUCCESS,
        reason=reason,
        message=f"The provider's answer is no success: {reason}.",
    )


def is_told(fault: Fault | None) -> bool:
    """The client has seen an error event in its own dialect."""
    return fault is not None and fault.reason == "error_event"


def broken(reason: str, message: str = "") -> Bad:
    return Bad(failure=Failure.STREAM_BROKEN, reason=reason, message=message)
