from __future__ import annotations

import pytest

from gateway.api.held_answer import HeldAnswer
from gateway.relay.answering import Answer, Headers

_ANSWER: type[Answer] = HeldAnswer


class Seen:
    def __init__(self) -> None:
        self.told: list[object] = []

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.told.append((status, headers, body))

    async def begin(self, status: int, headers: Headers) -> None:
        self.told.append(status)

    async def write(self, chunk: bytes) -> None:
        self.told.append(chunk)

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None:
        self.told.append(frame)

    async def end(self) -> None:
        self.told.append("end")


async def test_a_single_answer_is_held_whole() -> None:
    seen = Seen()
    held = HeldAnswer(seen)
    await held.whole(200, [("a", "b")], b"{}")
    assert seen.told == []
    await held.release()
    assert seen.told == [(200, [("a", "b")], b"{}")]


@pytest.mark.parametrize(
    "marker",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b"event: response.completed\ndata: {}\n\n",
    ],
)
async def test_of_a_stream_the_marker_is_held_and_what_follows(marker: bytes) -> None:
    seen = Seen()
    held = HeldAnswer(seen)
    await held.begin(200, [])
    await held.write(b'data: {"text": "data: [DONE] event: message_stop"}\n\n')
    await held.write(b"data: {}\n\n" + marker)
    await held.write(b": more\n\n")
    await held.keep_alive(b": keep-alive\n\n")  # Behind the marker nobody waits for anything.
    await held.end()
    passed: list[object] = [
        200,
        b'data: {"text": "data: [DONE] event: message_stop"}\n\n',
        b"data: {}\n\n",
    ]
    assert seen.told == passed
    await held.release()
    assert seen.told == [*passed, marker, b": more\n\n", "end"]


async def test_a_stream_that_was_cut_is_not_ended() -> None:
    seen = Seen()
    held = HeldAnswer(seen)
    await held.begin(200, [])
    await held.write(b"data: {}\n\n")
    await held.release()
    assert seen.told == [200, b"data: {}\n\n"]
