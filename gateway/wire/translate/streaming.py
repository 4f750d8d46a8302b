"""A stream on its way through: frames of the target are read, and a writer is told what they hold.

The reader calls the writer's methods at once: there is no object for each piece, since pieces are
what a stream has most of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from gateway.wire.answer import decoded
from gateway.wire.sse import SseFrames
from gateway.wire.translate.neutral import Failed, Seal, Stop, Used

HELD_CHARS_MAX = 32 * 1024 * 1024
"""Of an answer, where the client's dialect repeats the whole of it at its end."""

T = TypeVar("T")


class Writer(Protocol):
    """Told what an answer holds, in its order; writes the client's frames."""

    over: bool
    """It is done or has failed: nothing more may be told."""

    def start(self, answer_id: str, model: str) -> None:
        """Before all else. Calls after the first are ignored."""
        ...

    def text(self, piece: str) -> None: ...
    def refusal(self, piece: str) -> None: ...
    def thought(self, piece: str) -> None: ...

    def seal(self, seal: Seal) -> None:
        """Ends the thought before it; alone, it is a thought without a text."""
        ...

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        """Begins a call, whose `arguments` follow and end with whatever else follows."""
        ...

    def arguments(self, piece: str) -> None: ...
    def finish(self, stop: Stop, sequence: str = "") -> None: ...
    def usage(self, used: Used) -> None: ...

    def done(self) -> None:
        """The answer is whole."""
        ...

    def failed(self, failed: Failed) -> None: ...

    def take(self) -> bytes:
        """What was written since the last time."""
        ...


class Reader(Protocol):
    def read(self, event: bytes, data: bytes) -> None: ...

    def end(self) -> None:
        """The target closed: says `done` if the answer is whole all the same."""
        ...


class Stream:
    """Implements `StreamTranslation` by one dialect's reader and another's writer."""

    __slots__ = ("_frames", "_read", "_reader", "_writer")

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._frames = SseFrames()
        self._reader = reader
        self._read = reader.read
        self._writer = writer

    def feed(self, chunk: bytes) -> bytes:
        writer, read = self._writer, self._read
        for event, data in self._frames.feed(chunk):
            if writer.over:
                break
            if data:
                read(event, data)
            elif data is None:
                self._too_large()
        return writer.take()

    def end(self) -> bytes:
        for event, data in self._frames.close():
            if data and not self._writer.over:
                self._read(event, data)
        if not self._writer.over:
            self._reader.end()
        return self._writer.take()

    def _too_large(self) -> None:
        self._writer.failed(
            Failed("the provider's stream has a frame that is too large", status=500)
        )


class Typed:
    """Decodes frames into one type; tolerates what a strict parser would not."""

    __slots__ = ("_decode", "_type")

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._decode: Callable[[bytes], object] = msgspec.json.Decoder(kind).decode
        self._type = kind

    def __call__(self, data: bytes, kind: type[T]) -> T | None:
        """None for what is none of its dialect's, which is passed over."""
        try:
            value = self._decode(data)
        except (ValueError, RecursionError):
            value = self._slowly(data)
        return value if isinstance(value, kind) else None

    def _slowly(self, data: bytes) -> object:
        value = decoded(data)
        try:
            return msgspec.convert(value, self._type, strict=False)
        except (ValueError, RecursionError):
            return None
