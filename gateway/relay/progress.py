"""How far an attempt has come, and what its failing is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from msgspec.structs import replace

from gateway.events import Failure, Usage
from gateway.relay.answering import Headers
from gateway.relay.exchange import Exchange, Flow, TranslatedFlow
from gateway.routing.classify import Verdict
from gateway.routing.quota import remaining_share
from gateway.routing.steps import Bad, Seen
from gateway.upstream.base import Reply, UpstreamFailure
from gateway.wire.base import Fault, Judge

ERROR_BYTES_MAX = 1024 * 1024
"""Of an error's body: enough for any sentence, too little to fill memory with."""
ERROR_SECONDS = 5.0
"""For an error's body, once its status is known."""


Priced: TypeAlias = Callable[[str, Usage | None], float | None]
"""What tokens of an answer cost, by what the model that served calls itself."""


def _nobody_knows(served_model: str, usage: Usage | None) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class ErrorReply:
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


@dataclass(slots=True)
class Progress:
    """What the attempt has come to; read by the relay however it ends."""

    reply: Reply | None = None
    judge: Judge | None = None
    committed: bool = False
    error_told: bool = False
    """The client has seen the upstream's own error event."""
    bytes_sent: int = 0
    gate: Flow | None = None
    """While a stream waits for its next chunk."""
    priced: Priced = _nobody_knows
    exchange: Exchange | None = None
    flow: Flow | None = None

    @property
    def told(self) -> Judge | None:
        """Of a stream: what has seen what the client was sent so far."""
        return self.flow.judge if isinstance(self.flow, TranslatedFlow) else self.judge

    def seen(self) -> Seen:
        headers: Mapping[str, str] = self.reply.headers if self.reply is not None else {}
        upstream_id = headers.get("request-id") or headers.get("x-request-id") or ""
        usage = self._usage()
        return Seen(
            status=self.reply.status if self.reply is not None else None,
            upstream_request_id=upstream_id[:128],
            bytes_sent=self.bytes_sent,
            usage=usage,
            cost_usd=self.priced(self.judge.served_model if self.judge else "", usage),
            dropped=self.exchange.dropped if self.exchange is not None else (),
            translated=self.exchange.translated if self.exchange is not None else "",
            answer_id=self._kept_id(),
            quota_remaining=remaining_share(headers),
        )

    def _kept_id(self) -> str:
        """A translated answer has an id of the gateway's own, which no provider knows."""
        translated = self.exchange is not None and self.exchange.translated
        return "" if self.judge is None or translated else self.judge.kept_id

    def _usage(self) -> Usage | None:
        """As the provider counted; of a stream that did not end, at least what came."""
        judge = self.judge
        if judge is None or judge.done or not judge.pieces:
            return judge.usage if judge is not None else None
        counted = judge.usage or Usage()
        return replace(counted, output_tokens=max(counted.output_tokens or 0, judge.pieces))


async def read_error(reply: Reply) -> bytes:
    """As much of an error's body as comes in time; what is missing cannot change its status."""
    body = bytearray()
    try:
        async with asyncio.timeout(ERROR_SECONDS):
            async for chunk in reply.chunks():
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
