"""Pass-through: one attempt's bytes to a provider over HTTP, and its answer's bytes back.

Nothing is re-quoted, redirected, retried or re-encoded. aiohttp's, OpenSSL's and the system's
exceptions end here, in the one map at the bottom; reasons are stable words without hosts or keys.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from gateway.events import Failure
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure, found
from gateway.upstream.outgoing import request_headers

DNS_TTL_SECONDS = 60
"""Long enough to spare a look-up per call, short enough to follow a provider's move."""
KEEP_ALIVE_SECONDS = 15.0
"""Idle connections are dropped before common load balancers drop them."""
HEADER_BYTES_MAX = 64 * 1024
"""Of one line of an answer's head: CDNs send policies that are longer than aiohttp's 8 KiB."""
HEADERS_MAX = 256

_NOT_OURS_TO_ADD = ("User-Agent", "Content-Type", "Accept")
"""aiohttp would fill these in; the client sent its own or meant to send none."""


def open_session() -> aiohttp.ClientSession:
    """A session as `DirectUpstream` needs it; must be called within the loop, closed by the caller.

    How many calls run at once is the pool's decision, so the connector has no limit of its own.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        ttl_dns_cache=DNS_TTL_SECONDS,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NOT_OURS_TO_ADD,
        auto_decompress=True,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        max_headers=HEADERS_MAX,
        trace_configs=[_connection_trace()],
    )


class DirectUpstream:
    """Implements `Upstream` with a session from `open_session`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, outgoing: Outgoing) -> Reply:
        timeouts = outgoing.timeouts
        progress = _Progress()
        try:
            # The connect clock is aiohttp's. The other one starts when a connection is there.
            async with asyncio.timeout(None) as headers_clock:
                progress.clock = headers_clock
                progress.headers_seconds = timeouts.headers_seconds
                response = await self._session.post(
                    _url(outgoing),
                    data=outgoing.body,
                    headers=request_headers(outgoing),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect_seconds),
                    trace_request_ctx=progress,
                )
        except TimeoutError as error:
            if headers_clock.expired():
                raise _headers_timeout() from error
            raise failure_of(error, connected=progress.connected) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of(error, connected=progress.connected) from error
        return DirectReply(response)


class DirectReply(Reply):
    """Of aiohttp's client."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = found(response.headers.items())
        self._response = response
        self._parts = self._made()

    def pairs(self) -> list[tuple[str, str]]:
        return list(self._response.headers.items())

    async def chunk(self) -> bytes | None:
        return await anext(self._parts, None)

    async def _made(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise body_failure_of(error) from error

    async def close(self) -> None:
        """A body that was read to its end has given its connection back; any other is aborted."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is not None:
            # `close` alone would first flush what is unsent, to a peer that may not read.
            transport.abort()
        self._response.close()


@dataclass(slots=True)
class _Progress:
    """How far one call has come; aiohttp's trace hands it back to us."""

    clock: asyncio.Timeout | None = None
    headers_seconds: float = 0.0
    connected: bool = False

    def on_connected(self) -> None:
        self.connected = True
        if self.clock is not None and not self.clock.expired():
            now = asyncio.get_running_loop().time()
            self.clock.reschedule(now + self.headers_seconds)


def _connection_trace() -> aiohttp.TraceConfig:
    async def on_connected(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: object
    ) -> None:
        progress: Any = context.trace_request_ctx
        if isinstance(progress, _Progress):
            progress.on_connected()

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_connected)
    trace.on_connection_reuseconn.append(on_connected)
    return trace


def _url(outgoing: Outgoing) -> URL:
    query = f"?{outgoing.query}" if outgoing.query else ""
    base = outgoing.provider.base_url.rstrip("/")
    return URL(f"{base}{outgoing.path}{query}", encoded=True)


# -- the exception map -----------------------------------------------------------------------------


def failure_of(error: Exception, *, connected: bool) -> UpstreamFailure:
    """What an exception before the answer's headers means.

    Without a connection the provider surely did nothing. With one it may have: also where a
    kept connection was closed by the server just as it was used again, which looks the same.
    """
    match error:
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return _connect("dns")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return _connect("tls")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ServerFingerprintMismatch():
            return _connect("tls")
        case aiohttp.ConnectionTimeoutError():
            return _connect("connect_timeout")
        case aiohttp.ClientConnectorError():
            return _connect("refused" if error.errno == errno.ECONNREFUSED else "unreachable")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return _connect("bad_url")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            # Also a head beyond the limits above. Something answers there, but not an API.
            return UpstreamFailure(Failure.BAD_SUCCESS, "bad_http", processed=True)
        case aiohttp.ServerDisconnectedError():
            return _reset("disconnected", processed=connected)
        case aiohttp.ClientError() | OSError():
            return _reset("reset", processed=connected)
        case _:
            # A line break in a key, or a key beside one in `base_url`.
            return UpstreamFailure(Failure.UNKNOWN, "unsendable", processed=False)


def body_failure_of(error: Exception) -> UpstreamFailure:
    """What an exception within the body means; after content the relay has its own word for it."""
    undecodable = isinstance(error, ValueError)
    cause: BaseException | None = error
    while cause is not None and not undecodable:
        undecodable = isinstance(cause, aiohttp.http_exceptions.ContentEncodingError)
        cause = cause.__cause__
    if undecodable:
        return UpstreamFailure(Failure.BAD_SUCCESS, "bad_encoding", processed=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _reset("truncated", processed=True)
    return _reset("reset", processed=True)


def _connect(reason: str) -> UpstreamFailure:
    return UpstreamFailure(Failure.CONNECT, reason, processed=False)


def _reset(reason: str, *, processed: bool) -> UpstreamFailure:
    return UpstreamFailure(Failure.RESET_BEFORE_CONTENT, reason, processed=processed)


def _headers_timeout() -> UpstreamFailure:
    return UpstreamFailure(Failure.FIRST_CONTENT_TIMEOUT, "headers_timeout", processed=True)


_UPSTREAM: type[Upstream] = DirectUpstream
