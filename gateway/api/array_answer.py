"""Gemini's stream for clients that do not ask for events: one JSON array, sent item by item.

The relay writes server-sent events, whoever answers; here each event's data becomes an item. An
error event becomes the last one, which is how Google ends such an array.
"""

from __future__ import annotations

from gateway.relay.answering import Answer, Headers
from gateway.wire.sse import SseFrames

ARRAY_TYPE = ("content-type", "application/json; charset=UTF-8")


class ArrayAnswer:
    """Implements `Answer` in front of another one."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._frames = SseFrames()
        self._begun = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self._answer.whole(status, headers, body)

    async def begin(self, status: int, headers: Headers) -> None:
        kept = [each for each in headers if each[0].lower() != "content-type"]
        await self._answer.begin(status, [ARRAY_TYPE, *kept])

    async def write(self, chunk: bytes) -> None:
        frames = self._frames.feed(chunk)
        if items := b"".join(self._item(data) for _, data in frames if data):
            await self._answer.write(items)

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None:
        """An array has no place for it."""

    async def end(self) -> None:
        rest = b"".join(self._item(data) for _, data in self._frames.close() if data)
        await self._answer.write(rest + (b"\n]" if self._begun else b"[]"))
        await self._answer.end()

    def _item(self, data: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data


_ANSWER: type[Answer] = ArrayAnswer
