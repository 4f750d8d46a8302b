"""Server-sent events cut into frames, wherever the chunks' borders fall.

Reads along and never changes what is relayed. Follows the WHATWG rules, with three liberties for
servers seen in the wild: an event without data is handed out, a last frame without its blank line
counts (`close`), and a byte order mark is overlooked before any frame.
"""

from __future__ import annotations

from typing import TypeAlias

SSE_FRAME_BYTES_MAX = 8 * 1024 * 1024
"""The largest real frames are generated images in base64, of a few MB. Above it the frame is no
longer kept: one upstream must not fill the memory by never sending a blank line."""

Frame: TypeAlias = tuple[bytes, bytes | None]
"""Event name (empty if none) and data. Data is None where the frame was too large to be kept."""

_BOM = b"\xef\xbb\xbf"


class SseFrames:
    """One stream's splitter. Any division of the same bytes gives the same frames."""

    __slots__ = ("after_cr", "held", "skipping")

    def __init__(self) -> None:
        self.held = bytearray()
        """The beginning of the frame that is not complete."""
        self.skipping = False
        """That frame is over the limit; of its bytes only the last one is held."""
        self.after_cr = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes."""
        if self.after_cr or b"\r" in chunk:
            chunk = self._unified(chunk)
        held = self.held
        if held:
            meets = chunk.startswith(b"\n") and held.endswith(b"\n")
            if not meets and b"\n\n" not in chunk:
                return self._hold(chunk)
            chunk = bytes(held) + chunk
            held.clear()
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        frames = self._frames(blocks) if blocks else []
        return frames + self._hold(rest) if rest else frames

    def close(self) -> list[Frame]:
        """The last frame, if the stream ended without the blank line behind it."""
        block = bytes(self.held)
        self.held.clear()
        return self._frames([block])

    def _unified(self, chunk: bytes) -> bytes:
        """`chunk` with line ends \\r\\n and \\r written as \\n.

        A \\r at the chunk's end counts at once, so that no frame waits for the next chunk; if
        that one starts with \\n, it was the second half.
        """
        if self.after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self.after_cr = False
        if chunk:
            self.after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, part: bytes) -> list[Frame]:
        held = self.held
        held += part
        # One more than the limit may still be the first half of the blank line.
        too_large = len(held) > SSE_FRAME_BYTES_MAX + 1
        if not too_large and not self.skipping:
            return []
        del held[:-1]
        if self.skipping:
            return []
        self.skipping = True
        return [(b"", None)]

    def _frames(self, blocks: list[bytes]) -> list[Frame]:
        if self.skipping:
            self.skipping = False
            del blocks[0]  # The end of a frame that was reported when it became too large.
        frames = []
        for block in blocks:
            frame = _parsed(block)
            if frame is not None:
                frames.append(frame)
        return frames


def _parsed(block: bytes) -> Frame | None:
    """The frame in the lines of `block`; None for comments and other lines without meaning."""
    if len(block) > SSE_FRAME_BYTES_MAX:
        return b"", None
    # The two forms that nearly all frames have.
    if block.startswith(b"data: ") and b"\n" not in block:
        data = block[6:]
        return (b"", data) if data else None
    event = b""
    line, _, rest = block.partition(b"\n")
    if line.startswith(b"event:") and rest.startswith(b"data:"):
        event = line[6:].removeprefix(b" ")
        line, _, rest = rest.partition(b"\n")
    if not rest and line.startswith(b"data:"):
        data = line[5:].removeprefix(b" ")
        return (event, data) if data or event else None
    return _parsed_by_line(block)


def _parsed_by_line(block: bytes) -> Frame | None:
    event = b""
    lines: list[bytes] = []
    for line in block.removeprefix(_BOM).split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    data = b"\n".join(lines)
    return (event, data) if data or event else None
