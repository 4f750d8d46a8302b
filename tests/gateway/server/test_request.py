from __future__ import annotations

import asyncio

import pytest

from gateway.relay.incoming import BodyTooLarge
from gateway.server.head import Head
from gateway.server.request import RawRequest


def request(begun: bytes, *, length: int, too_large: bool = False) -> RawRequest:
    head = Head("/x", [("a", "b")], size=0, length=length, close=False)
    return RawRequest(head, begun, too_large=too_large)


async def test_a_body_that_came_with_its_head_is_there() -> None:
    assert await request(b"abc", length=3).body() == b"abc"
    assert await request(b"", length=0).body() == b""


async def test_a_body_is_waited_for_and_what_follows_is_not_part_of_it() -> None:
    asked = request(b"ab", length=5)
    reading = asyncio.ensure_future(asked.body())
    await asyncio.sleep(0)
    assert asked.feed(b"c") == b""
    await asyncio.sleep(0)
    assert not reading.done()
    assert asked.feed(b"deXY") == b"XY"
    assert await reading == b"abcde"
    assert asked.left == 0
    assert await asked.body() == b"abcde"


async def test_a_body_that_is_too_large_is_counted_and_not_kept() -> None:
    asked = request(b"ab", length=5, too_large=True)
    with pytest.raises(BodyTooLarge):
        await asked.body()
    assert asked.feed(b"cdeX") == b"X"
    assert asked.left == 0


async def test_a_body_that_nobody_wants_is_thrown_away() -> None:
    asked = request(b"ab", length=5)
    asked.feed(b"c")
    asked.forget()
    assert asked.feed(b"deX") == b"X"
    with pytest.raises(BodyTooLarge):
        await asked.body()
