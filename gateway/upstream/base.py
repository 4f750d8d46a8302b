"""What the relay asks of an upstream, whatever stands behind it.

A reply is always a stream of bytes, also where it is one JSON body. Foreign exceptions end here:
an upstream raises `UpstreamFailure` only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.config import Credential, Provider, Timeouts
from gateway.events import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One attempt's request. `headers` hold no client credential and no hop-by-hop header."""

    provider: Provider
    credential: Credential
    model: str
    dialect: str
    """`openai` or `anthropic`: what body and path are written in."""
    path: str
    """Below the dialect's root, such as `/chat/completions` or `/v1/messages`."""
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stream: bool
    timeouts: Timeouts
    session: str = ""
    """The conversation it belongs to, in words of no meaning to others; empty if unknown."""


class Reply(Protocol):
    """An upstream's answer: status and headers are here, the body is on its way."""

    status: int
    headers: Mapping[str, str]
    """Names are found whatever their case; `pairs` keeps repeated ones."""

    def pairs(self) -> list[tuple[str, str]]: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Body bytes as they come. Raises `UpstreamFailure`; silence is timed by the caller."""
        ...

    async def close(self) -> None:
        """End the call now, read or not; may be called twice."""
        ...


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
