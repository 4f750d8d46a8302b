"""How long a client may take for what, and how much it may send."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.relay.answering import STALLED_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    body_bytes_max: int
    head_seconds: float = 60.0
    """From the first byte of a head to its last."""
    body_seconds: float = 300.0
    """Without one byte of a body that is awaited."""
    stalled_seconds: float = STALLED_SECONDS
    """Without a byte of an answer taken."""
    lingering_seconds: float = 10.0
    """For the rest of a body whose request is answered, as aiohttp has it."""
    keep_alive_seconds: float = 3630.0
    """Between two requests, as aiohttp has it: longer than most proxies keep their connections."""
