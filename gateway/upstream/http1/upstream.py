"""Pass-through over connections of our own: what `direct.py` does with aiohttp, for a third of its price.

For plain HTTP/1.1 servers, TLS included. Addresses that are none (a user in the URL) go the other way.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from gateway.config import HttpClient
from gateway.events import Failure
from gateway.upstream.base import Outgoing, Reply, Take, Upstream, UpstreamFailure, found
from gateway.upstream.http1.connection import HEADERS_TIMEOUT, Broken, Connection, Exchange
from gateway.upstream.http1.decoding import Decoder, Undecodable, decoder
from gateway.upstream.http1.origin import Address, Origin, Unsendable, address, head
from gateway.upstream.http1.pool import Pool
from gateway.upstream.outgoing import request_lines
from gateway.upstream.waits import Waits


class Http1Upstream:
    """Implements `Upstream`. `otherwise` takes what is no plain address."""

    def __init__(self, pool: Pool, otherwise: Upstream) -> None:
        self._pool = pool
        self._otherwise = otherwise
        self._loop = asyncio.get_running_loop()
        self._waits = Waits()

    async def send(self, outgoing: Outgoing) -> Reply:
        provider = outgoing.provider
        to = address(provider.base_url)
        if to is None or provider.http_client is HttpClient.AIOHTTP:
            return await self._otherwise.send(outgoing)
        request = _request(to, outgoing)
        connection = self._pool.kept(to.origin)
        if connection is None:
            connection = await self._connect(to.origin, outgoing.timeouts.connect_seconds)
        exchange = connection.ask(request, outgoing.body)
        exchange.until = self._loop.time() + outgoing.timeouts.headers_seconds
        self._waits.add(exchange)
        try:
            await exchange.head()
        except Broken as broken:
            raise _broken(broken) from broken
        except asyncio.CancelledError:
            exchange.abort()
            raise
        finally:
            self._waits.drop(exchange)
        return Http1Reply(exchange)

    async def _connect(self, origin: Origin, seconds: float) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.opened(origin)
        except (OSError, ValueError) as error:
            raise connect_failure(error) from error


class Http1Reply(Reply):
    """Of an exchange whose head has come."""

    def __init__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self.headers = found(exchange.headers)
        self._exchange = exchange
        self._encoding = self.headers.get("content-encoding", "")
        self._decoder: Decoder | None = None

    def pairs(self) -> list[tuple[str, str]]:
        return self._exchange.headers

    async def chunk(self) -> bytes | None:
        try:
            part = await self._exchange.chunk()
        except Broken as broken:
            raise _broken(broken) from broken
        return self._decoded(part) if self._encoding else part

    def whole(self) -> bytes | None:
        return None if self._encoding else self._exchange.whole()

    def pour(self, take: Take | None) -> None:
        if not self._encoding:
            self._exchange.pour(take)

    async def close(self) -> None:
        """A body that was read to its end has given its connection back; any other is aborted."""
        self._exchange.abort()

    def _decoded(self, part: bytes | None) -> bytes | None:
        """None once nothing is left: behind the last part comes what the decoder has kept."""
        try:
            decoding = self._decoder = self._decoder or decoder(self._encoding)
            if decoding is None:
                return part
            if part is not None:
                return decoding.decode(part)
            last = decoding.finish()
        except Undecodable as error:
            raise UpstreamFailure(Failure.BAD_SUCCESS, "bad_encoding", processed=True) from error
        return last or None


def _request(to: Address, outgoing: Outgoing) -> bytes:
    path = f"{outgoing.path}?{outgoing.query}" if outgoing.query else outgoing.path
    try:
        return head(to, path, request_lines(outgoing), len(outgoing.body))
    except (Unsendable, UnicodeEncodeError) as error:
        raise UpstreamFailure(Failure.UNKNOWN, "unsendable", processed=False) from error


def _broken(broken: Broken) -> UpstreamFailure:
    if broken.reason == HEADERS_TIMEOUT:
        return UpstreamFailure(Failure.FIRST_CONTENT_TIMEOUT, HEADERS_TIMEOUT, processed=True)
    if broken.reason == "bad_http":
        # Also a head beyond the limits. Something answers there, but not an API.
        return UpstreamFailure(Failure.BAD_SUCCESS, "bad_http", processed=True)
    # Also where a kept connection was closed by the server just as it was used again, which looks
    # the same: it may have been processed.
    return UpstreamFailure(Failure.RESET_BEFORE_CONTENT, broken.reason, processed=True)


def connect_failure(error: Exception) -> UpstreamFailure:
    """Without a connection the provider surely did nothing."""
    match error:
        case socket.gaierror():
            reason = "dns"
        case ssl.SSLError() | ssl.CertificateError():
            reason = "tls"
        case TimeoutError():
            reason = "connect_timeout"
        case OSError():
            reason = "refused" if error.errno == errno.ECONNREFUSED else "unreachable"
        case _:
            reason = "bad_url"
    return UpstreamFailure(Failure.CONNECT, reason, processed=False)


_UPSTREAM: type[Upstream] = Http1Upstream
