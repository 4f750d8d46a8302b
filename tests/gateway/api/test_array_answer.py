from __future__ import annotations

import json

import pytest
from hypothesis import given

from gateway.api.array_answer import ArrayAnswer
from gateway.relay.answering import Headers
from tests.gateway.wire.judging import PLACES, cut

STREAM = (
    b'data: {"a": 1}\r\n\r\n: ping\n\ndata: {"b": [2]}\n\nevent: error\ndata: {"error": {}}\n\n'
)
ITEMS = [{"a": 1}, {"b": [2]}, {"error": {}}]


class Sent:
    """An answer that keeps what it is given."""

    def __init__(self) -> None:
        self.head: tuple[int, Headers] = (0, [])
        self.body = b""
        self.ended = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.head, self.body = (status, headers), body

    async def begin(self, status: int, headers: Headers) -> None:
        self.head = (status, headers)

    async def write(self, chunk: bytes) -> None:
        assert chunk
        self.body += chunk

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None:
        self.body += frame

    async def end(self) -> None:
        self.ended = True


async def played(*chunks: bytes) -> Sent:
    sent = Sent()
    answer = ArrayAnswer(sent)
    await answer.begin(200, [("Content-Type", "text/event-stream"), ("x-a", "b")])
    for chunk in chunks:
        await answer.write(chunk)
        await answer.keep_alive(b": keep-alive\n\n")
    await answer.end()
    return sent


async def test_events_become_items_of_one_array() -> None:
    sent = await played(STREAM)
    assert json.loads(sent.body) == ITEMS
    assert sent.head == (200, [("content-type", "application/json; charset=UTF-8"), ("x-a", "b")])
    assert sent.ended


async def test_a_stream_without_events_is_an_empty_array() -> None:
    assert json.loads((await played()).body) == []


@given(places=PLACES)
async def test_chunks_may_end_anywhere(places: list[int]) -> None:
    assert json.loads((await played(*cut(STREAM, places))).body) == ITEMS


@pytest.mark.parametrize("body", [b"{}", b""])
async def test_a_single_answer_stays_as_it_is(body: bytes) -> None:
    sent = Sent()
    await ArrayAnswer(sent).whole(400, [("a", "b")], body)
    assert (sent.head, sent.body) == ((400, [("a", "b")]), body)
