"""What every client dialect offers the relay: read a request, judge an answer, word an error.

Pure text work: no I/O, no clock. `openai.py`, `responses.py`, `anthropic.py` and `gemini.py`
implement `Wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import Struct

from gateway.events import Usage


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """The few fields of a request's body that the gateway needs."""

    model: str
    stream: bool
    session: str
    """The client's own session id from the body; empty if it gave none."""
    session_of_user: str = ""
    """One that stands in Anthropic's `metadata.user_id`, which says more than most headers."""
    reasoning: bool = False
    """It asks for thinking before the answer."""


class ClientError(Exception):
    """The caller's fault. `code` is a stable word for programs, `message` a sentence for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An error of the gateway's own, before it is put into a dialect."""

    status: int
    code: str
    """Stable word: `model_not_found`, `invalid_api_key`, `exhausted`, …"""
    message: str
    request_id: str
    targets: tuple[Mapping[str, Any], ...] = ()
    """One entry a candidate: `target`, `credential`, `reason`, `ready_in_seconds`."""
    retry_after_seconds: int | None = None
    should_retry: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a 200 is no success."""

    reason: str
    """`empty_body`, `not_json`, `html`, `error_in_body`, `no_content`, `closed_at_once`,
    `error_event`, `no_terminal`."""
    error: Mapping[str, Any] = field(default_factory=dict)
    """The error object found inside, as the provider wrote it."""


class Judge(Protocol):
    """Watches one 200 answer pass by. Bounded memory for streams, whatever the chunks' borders.

    For a single answer all is decided in `end`; for a stream `content` turns true at the first
    content-bearing event (role-only chunks, pings, comments and lifecycle events are none).
    """

    content: bool
    done: bool
    """The dialect's terminal marker has been seen: the answer is whole."""
    fault: Fault | None
    """Set at most once. With `content` true it came after content, else before any."""
    usage: Usage | None
    served_model: str
    kept_id: str
    """Under which the provider keeps the answer, for a later request to go on from; else empty."""
    pieces: int
    """Pieces of content of a stream so far: at least so many tokens, mostly exactly so many."""

    def feed(self, chunk: bytes) -> None: ...

    def end(self) -> None:
        """Upstream closed cleanly: sets `fault` if the answer is not whole."""
        ...


class Wire(Protocol):
    """One client dialect."""

    name: str
    keep_alive: bytes
    """A frame without meaning, for silent times of a stream."""

    def read(self, body: bytes) -> Asked:
        """Raises `ClientError` 400 for a body that is not JSON, no object, or names no model."""
        ...

    def with_model(self, body: bytes, model: str) -> bytes:
        """`body`, which `read` has accepted, with the model's name that a target knows."""
        ...

    def judge(self, *, stream: bool) -> Judge: ...

    def error_body(self, answer: ErrorAnswer) -> bytes:
        """JSON in the dialect's shape, so that its SDK parses it."""
        ...

    def error_event(self, answer: ErrorAnswer, after: Judge | None = None) -> bytes:
        """The dialect's way to end a stream that has begun: one SSE event, no terminal marker.

        `after`: the judge of what was sent so far, for dialects that count their events.
        """
        ...
