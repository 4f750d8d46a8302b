"""An answer that remembers what it passes on, where `telemetry.capture_content` asks for it."""

from __future__ import annotations

from gateway.relay.answering import Answer, Headers
from gateway.telemetry.content import SIDE_BYTES_MAX

ANSWER_BYTES_MAX = 4 * SIDE_BYTES_MAX
"""A stream's frames are several times as long as the words in them."""


class Overheard:
    """Implements `Answer` by another one."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._heard = bytearray()

    @property
    def heard(self) -> bytes:
        return bytes(self._heard)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._hear(body)
        await self._answer.whole(status, headers, body)

    async def begin(self, status: int, headers: Headers) -> None:
        await self._answer.begin(status, headers)

    async def write(self, chunk: bytes) -> None:
        self._hear(chunk)
        await self._answer.write(chunk)

    def put(self, chunk: bytes) -> bool:
        taken = self._answer.put(chunk)
        if taken:
            self._hear(chunk)
        return taken

    async def keep_alive(self, frame: bytes) -> None:
        await self._answer.keep_alive(frame)  # No part of the answer.

    async def end(self) -> None:
        await self._answer.end()

    def _hear(self, chunk: bytes) -> None:
        self._heard += chunk[: ANSWER_BYTES_MAX - len(self._heard)]
