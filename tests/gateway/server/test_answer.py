"""Answers to a client that takes them slowly, or not at all."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

import gateway.server.connection as connections
from gateway.relay.answering import Answer, ClientGone
from gateway.relay.incoming import Incoming
from gateway.server.answer import AT_ONCE_BYTES_MAX
from gateway.server.connection import Connection, State
from gateway.server.head import Heads
from gateway.server.limits import Limits


class FakeTransport(asyncio.Transport):
    """Holds all it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.aborted = False
        self.size = 0

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.size


class FakeOwner:
    """Implements `Owner`; `play` answers every request."""

    def __init__(self) -> None:
        self.heads = Heads()
        self.limits = Limits(body_bytes_max=100)
        self.now = 0.0
        self.common = "Date: d\r\n"
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.over = asyncio.Event()
        self.connections: set[Connection] = set()

    def hot(self, target: str) -> connections.Handle | None:
        return self.play

    async def play(self, incoming: Incoming, answer: Answer) -> None:
        self.answers.put_nowait(answer)
        await self.over.wait()

    def otherwise(self) -> asyncio.Protocol:
        raise AssertionError

    def made(self, connection: Connection) -> None:
        self.connections.add(connection)

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)


_OWNER: type[connections.Owner] = FakeOwner


async def asked() -> tuple[FakeOwner, Connection, FakeTransport, Answer]:
    owner, transport = FakeOwner(), FakeTransport()
    connection = Connection(owner, asyncio.get_running_loop())
    connection.connection_made(transport)
    connection.data_received(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n")
    return owner, connection, transport, await owner.answers.get()


async def ended(owner: FakeOwner, connection: Connection) -> None:
    owner.over.set()
    task = connection.task
    if task is not None:
        await task


async def test_a_whole_answer_is_one_write() -> None:
    owner, connection, transport, answer = await asked()
    await answer.whole(200, [("content-type", "a/b")], b"body")
    head = "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 4\r\nDate: d\r\n\r\n"
    assert transport.written == [head.encode() + b"body"]
    await ended(owner, connection)
    assert connection.state is State.IDLE


async def test_a_stream_s_head_goes_with_its_first_chunk() -> None:
    owner, connection, transport, answer = await asked()
    await answer.begin(200, [("content-type", "a/b")])
    assert transport.written == []
    await answer.write(b"x" * 17)
    await answer.write(b"")
    await answer.write(b"y")
    await answer.end()
    head = "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nTransfer-Encoding: chunked\r\nDate: d\r\n\r\n"
    first = head.encode() + b"11\r\n" + b"x" * 17 + b"\r\n"
    assert transport.written == [first, b"1\r\ny\r\n", b"0\r\n\r\n"]
    await ended(owner, connection)


async def test_a_writer_waits_while_the_client_takes_nothing() -> None:
    owner, connection, transport, answer = await asked()
    await answer.begin(200, [])
    connection.pause_writing()
    writing = asyncio.ensure_future(answer.write(b"x"))
    await asyncio.sleep(0)
    assert not writing.done()
    assert len(transport.written) == 1
    connection.resume_writing()
    await writing
    await answer.write(b"y")
    await ended(owner, connection)
    assert transport.aborted  # It was never ended.


async def test_a_chunk_is_put_where_nothing_need_wait() -> None:
    owner, connection, transport, answer = await asked()
    await answer.begin(200, [])
    assert answer.put(b"x")
    connection.pause_writing()
    assert not answer.put(b"y")
    connection.resume_writing()
    assert answer.put(b"z")
    transport.closing = True
    assert not answer.put(b"y")
    assert transport.written[1:] == [b"1\r\nz\r\n"]
    await ended(owner, connection)


async def test_a_client_that_takes_nothing_for_long_is_gone() -> None:
    owner, connection, transport, answer = await asked()
    owner.limits = Limits(body_bytes_max=100, stalled_seconds=0.01)
    connection.pause_writing()
    with pytest.raises(ClientGone, match="stalled"):
        await answer.whole(200, [], b"x")
    assert transport.aborted
    await ended(owner, connection)


async def test_nothing_is_written_to_a_connection_that_closes() -> None:
    owner, connection, transport, answer = await asked()
    transport.closing = True
    with pytest.raises(ClientGone):
        await answer.whole(200, [], b"x")
    await answer.keep_alive(b": \n\n")
    assert transport.written == []
    await ended(owner, connection)


async def test_a_keep_alive_is_left_out_where_it_could_not_be_sent_at_once() -> None:
    owner, connection, transport, answer = await asked()
    await answer.begin(200, [])
    await answer.write(b"x")
    transport.size = AT_ONCE_BYTES_MAX
    await answer.keep_alive(b": \n\n")
    transport.size = 0
    connection.pause_writing()
    await answer.keep_alive(b": \n\n")
    assert len(transport.written) == 1
    connection.resume_writing()
    await answer.keep_alive(b": \n\n")
    assert transport.written[1:] == [b"4\r\n: \n\n\r\n"]
    await ended(owner, connection)


async def test_half_an_answer_is_cut_off_instead_of_being_followed_by_another() -> None:
    owner, connection, transport, answer = await asked()
    await answer.begin(200, [])
    await answer.write(b"x")
    with pytest.raises(ClientGone):
        await answer.whole(500, [], b"failed")
    assert transport.aborted
    assert len(transport.written) == 1
    await ended(owner, connection)


async def test_a_lost_connection_is_late_for_nothing() -> None:
    owner, connection, _, _ = await asked()
    connection.connection_lost(None)
    assert (connection.state, connection.deadline) == (State.OVER, inf)
    assert not owner.connections
    with pytest.raises(asyncio.CancelledError):
        await ended(owner, connection)
