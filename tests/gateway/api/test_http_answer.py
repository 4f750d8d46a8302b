"""`HttpAnswer` on real connections: what arrives, and what happens when nobody takes it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from gateway.api.http_answer import HttpAnswer
from gateway.relay.answering import Answer, ClientGone

Play = Callable[[HttpAnswer, web.Request], Awaitable[None]]
_ANSWER: type[Answer] = HttpAnswer


@asynccontextmanager
async def playing(play: Play) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        answer = HttpAnswer(request)
        await play(answer, request)
        assert answer.response is not None
        return answer.response

    app = web.Application()
    app.router.add_post("/", handle)
    # Not cancelled when its client leaves, so that the answer itself has to notice.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_a_whole_answer_has_its_length_and_repeated_headers() -> None:
    async def play(answer: HttpAnswer, _: web.Request) -> None:
        await answer.whole(418, [("x-a", "1"), ("x-a", "2"), ("content-type", "a/b")], b"body")

    async with playing(play) as url, aiohttp.ClientSession() as http, http.post(url) as response:
        assert (response.status, await response.read()) == (418, b"body")
        assert response.headers.getall("x-a") == ["1", "2"]
        assert response.headers["content-type"] == "a/b"
        assert response.headers["content-length"] == "4"


async def test_a_stream_arrives_chunk_by_chunk() -> None:
    taken = asyncio.Event()

    async def play(answer: HttpAnswer, _: web.Request) -> None:
        await answer.begin(200, [("content-type", "text/event-stream")])
        await answer.write(b"one")
        await taken.wait()
        await answer.write(b"two")
        await answer.end()

    async with playing(play) as url, aiohttp.ClientSession() as http, http.post(url) as response:
        assert await response.content.readany() == b"one"
        taken.set()
        assert await response.read() == b"two"


async def test_writing_to_a_client_that_left_says_so() -> None:
    left = asyncio.Event()
    seen: list[str] = []

    async def play(answer: HttpAnswer, request: web.Request) -> None:
        await answer.begin(200, [])
        await answer.write(b"x")
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        try:
            for _ in range(100):
                await answer.write(b"x" * 65536)
        except ClientGone as error:
            seen.append(str(error))
            left.set()

    async with playing(play) as url, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            async with http.post(url) as response:
                await response.read()
        await asyncio.wait_for(left.wait(), 5)
    assert seen == ["ClientConnectionResetError"]


async def test_after_a_body_that_cannot_be_decoded_the_connection_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(answer: HttpAnswer, request: web.Request) -> None:
        try:
            await request.read()
        except web.RequestPayloadError:
            await answer.whole(400, [], b"broken")
        else:
            await answer.whole(200, [], b"fine")

    broken, gzipped = b"no gzip at all", {"content-encoding": "gzip"}
    async with playing(play) as url, aiohttp.ClientSession() as http:
        for data, status in ((broken, 400), (gzip.compress(b"x"), 200), (broken, 400)):
            async with http.post(url, data=data, headers=gzipped) as response:
                assert response.status == status
                assert (response.headers.get("connection") == "close") is (status == 400)
                await response.read()
    assert caplog.records == []
