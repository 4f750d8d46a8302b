"""What the relay asks of an upstream, whatever stands behind it.

A reply is always a stream of bytes, also where it is one JSON body. Foreign exceptions end here:
an upstream raises `UpstreamFailure` only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from gateway.config import Credential, Provider, Timeouts
from gateway.events import Failure
from gateway.routing.clocks import Clocks


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One attempt's request. `headers` hold no client credential and no hop-by-hop header."""

    provider: Provider
    credential: Credential
    model: str
    dialect: str
    """`openai` or `anthropic`: what body and path are written in."""
    path: str
    """Below the dialect's root, such as `/chat/completions` or `/v1/messages`."""
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    stream: bool
    timeouts: Timeouts | Clocks
    session: str = ""
    """The conversation it belongs to, in words of no meaning to others; empty if unknown."""


Take: TypeAlias = Callable[[bytes], bytes | None]
"""Is given a part of a body as it comes, within the read that brought it: must not wait or raise.

None: it is dealt with. Else what `Reply.chunk` returns to whoever waits in it: the part itself, or
what is left of it; no bytes at all just end that wait.
"""


class Reply(Protocol):
    """An upstream's answer: status and headers are here, the body is on its way.

    To be inherited from: whatever cannot do better takes the body chunk by chunk.
    """

    status: int
    headers: Mapping[str, str]
    """By their names in lower case (`found`); `pairs` keeps repeated ones, and how they are written."""

    def pairs(self) -> list[tuple[str, str]]: ...

    async def chunk(self) -> bytes | None:
        """Body bytes as they come; None behind the last. Raises `UpstreamFailure`; silence is
        timed by the caller."""
        ...

    def whole(self) -> bytes | None:
        """The body, where all of it is here already and nothing of it was read; then it is read.

        Else None, and nothing has changed."""
        return None

    def pour(self, take: Take | None) -> None:
        """From now on parts go to `take` while somebody waits in `chunk`, where that is possible:
        no task has to be woken for them. What it does not take `chunk` returns. None: no more."""
        return None  # noqa: RET501  # An empty function would be an abstract one.

    async def close(self) -> None:
        """End the call now, read or not; may be called twice."""
        ...


def found(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By names in lower case; of a repeated one the first value."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), value)
    return headers


async def chunks(reply: Reply) -> AsyncIterator[bytes]:
    """All that is left of a body."""
    while (part := await reply.chunk()) is not None:
        yield part


class Upstream(Protocol):
    async def send(self, outgoing: Outgoing) -> Reply:
        """Returns when status and headers are there. Raises `UpstreamFailure`."""
        ...


class UpstreamFailure(Exception):
    """An attempt failed below HTTP.

    `processed` is False where the provider surely did nothing with the request.
    """

    def __init__(self, failure: Failure, reason: str, *, processed: bool) -> None:
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
        self.processed = processed
