"""`durability: strict`: an answer whose end the client gets once its rows are safe.

All of a stream but its terminal marker, and what follows that, passes at once; a single answer is
held whole, for half of one is of no use. A client that goes away meanwhile counts as served.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.relay.answering import Answer, Headers

SAFE_SECONDS: Final = 2.0
"""For the store or its rescue file to take the rows; the answer ends then, whatever they did."""
MARKER: Final = re.compile(
    rb"^data: ?\[DONE\]|^event: ?(?:message_stop|response\.(?:completed|failed|incomplete))",
    re.MULTILINE,
)
"""What clients take for the end of a stream. It begins a line, as no text inside JSON can."""


class HeldAnswer:
    """Implements `Answer` around another one; `release` gives it what was held."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._whole: tuple[int, Headers, bytes] | None = None
        self._held: list[bytes] = []
        self._ended = False

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._whole = (status, headers, body)

    async def begin(self, status: int, headers: Headers) -> None:
        await self._answer.begin(status, headers)

    async def write(self, chunk: bytes) -> None:
        if self._held:
            self._held.append(chunk)
        elif found := MARKER.search(chunk):
            if found.start():
                await self._answer.write(chunk[: found.start()])
            self._held.append(chunk[found.start() :])
        else:
            await self._answer.write(chunk)

    def put(self, chunk: bytes) -> bool:
        return not self._held and MARKER.search(chunk) is None and self._answer.put(chunk)

    async def keep_alive(self, frame: bytes) -> None:
        if not self._held:
            await self._answer.keep_alive(frame)

    async def end(self) -> None:
        self._ended = True

    async def release(self) -> None:
        """May raise `ClientGone`."""
        if self._whole is not None:
            await self._answer.whole(*self._whole)
        for chunk in self._held:
            await self._answer.write(chunk)
        if self._ended:
            await self._answer.end()
