"""Against real servers: which connections are kept, and for how long."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from gateway.upstream.http1.connection import Exchange
from gateway.upstream.http1.origin import Address, Origin, address, head
from gateway.upstream.http1.pool import AddrInfo, Pool
from gateway.upstream.outgoing import Lines
from tests.upstream import ScriptedUpstream


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    found = Pool()
    yield found
    await found.close()


def origin_of(upstream: ScriptedUpstream) -> Origin:
    found = address(upstream.url)
    assert found is not None
    return found.origin


async def ask(pool: Pool, origin: Origin) -> Exchange:
    connection = pool.kept(origin) or await pool.opened(origin)
    body = b'{"model": "model-a", "messages": []}'
    to = Address(origin, f"{origin.host}:{origin.port}", "/v1")
    lines = Lines("Content-Type: application/json\r\n", 1)
    request = head(to, "/chat/completions", lines, len(body))
    exchange = connection.ask(request, body)
    await exchange.head()
    while await exchange.chunk() is not None:
        pass
    return exchange


async def test_a_connection_serves_one_request_after_the_other(
    pool: Pool, upstream: ScriptedUpstream
) -> None:
    for _ in range(5):
        await ask(pool, origin_of(upstream))
    assert upstream.connections == 1


async def test_as_many_connections_as_calls_at_once(pool: Pool, upstream: ScriptedUpstream) -> None:
    origin = origin_of(upstream)
    await asyncio.gather(*(ask(pool, origin) for _ in range(4)))
    assert upstream.connections == 4
    await asyncio.gather(*(ask(pool, origin) for _ in range(4)))
    assert upstream.connections == 4


async def test_a_connection_that_the_server_closed_is_not_used_again(
    pool: Pool, upstream: ScriptedUpstream
) -> None:
    origin = origin_of(upstream)
    await ask(pool, origin)
    kept = pool.kept(origin)
    assert kept is not None
    kept.connection_lost(None)
    assert pool.kept(origin) is None


async def test_cold_connections_are_dropped(upstream: ScriptedUpstream) -> None:
    pool, origin = Pool(idle_seconds=0.05), origin_of(upstream)
    await ask(pool, origin)
    await asyncio.sleep(0.15)
    assert not pool._idle
    assert not pool._open
    assert pool.kept(origin) is None
    await pool.close()


async def test_a_name_is_looked_up_once_for_a_while(upstream: ScriptedUpstream) -> None:
    asked: list[str] = []

    async def look_up(host: str, port: int) -> Sequence[AddrInfo]:
        asked.append(host)
        return await asyncio.get_running_loop().getaddrinfo(host, port)

    pool, origin = Pool(look_up=look_up), origin_of(upstream)
    for _ in range(3):
        (await pool.opened(origin)).abort()
    assert asked == [origin.host]
    await pool.close()


async def test_closing_ends_what_is_in_use(upstream: ScriptedUpstream) -> None:
    pool = Pool()
    connection = await pool.opened(origin_of(upstream))
    await pool.close()
    assert connection.closed


def test_it_works_on_the_loop_that_serves() -> None:
    async def run() -> int:
        pool = Pool()
        async with ScriptedUpstream() as upstream:
            await ask(pool, origin_of(upstream))
            await ask(pool, origin_of(upstream))
            await pool.close()
            return upstream.connections

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by itself; the key is in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(made.read_bytes() + key.read_bytes())
    return both


async def _over_tls(certificate: Path, pool: Pool, times: int) -> int:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(36)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    origin = Origin("localhost", server.sockets[0].getsockname()[1], tls=True)
    try:
        for _ in range(times):
            await ask(pool, origin)
    finally:
        await pool.close()
        server.close()
    return opened


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_certificate_is_looked_at_and_connections_are_kept_over_tls(
    certificate: Path, loop: str
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def run(tls: ssl.SSLContext | None) -> int:
        return await _over_tls(certificate, Pool(tls=tls), 3)

    factory = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(run(trusting)) == 1
        with pytest.raises(ssl.SSLCertVerificationError):
            runner.run(run(None))
