"""Streams seen read by read instead of frame by frame, once their content has begun.

Nearly all frames of a stream differ in one piece of text only. What can be told of such a read for
sure, without cutting it up and parsing it, is told here; all other frames are looked into one by
one. A read is given from the first byte of a frame, and holds no carriage return.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

TELLING: Final = bytes(range(32)) + b'"\\'
"""What ends a text, breaks a line, or is an escape or an error in JSON."""
LEARNED_MAX: Final = 16
"""Of one stream: where each frame has a shape of its own, learning costs more than it saves."""
_TEXT: Final = re.compile(rb'"(?:content|reasoning_content|reasoning|text)"\s*+:\s*+"([^"]*+)"')
_NOISE: Final = re.compile(rb'"obfuscation"\s*+:\s*+"([^"]*+)"')
"""OpenAI pads its chunks with it, so that their lengths tell nothing."""


class Skim(Protocol):
    def frames(self, read: bytes, start: int) -> tuple[int, int]:
        """How many frames of the kind that was learned stand from `start` on, one behind the
        other, and where the last of them ends."""
        ...

    def learn(self, event: bytes, data: bytes) -> None:
        """From a frame of which only the text can interest anyone."""
        ...


class Shape:
    """Implements `Skim` for frames of one `data:` line that are alike but for a piece of text."""

    __slots__ = ("_after", "_before", "_between", "_learned", "_least", "_telling", "_within")

    def __init__(self) -> None:
        self._learned = 0
        self._before = b""
        """All of a frame up to the text; empty while nothing is known."""
        self._within = b""
        """What stands between the text and the noise; empty where there is no noise."""
        self._after = b""
        self._between = b""
        """What stands between one frame's text and the next one's."""
        self._least = 0
        """Bytes of a frame without any text."""
        self._telling = 0
        """How many of `TELLING` such a frame has."""

    def frames(self, read: bytes, start: int) -> tuple[int, int]:
        before, after, size = self._before, self._after, len(read)
        if not before or not read.startswith(before, start):
            return 0, start
        if self._least <= size - start < 2 * self._least and not self._within:
            # One frame, which is how they mostly come.
            text = read[start + len(before) : size - len(after)]
            if read.endswith(after) and len(text.translate(None, TELLING)) == len(text):
                return 1, size
        end = read.rfind(after, start) + len(after)
        if end < start + self._least:
            return 0, start
        count = self._all(read, start, end)
        return (count, end) if count else self._some(read, start)

    def learn(self, event: bytes, data: bytes) -> None:
        if self._learned >= LEARNED_MAX or event:
            return
        self._learned += 1
        if b"\\" in data or b"\n" in data:
            return
        texts = list(_TEXT.finditer(data))
        if not texts:
            return
        start, end = next((each for each in texts if each[1]), texts[0]).span(1)
        noise = _NOISE.search(data, end)
        self._before = b"data: " + data[:start]
        self._within = b"" if noise is None else data[end : noise.start(1)]
        self._after = data[end if noise is None else noise.end(1) :] + b"\n\n"
        self._between = self._after + self._before
        fixed = self._between + self._within
        self._least = len(fixed)
        self._telling = len(fixed) - len(fixed.translate(None, TELLING))

    def _all(self, read: bytes, start: int, end: int) -> int:
        """How many frames stand there, where they are all of the shape; else 0."""
        first, last = start + len(self._before), end - len(self._after)
        frames = 1 if end - start < 2 * self._least else read.count(self._between, first, last) + 1
        if self._within and read.count(self._within, first, last) != frames:
            return 0
        part = read[start:end]
        telling = len(part) - len(part.translate(None, TELLING))
        return frames if telling == frames * self._telling else 0

    def _some(self, read: bytes, start: int) -> tuple[int, int]:
        """Those up to the first one that is not of the shape."""
        before, after, frames, place = self._before, self._after, 0, start
        while read.startswith(before, place):
            end = read.find(after, place + len(before)) + len(after)
            if end < place + self._least or self._all(read, place, end) != 1:
                break
            frames, place = frames + 1, end
        return frames, place


class Named:
    """Implements `Skim` for frames of two lines whose event's name says that only text matters."""

    __slots__ = ("_before", "_between", "_event")

    def __init__(self) -> None:
        self._event = b""
        self._before = b""
        self._between = b""

    def frames(self, read: bytes, start: int) -> tuple[int, int]:
        before, frames, place = self._before, 0, start
        if not before or not read.startswith(before, start):
            return 0, start
        end = read.rfind(b"\n\n", start) + 2
        if end > start:
            frames = read.count(self._between, start, end) + 1
            if read.count(b"\n", start, end) == 3 * frames:
                return frames, end
        frames = 0
        while read.startswith(before, place):
            end = read.find(b"\n", place + len(before))
            if end < 0 or not read.startswith(b"\n\n", end):
                break
            frames, place = frames + 1, end + 2
        return frames, place

    def learn(self, event: bytes, data: bytes) -> None:
        if event and event != self._event:
            self._event = event
            self._before = b"event: " + event + b"\ndata: "
            self._between = b"\n\n" + self._before


_SKIMS: tuple[type[Skim], ...] = (Shape, Named)
