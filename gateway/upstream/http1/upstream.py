"""Pass-through over connections of our own: what `direct.py` does with aiohttp, for a third of its price.

For plain HTTP/1.1 servers, TLS included. Addresses that are none (a user in the URL) go the other way.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Mapping

from multidict import CIMultiDict

from gateway.config import HttpClient
from gateway.events import Failure
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure
from gateway.upstream.http1.connection import Broken, Connection, Exchange
from gateway.upstream.http1.decoding import Decoder, Undecodable, decoder
from gateway.upstream.http1.origin import Address, Origin, Unsendable, address, head
from gateway.upstream.http1.pool import Pool
from gateway.upstream.outgoing import request_headers


class Http1Upstream:
    """Implements `Upstream`. `otherwise` takes what is no plain address."""

    def __init__(self, pool: Pool, otherwise: Upstream) -> None:
        self._pool = pool
        self._otherwise = otherwise

    async def send(self, outgoing: Outgoing) -> Reply:
        to = address(outgoing.provider.base_url)
        if to is None or outgoing.provider.http_client is HttpClient.AIOHTTP:
            return await self._otherwise.send(outgoing)
        request = _request(to, outgoing)
        timeouts = outgoing.timeouts
        connection = self._pool.kept(to.origin)
        if connection is None:
            connection = await self._connect(to.origin, timeouts.connect_seconds)
        exchange = connection.ask(request, outgoing.body)
        try:
            await _answered(exchange, connection, timeouts.headers_seconds)
        except Broken as broken:
            raise _broken(broken) from broken
        except asyncio.CancelledError:
            exchange.abort()
            raise
        return Http1Reply(exchange)

    async def _connect(self, origin: Origin, seconds: float) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.opened(origin)
        except (OSError, ValueError) as error:
            raise connect_failure(error) from error


async def _answered(exchange: Exchange, connection: Connection, seconds: float) -> None:
    """Returns when the answer's headers are there. Raises `Broken`, `UpstreamFailure`."""
    loop = asyncio.get_running_loop()
    late = loop.call_later(seconds, exchange.give_up)
    try:
        await exchange.head()
    except Broken as broken:
        if broken.reason == "headers_timeout":
            connection.abort()
            raise UpstreamFailure(
                Failure.FIRST_CONTENT_TIMEOUT, "headers_timeout", processed=True
            ) from broken
        raise
    finally:
        late.cancel()


class Http1Reply:
    """Implements `Reply`."""

    def __init__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self.headers: Mapping[str, str] = CIMultiDict(exchange.headers)
        self._exchange = exchange

    def pairs(self) -> list[tuple[str, str]]:
        return self._exchange.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        try:
            decoding = self._decoder()
            while (part := await exchange.chunk()) is not None:
                if decoding is None:
                    yield part
                elif made := decoding.decode(part):
                    yield made
            if decoding is not None and (made := decoding.finish()):
                yield made
        except Undecodable as error:
            raise UpstreamFailure(Failure.BAD_SUCCESS, "bad_encoding", processed=True) from error
        except Broken as broken:
            raise _broken(broken) from broken

    async def close(self) -> None:
        """A body that was read to its end has given its connection back; any other is aborted."""
        self._exchange.abort()

    def _decoder(self) -> Decoder | None:
        for name, value in self._exchange.headers:
            if name.lower() == "content-encoding":
                return decoder(value)
        return None


def _request(to: Address, outgoing: Outgoing) -> bytes:
    query = f"?{outgoing.query}" if outgoing.query else ""
    path = f"{to.prefix}{outgoing.path}{query}"
    try:
        return head(to.authority, path, request_headers(outgoing), len(outgoing.body))
    except (Unsendable, UnicodeEncodeError) as error:
        raise UpstreamFailure(Failure.UNKNOWN, "unsendable", processed=False) from error


def _broken(broken: Broken) -> UpstreamFailure:
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
_REPLY: type[Reply] = Http1Reply
