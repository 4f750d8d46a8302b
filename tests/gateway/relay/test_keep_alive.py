from __future__ import annotations

from gateway.relay.answering import ClientGone, Headers
from gateway.relay.exchange import Flow
from gateway.relay.keep_alive import KeepAlives
from gateway.wire.whole_frames import HELD_BYTES_MAX, WholeFrames


class Waiting:
    """A stream that does nothing of its own, and its client."""

    def __init__(self, gate: WholeFrames | None) -> None:
        self.bytes_sent = 0
        self.gate: Flow | None = gate
        self.kept: list[bytes] = []
        self.gone = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        raise AssertionError

    async def begin(self, status: int, headers: Headers) -> None:
        raise AssertionError

    async def write(self, chunk: bytes) -> None:
        raise AssertionError

    async def end(self) -> None:
        raise AssertionError

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None:
        self.kept.append(frame)
        if self.gone:
            raise ClientGone


async def swept(stream: Waiting, *sent: int) -> int:
    """How often it is kept alive, where it has sent so many bytes at each sweep."""
    alive = KeepAlives()
    alive.watch(stream, stream, b"frame")
    for each in sent:
        stream.bytes_sent = each
        await alive.sweep()
    alive.forget(stream)
    await alive.sweep()
    await alive.sweep()
    assert set(stream.kept) <= {b"frame"}
    return len(stream.kept)


async def test_a_silent_stream_is_kept_alive_once_in_two_sweeps() -> None:
    assert await swept(Waiting(WholeFrames()), 1, 1) == 0
    assert await swept(Waiting(WholeFrames()), 1, 1, 1) == 1
    assert await swept(Waiting(WholeFrames()), 1, 1, 1, 1, 1) == 2


async def test_a_stream_that_sends_or_has_not_begun_or_is_within_a_frame_is_let_alone() -> None:
    assert await swept(Waiting(WholeFrames()), 1, 2, 3, 4, 5, 6) == 0
    assert await swept(Waiting(WholeFrames()), 1, 1, 2, 2, 3, 3) == 0
    assert await swept(Waiting(None), 1, 1, 1, 1) == 0
    large = WholeFrames()
    large.feed(b"x" * (HELD_BYTES_MAX + 1))
    assert await swept(Waiting(large), 1, 1, 1, 1) == 0


async def test_a_client_that_is_gone_keeps_nobody_else_from_being_kept_alive() -> None:
    gone, there = Waiting(WholeFrames()), Waiting(WholeFrames())
    gone.gone = True
    alive = KeepAlives()
    for each in (gone, there):
        alive.watch(each, each, b"frame")
    for _ in range(3):
        await alive.sweep()
    assert len(there.kept) == 1
