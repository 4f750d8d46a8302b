"""What a connection of ours does that aiohttp's does not, or that takes a slow or rude client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.server.limits import Limits
from gateway.server.server import Server
from tests.gateway.server.test_conformance import post
from tests.gateway.server.twins import (
    ABORT,
    BODY_BYTES_MAX,
    HUSH,
    MUCH,
    WAIT,
    Heard,
    Script,
    Twin,
    ours,
    talk,
    twins,
)

WAITING = post(target=b"/v1/messages?do=wait", body=b"w")


def server_of(twin: Twin) -> Server:
    assert twin.server is not None
    return twin.server


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # What is waited for rings no bell.
            await asyncio.sleep(0.005)


async def test_what_was_asked_before_a_bad_request_is_answered() -> None:
    """Aiohttp forgets it where both come in one read."""
    async with ours() as own:
        for bad in (b"\0\0\0\0", b"GET /x HTTP/1.1\r\n\r\n"):
            heard = await talk(own.port, [post(body=b"good") + bad])
            assert heard.data.startswith(b"HTTP/1.1 200 OK\r\n")
            assert heard.data.endswith(b"HTTP/1.0 400 Bad Request\r\n")
            assert heard.closed
        heard = await talk(own.port, [post(b"Connection: close") + post(body=b"never")])
        assert (heard.data.count(b"HTTP/1.1 "), heard.closed) == (1, True)
        heard = await talk(own.port, [post(target=b"/v1/messages?do=stream&status=204"), post()])
        assert heard.data.startswith(b"HTTP/1.1 204 No Content\r\ncontent-type: text/event-stream")
        assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in heard.data


@pytest.mark.parametrize("end", [ABORT, None])
async def test_a_client_that_leaves_ends_what_it_asked_for(end: object) -> None:
    async with twins() as both:
        for twin in both:
            await talk(twin.port, [WAITING, ABORT] if end is ABORT else [WAITING], quiet=0.05)
            await until(lambda twin=twin: twin.application.told == ["cancelled"])  # type: ignore[misc]
        assert not server_of(both[0])._connections


@pytest.mark.parametrize("do", [b"large", b"much"])
async def test_a_client_that_takes_its_time_gets_all_of_it(do: bytes) -> None:
    async with twins() as (own, oracle):
        asked = post(target=b"/v1/messages?do=" + do)
        script: Script = [HUSH, asked + post(body=b"next"), WAIT]
        talking = asyncio.ensure_future(talk(own.port, script))
        await until(lambda: any(not each.takes for each in server_of(own)._connections))
        heard = await talking
        assert len(heard.data) > 50 * len(MUCH)
        assert heard.data.endswith(b'"next"]')
        assert heard == await talk(oracle.port, script)


async def test_a_large_body_is_refused_before_it_comes_and_skipped_when_it_does() -> None:
    async with ours() as own:
        large = post(body=b"x" * (BODY_BYTES_MAX + 1))
        heard = await talk(own.port, [large[:100], WAIT, large[100:], post(body=b"next")])
        assert heard.data.startswith(b"HTTP/1.1 413 ")
        assert heard.data.endswith(b'"next"]')
        assert not heard.closed


LATE = {
    "nothing at all": (b"", b""),
    "half a head": (post()[:30], b""),
    "half a body": (post(body=b"hello")[:-2], b""),
    "after an answer": (post(body=b"hello"), b"HTTP/1.1 200 "),
    "the rest of an unwanted body": (post(target=b"/v1/messages?do=early", body=b"ab")[:-1], b"HT"),
}


@pytest.mark.parametrize("name", LATE)
async def test_a_slow_client_is_not_waited_for_for_ever(name: str) -> None:
    sent, begins = LATE[name]
    limits = Limits(
        body_bytes_max=9, head_seconds=0.1, body_seconds=0.1, lingering_seconds=0.1,
        keep_alive_seconds=0.1,
    )  # fmt: skip
    async with ours(limits) as own:
        talking = asyncio.ensure_future(talk(own.port, [sent], quiet=5))
        await until(lambda: bool(server_of(own)._connections))
        await asyncio.sleep(0.15)
        server_of(own).tick()
        await until(talking.done)
        assert talking.result().data.startswith(begins)
        assert talking.result().closed
        assert not server_of(own)._connections


async def test_whoever_waits_for_an_answer_is_not_late() -> None:
    limits = Limits(body_bytes_max=9, body_seconds=0.01, keep_alive_seconds=0.01)
    async with ours(limits) as own:
        talking = asyncio.ensure_future(talk(own.port, [WAITING]))
        await until(lambda: any(each.task for each in server_of(own)._connections))
        await asyncio.sleep(0.05)
        server_of(own).tick()
        own.application.go.set()
        heard: Heard = await talking
        assert heard.data.startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_goes_on_is_waited_for() -> None:
    limits = Limits(body_bytes_max=9, body_seconds=0.3)
    async with ours(limits) as own:
        data = post(body=b"hello")
        talking = asyncio.ensure_future(
            talk(own.port, [data[:-4], WAIT, b"e", WAIT, b"l", WAIT, b"lo"], quiet=0.2)
        )
        while not talking.done():
            server_of(own).tick()
            await asyncio.sleep(0.02)
        assert talking.result().data.endswith(b'"hello"]')


async def test_a_body_is_not_kept_until_the_next_request() -> None:
    async with ours() as own:
        data = post(body=b"hello")
        talking = asyncio.ensure_future(talk(own.port, [data[:-2], data[-2:]]))
        await until(lambda: bool(own.application.told))
        await until(lambda: not server_of(own)._tasks())
        assert [each._request for each in server_of(own)._connections] == [None]
        assert (await talking).data.endswith(b'"hello"]')
