"""Connections that are kept: opened when none is idle, used again while they are warm."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohappyeyeballs

from gateway.upstream.http1.connection import Connection, Owner
from gateway.upstream.http1.origin import Origin

IDLE_SECONDS: Final = 15.0
"""Idle connections are dropped before common load balancers drop them."""
DNS_SECONDS: Final = 60.0
"""Long enough to spare a look-up per call, short enough to follow a provider's move."""
DNS_ENTRIES_MAX: Final = 256
EYEBALLS_SECONDS: Final = 0.25
"""Head start of the preferred address family (RFC 8305)."""
AddrInfo = tuple[Any, ...]
LookUp = Callable[[str, int], Awaitable[Sequence[AddrInfo]]]


class Pool:
    """To be made and closed within a running loop. How many calls run at once is decided elsewhere."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float = IDLE_SECONDS,
        look_up: LookUp | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._asked = look_up or self._system
        self._idle: dict[Origin, deque[_Kept]] = {}
        self._open: set[_Kept] = set()
        self._names: dict[tuple[str, int], tuple[float, Sequence[AddrInfo]]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def kept(self, origin: Origin) -> Connection | None:
        """An idle connection, the one used last; None if there is none that is warm."""
        idle = self._idle.get(origin)
        while idle:
            found = idle.pop()
            if not found.closed and self._loop.time() - found.idle_since < self._idle_seconds:
                return found
            found.abort()
        return None

    async def opened(self, origin: Origin) -> Connection:
        """A new connection. Raises OSError, `ssl.SSLError`; never waits for another call's end."""
        infos = await self._look_up(origin.host, origin.port)
        sock = await aiohappyeyeballs.start_connection(
            infos, happy_eyeballs_delay=EYEBALLS_SECONDS, interleave=1
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await self._loop.create_connection(
                lambda: _Kept(self, origin),
                sock=sock,
                ssl=self._context() if origin.tls else None,
                server_hostname=origin.host if origin.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        self._open.add(connection)
        if self._closed:
            connection.abort()
        return connection

    async def close(self) -> None:
        """Ends every connection, in use or not."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # Transports tell of their end one turn of the loop later.

    def free(self, connection: Connection) -> None:
        assert isinstance(connection, _Kept)
        if self._closed or connection.closed:
            return
        connection.idle_since = self._loop.time()
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = deque()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._idle_seconds, self._drop_cold)

    def lost(self, connection: Connection) -> None:
        assert isinstance(connection, _Kept)
        self._open.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def _drop_cold(self) -> None:
        self._sweep = None
        cold = self._loop.time() - self._idle_seconds
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since <= cold:
                idle.popleft().abort()
            if not idle:
                del self._idle[origin]
        if self._idle:
            oldest = min(idle[0].idle_since for idle in self._idle.values())
            self._sweep = self._loop.call_at(oldest + self._idle_seconds, self._drop_cold)

    async def _look_up(self, host: str, port: int) -> Sequence[AddrInfo]:
        now = self._loop.time()
        known = self._names.get((host, port))
        if known is not None and now - known[0] < DNS_SECONDS:
            return known[1]
        infos = await self._asked(host, port)
        if len(self._names) >= DNS_ENTRIES_MAX:
            del self._names[next(iter(self._names))]
        self._names[host, port] = now, infos
        return infos

    async def _system(self, host: str, port: int) -> Sequence[AddrInfo]:
        return await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Kept(Connection):
    def __init__(self, owner: Owner, origin: Origin) -> None:
        super().__init__(owner)
        self.origin = origin


_OWNER: type[Owner] = Pool
