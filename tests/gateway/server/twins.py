"""Two servers with one application: our own with aiohttp behind it, and aiohttp alone, its oracle.

The application answers with what it was asked, and does what the query says. `talk` sends bytes to
one of them as they are, and tells what came back and what became of the connection.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.api.http_answer import HttpAnswer
from gateway.api.http_incoming import HttpIncoming
from gateway.clock import SystemClock
from gateway.relay.answering import Answer, ClientGone
from gateway.relay.incoming import BodyBroken, BodyTooLarge, Incoming
from gateway.server.connection import Handle
from gateway.server.limits import Limits
from gateway.server.server import Server

BODY_BYTES_MAX = 1000
HOT = "/v1/messages"
MUCH = bytes(range(256)) * 512
"""Fifty times that is more than sockets hold."""
PAUSE_SECONDS = 0.004
"""Between two parts, so that they are read one after the other."""
QUIET_SECONDS = 0.25
PATIENT_SECONDS = 1.5
_DATE = re.compile(rb"\r\nDate: [^\r]*\r\n")
_WHY_BAD = re.compile(rb"(HTTP/1.0 400 Bad Request\r\n).*", re.DOTALL)
"""Aiohttp's sentence on a bad request quotes as much of it as came in one read."""


class Do:
    """What is between the bytes of a script."""


EOF, ABORT, WAIT, HUSH = Do(), Do(), Do(), Do()
"""`HUSH`: nothing is read until the script is over."""
Script = Sequence[bytes | Do]


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that came, without the hour and the reason of a bad request, and whether the server closed the connection."""

    data: bytes
    closed: bool


@dataclass(slots=True)
class Application:
    """`told`: what requests came to, in order."""

    told: list[object] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, query: str, incoming: Incoming, answer: Answer) -> None:
        asked = dict(parse_qsl(query, keep_blank_values=True))
        try:
            await self._answer(asked, incoming, answer)
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        except ClientGone:
            self.told.append("gone")

    async def _answer(self, asked: dict[str, str], incoming: Incoming, answer: Answer) -> None:
        do = asked.get("do", "")
        if do == "early":
            await answer.whole(401, [("content-type", "a/b")], b"early")
            return
        status = int(asked.get("status", "200"))
        try:
            body = await incoming.body()
        except BodyTooLarge:
            await answer.whole(413, [], b"too large")
            return
        except BodyBroken:
            await answer.whole(400, [], b"broken")
            return
        if do == "wait":
            await self.go.wait()
        echo = json.dumps([incoming.headers, body.decode("latin-1")]).encode()
        echo = MUCH * 50 if do == "large" else echo
        self.told.append(echo)
        if do == "stream":
            await answer.begin(status, [("content-type", "text/event-stream"), ("x-e", "é\udcff")])
            for part in (echo[:10], b"", echo[10:]):
                await answer.write(part)
            await answer.end()
        elif do == "much":
            await answer.begin(status, [])
            for _ in range(50):
                await answer.write(MUCH)
            await answer.end()
        elif do == "nothing":
            await answer.begin(status, [])
            await answer.end()
        else:
            await answer.whole(status, [("x-a", "1"), ("X-A", "2")], b"" if do == "empty" else echo)


@dataclass(frozen=True, slots=True)
class Twin:
    port: int
    application: Application
    server: Server | None


@asynccontextmanager
async def aiohttp_runner(application: Application) -> AsyncIterator[web.AppRunner]:
    async def inference(request: web.Request) -> web.StreamResponse:
        answer = HttpAnswer(request)
        await application.answer(request.query_string, HttpIncoming(request), answer)
        return answer.response or web.Response(status=499)

    async def other(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return web.json_response([request.method, request.path_qs, body.decode("latin-1")])

    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_post(HOT, inference)
    app.router.add_route("*", "/{rest:.*}", other)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def ours(limits: Limits | None = None) -> AsyncIterator[Twin]:
    application = Application()

    def hot(target: str) -> Handle | None:
        path, _, query = target.partition("?")
        if path != HOT:
            return None

        async def handle(incoming: Incoming, answer: Answer) -> None:
            await application.answer(query, incoming, answer)

        return handle

    async with aiohttp_runner(application) as runner:
        otherwise = runner.server
        assert otherwise is not None
        server = Server(
            hot=hot,
            otherwise=otherwise,
            limits=limits or Limits(body_bytes_max=BODY_BYTES_MAX),
            clock=SystemClock(),
        )
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        try:
            yield Twin(listening.sockets[0].getsockname()[1], application, server)
        finally:
            listening.close()
            application.go.set()
            await server.stop(1.0)


@asynccontextmanager
async def theirs() -> AsyncIterator[Twin]:
    application = Application()
    async with aiohttp_runner(application) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield Twin(runner.addresses[0][1], application, None)
        finally:
            application.go.set()


@asynccontextmanager
async def twins() -> AsyncIterator[tuple[Twin, Twin]]:
    async with ours() as own, theirs() as oracle:
        yield own, oracle


class _Ear(asyncio.Protocol):
    """Keeps what comes, also where the connection is reset behind it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.news = asyncio.Event()
        self.closed = False

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def eof_received(self) -> bool:
        self.closed = True
        self.news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.news.set()


async def talk(port: int, script: Script, *, quiet: float = QUIET_SECONDS) -> Heard:
    """Plays the script, then listens until nothing has come for `quiet` seconds."""
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_connection(_Ear, "127.0.0.1", port)
    try:
        with suppress(OSError, RuntimeError):  # uvloop: the connection is closed already.
            for step in script:
                await _play(step, transport, quiet)
        if not ear.closed and not transport.is_reading():
            transport.resume_reading()
        while not ear.closed:
            ear.news.clear()
            try:
                async with asyncio.timeout(quiet):
                    await ear.news.wait()
            except TimeoutError:
                break
    finally:
        transport.abort()
    return Heard(_WHY_BAD.sub(rb"\1", _DATE.sub(b"\r\n", bytes(ear.data))), ear.closed)


async def _play(step: bytes | Do, transport: asyncio.Transport, quiet: float) -> None:
    if isinstance(step, bytes):
        transport.write(step)
        await asyncio.sleep(PAUSE_SECONDS)
    elif step is EOF:
        transport.write_eof()
    elif step is HUSH:
        transport.pause_reading()
    elif step is WAIT:
        await asyncio.sleep(quiet)
    else:
        made = transport.get_extra_info("socket")
        if made is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def compare(own: Twin, oracle: Twin, scripts: Sequence[Script], *, at_once: int = 40) -> None:
    """Both servers say the same to each script. What differs on a busy machine has a second try."""
    for start in range(0, len(scripts), at_once):
        some = scripts[start : start + at_once]
        heard = await asyncio.gather(*(both(own, oracle, each, QUIET_SECONDS) for each in some))
        for script, (ours_said, theirs_said) in zip(some, heard, strict=True):
            if ours_said != theirs_said:
                again = await both(own, oracle, script, PATIENT_SECONDS)
                assert again[0] == again[1], script


async def both(own: Twin, oracle: Twin, script: Script, quiet: float) -> tuple[Heard, Heard]:
    first, second = await asyncio.gather(
        talk(own.port, script, quiet=quiet), talk(oracle.port, script, quiet=quiet)
    )
    return first, second
