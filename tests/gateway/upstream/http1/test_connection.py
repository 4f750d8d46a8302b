"""The protocol alone: bytes in, an exchange out. Whatever comes, each exchange ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http1.connection import (
    HEADERS_MAX,
    UNREAD_BYTES_MAX,
    Broken,
    Connection,
    Exchange,
    Owner,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Takes what is written; tells the protocol nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = self.paused = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Watching(Owner):
    def __init__(self) -> None:
        self.freed = self.gone = 0

    def free(self, connection: Connection) -> None:
        self.freed += 1

    def lost(self, connection: Connection) -> None:
        self.gone += 1


def asked() -> tuple[Connection, Exchange, Wire, Watching]:
    owner, wire = Watching(), Wire()
    connection = Connection(owner)
    connection.connection_made(wire)
    exchange = connection.ask(b"HEAD", b"BODY")
    assert wire.sent == b"HEADBODY"
    return connection, exchange, wire, owner


async def whole(exchange: Exchange) -> bytes:
    parts = []
    while (part := await exchange.chunk()) is not None:
        parts.append(part)
    return b"".join(parts)


async def test_an_answer_frees_its_connection_before_it_was_read() -> None:
    connection, exchange, wire, owner = asked()
    connection.data_received(HEAD + b"hello")
    assert owner.freed == 1
    assert not wire.aborted
    await exchange.head()
    assert (exchange.status, exchange.headers) == (200, [("Content-Length", "5")])
    assert await whole(exchange) == b"hello"
    exchange.abort()
    assert not wire.aborted
    assert connection.ask(b"", b"") is not exchange


async def test_what_one_read_brings_is_one_chunk() -> None:
    connection, exchange, _, _ = asked()
    connection.data_received(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n")
    assert await exchange.chunk() == b"abcdef"
    connection.data_received(b"0\r\nTrailer: t\r\n\r\n")
    assert await exchange.chunk() is None
    assert exchange.headers == [("Transfer-Encoding", "chunked")]


async def test_a_whole_body_is_had_at_once_and_half_of_one_is_not() -> None:
    connection, exchange, _, _ = asked()
    connection.data_received(HEAD + b"hel")
    assert exchange.whole() is None
    connection.data_received(b"lo")
    assert exchange.whole() == b"hello"
    assert await exchange.chunk() is None


async def test_what_is_poured_wakes_nobody_until_something_is_left() -> None:
    connection, exchange, _, _ = asked()
    taken: list[bytes] = []

    def take(part: bytes) -> bytes | None:
        if part == b"no":
            return part
        taken.append(part)
        return b"" if part == b"last" else None

    exchange.pour(take)
    connection.data_received(CHUNKED + b"5\r\nfirst\r\n")
    assert await exchange.chunk() == b"first"  # Nobody waited when it came.
    waiting = asyncio.ensure_future(exchange.chunk())
    await asyncio.sleep(0)
    for part in (b"a", b"b"):
        connection.data_received(b"1\r\n" + part + b"\r\n")
        await asyncio.sleep(0)
    assert taken == [b"a", b"b"]
    assert not waiting.done()
    connection.data_received(b"2\r\nno\r\n")
    connection.data_received(b"1\r\nc\r\n")  # Behind one that is left, all are left.
    assert await waiting == b"no"
    assert await exchange.chunk() == b"c"
    waiting = asyncio.ensure_future(exchange.chunk())
    await asyncio.sleep(0)
    connection.data_received(b"4\r\nlast\r\n0\r\n\r\n")
    assert await waiting == b""
    assert await exchange.chunk() is None
    assert taken == [b"a", b"b", b"last"]


async def test_headers_that_take_too_long_end_the_call() -> None:
    _, exchange, wire, _ = asked()
    exchange.ring()
    with pytest.raises(Broken) as caught:
        await exchange.head()
    assert caught.value.reason == "headers_timeout"
    assert wire.aborted


async def test_an_interim_answer_is_passed_over() -> None:
    connection, exchange, _, owner = asked()
    connection.data_received(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"hello")
    await exchange.head()
    assert (exchange.status, exchange.headers) == (200, [("Content-Length", "5")])
    assert owner.freed == 1


async def test_a_reader_that_falls_behind_stops_the_socket_and_starts_it_again() -> None:
    connection, exchange, wire, _ = asked()
    size = UNREAD_BYTES_MAX
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * 2))
    connection.data_received(b"a" * size)
    assert wire.paused
    await exchange.chunk()
    assert not wire.paused


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-", "disconnected"),
        (HEAD + b"hel", "truncated"),
        (CHUNKED + b"3\r\nabc\r\n", "truncated"),
    ],
)
async def test_an_end_too_soon_is_told_after_all_that_came(answer: bytes, reason: str) -> None:
    connection, exchange, wire, owner = asked()
    if answer:
        connection.data_received(answer)
    assert not connection.eof_received()
    with pytest.raises(Broken) as caught:
        await whole(exchange)
    assert caught.value.reason == reason
    assert wire.aborted
    assert not owner.freed


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    connection, exchange, wire, owner = asked()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nall of ")
    connection.data_received(b"it")
    connection.eof_received()
    assert await whole(exchange) == b"all of it"
    assert wire.aborted
    assert not owner.freed


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        HEAD + b"hello" + HEAD + b"again",
        HEAD + b"hello" + b"garbage",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (HEADERS_MAX + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_cannot_be_trusted_is_never_used_again(answer: bytes) -> None:
    connection, _, wire, _ = asked()
    connection.data_received(answer)
    assert wire.aborted
    assert connection.closed


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    connection, _, wire, _ = asked()
    connection.data_received(HEAD + b"hello")
    connection.data_received(HEAD)
    assert wire.aborted


async def test_a_connection_that_asks_to_be_closed_is() -> None:
    connection, exchange, wire, owner = asked()
    connection.data_received(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert await whole(exchange) == b""
    assert wire.aborted
    assert not owner.freed


@settings(max_examples=300, deadline=None)
@given(data=st.data())
async def test_an_answer_is_the_same_wherever_it_was_cut(data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=300))
    sizes = data.draw(st.lists(st.integers(1, 40), max_size=8))
    frames, rest = [], body
    for size in sizes:
        part, rest = rest[:size], rest[size:]
        frames += [part] if part else []
    frames += [rest] if rest else []
    stream = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(f), f) for f in frames) + b"0\r\n\r\n"
    connection, exchange, _, owner = asked()
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream)))
        connection.data_received(stream[at : at + step])
        at += step
    assert await whole(exchange) == body
    assert owner.freed == 1


@settings(max_examples=500, deadline=None)
@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [HEAD, CHUNKED, b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\r\n", b"HTTP/1.1 "]
            ),
        ),
        max_size=8,
    )
)
async def test_whatever_comes_the_exchange_ends(parts: list[bytes]) -> None:
    connection, exchange, wire, owner = asked()
    for part in parts:
        if part and not wire.aborted:
            connection.data_received(part)
    connection.connection_lost(None)
    async with asyncio.timeout(5):
        try:
            await exchange.head()
            await whole(exchange)
        except Broken as broken:
            assert broken.reason in ("bad_http", "disconnected", "truncated")  # noqa: PT017
    assert owner.gone == 1
