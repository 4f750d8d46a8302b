"""Lets only whole SSE frames through, so that a stream that breaks can still be ended cleanly.

Changes no byte and drops none: what is let through, and what `rest` gives in the end, is what came
in. Without it an error event would be glued to the half frame that the break left behind.
"""

from __future__ import annotations

HELD_BYTES_MAX = 256 * 1024
"""Of a frame that is not complete. A larger one (an image) passes as it comes: no buffer of ours
should delay it, and no reader could use its half anyway."""

_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


class WholeFrames:
    """One stream's gate."""

    __slots__ = ("_held", "within")

    def __init__(self) -> None:
        self._held = b""
        self.within = False
        """A frame too large to be held is on its way: nothing may be put in between."""

    def feed(self, chunk: bytes) -> bytes:
        """What may go on to the client now; empty if no frame is complete."""
        if not self._held and chunk.endswith(b"\n\n"):
            self.within = False
            return chunk
        chunk = self._held + chunk
        end = _end_of_last(chunk)
        if end:
            self.within = False
        if len(chunk) - end > HELD_BYTES_MAX:
            end = len(chunk)
            self.within = True
        self._held = chunk[end:]
        return chunk[:end]

    def rest(self) -> bytes:
        """The frame that was never completed; for a stream that ended as it should."""
        held, self._held = self._held, b""
        return held


def _end_of_last(chunk: bytes) -> int:
    """Just behind the last blank line; 0 if there is none."""
    return max(
        (place + len(mark) for mark in _BLANK_LINES if (place := chunk.rfind(mark)) >= 0),
        default=0,
    )
