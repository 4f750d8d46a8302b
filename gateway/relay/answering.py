"""The client's side of a request: what the relay writes to, and the gateway's own headers on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from gateway.routing.call import Call
from gateway.units import RequestId
from gateway.wire.base import ErrorAnswer, Wire

Headers = list[tuple[str, str]]

JSON_TYPE = ("content-type", "application/json")
UNBUFFERED: Headers = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
"""On every stream: proxies in front of the gateway would deliver it in one block."""


STALLED_SECONDS = 300.0
"""A client that takes no byte for so long is gone: its upstream call costs money."""


class ClientGone(Exception):
    """The client's connection is closed, or takes nothing any more: raised by `Answer`."""


class Answer(Protocol):
    """The client's side. Every method may raise `ClientGone`."""

    async def whole(self, status: int, headers: Headers, body: bytes) -> None: ...

    async def begin(self, status: int, headers: Headers) -> None: ...

    async def write(self, chunk: bytes) -> None: ...

    def put(self, chunk: bytes) -> bool:
        """`write` where that waits for nothing; may be called within a read of another connection.

        False: nothing was written, and `write` will wait, or say why not. Raises nothing."""
        ...

    async def keep_alive(self, frame: bytes) -> None:
        """Between two writes of a stream: `frame` if it can be sent at once, else nothing."""
        ...

    async def end(self) -> None: ...


def own_headers(call: Call) -> Headers:
    """The `x-evenkeel-*` headers of an answer, and its trace; header values hold no line break by construction."""
    facts = call.facts
    headers = [
        ("traceparent", f"00-{facts.trace_id}-{facts.span_id}-01"),
        ("x-evenkeel-request-id", facts.request_id),
        _route(call.route.chain.label),
    ]
    served = call.served()
    if served is not None:
        target = served.target
        headers += _served(target.provider.name, target.model, served.credential.name)
    headers.append(("x-evenkeel-attempts", str(call.attempts)))
    if adapted := call.adapted():
        headers.append(("x-evenkeel-adapted", _header_text(",".join(adapted))))
    origin, reason = call.fallback()
    if origin:
        headers += [
            ("x-evenkeel-fallback-reason", _header_text(reason)),
            ("x-evenkeel-fallback-from", _header_text(origin)),
        ]
    return headers


@lru_cache(maxsize=1024)
def _route(label: str) -> tuple[str, str]:
    return "x-evenkeel-route", _header_text(label)


@lru_cache(maxsize=4096)
def _served(provider: str, model: str, credential: str) -> tuple[tuple[str, str], ...]:
    return (
        ("x-evenkeel-provider", _header_text(provider)),
        ("x-evenkeel-model", _header_text(model)),
        ("x-evenkeel-credential", _header_text(credential)),
    )


def error_headers(answer: ErrorAnswer) -> Headers:
    """The headers of an error of the gateway's own, without `own_headers`."""
    headers = [JSON_TYPE]
    if answer.retry_after_seconds is not None:
        headers.append(("retry-after", str(answer.retry_after_seconds)))
    if answer.should_retry is not None:
        headers.append(("x-should-retry", "true" if answer.should_retry else "false"))
    return headers


def request_headers(request_id: RequestId) -> Headers:
    """What an answer carries when there was no route to speak of."""
    return [("x-evenkeel-request-id", request_id), ("x-evenkeel-attempts", "0")]


async def answer_error(
    answer: Answer, wire: Wire, error: ErrorAnswer, headers: Sequence[tuple[str, str]]
) -> None:
    await answer.whole(error.status, [*error_headers(error), *headers], wire.error_body(error))


def _header_text(value: str) -> str:
    """Model names of clients may hold anything printable; a header takes Latin-1 at most."""
    return value if value.isascii() else value.encode("latin-1", "replace").decode("latin-1")
