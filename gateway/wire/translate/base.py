"""What a translation between two dialects offers: one object for one attempt.

Pure text work, as all of `wire`. The four dialects go by the names `openai` (chat completions),
`responses`, `anthropic` (messages) and `gemini`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

DIALECTS = ("openai", "responses", "anthropic", "gemini")


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedRequest:
    """A client's request in the target's dialect."""

    body: bytes
    path: str
    """Below the target dialect's root: `/chat/completions`, `/responses`, `/v1/messages`,
    `/models/{model}:generateContent`."""
    query: str = ""
    """Without the question mark; `alt=sse` for Gemini's streams."""
    headers: tuple[tuple[str, str], ...] = ()
    """What the target's dialect asks for besides its credential: `anthropic-version`."""
    lost: tuple[str, ...] = ()
    """Names of what could not be carried over, in the client's words; for records and a header."""


class StreamTranslation(Protocol):
    """One stream of the target, written anew in the client's dialect."""

    def feed(self, chunk: bytes) -> bytes:
        """The client's frames that `chunk` completes; any division of the same bytes gives the
        same frames. A failure of the target within its stream becomes the client's own."""
        ...

    def end(self) -> bytes:
        """The target closed cleanly. A whole answer without a marker of its end is ended here; for
        a truncated one nothing is invented."""
        ...


class Translation(Protocol):
    """`request` first: what it learns of the request shapes the answer."""

    client: str
    target: str

    def request(self, body: bytes, *, model: str, stream: bool) -> TranslatedRequest:
        """Raises `ClientError` 400, `untranslatable`, where leaving something out would change what
        was asked, and `invalid_request` for a body that is none of its dialect's."""
        ...

    def answer(self, body: bytes) -> bytes:
        """A whole 2xx answer of the target. Raises `ValueError` if it is none of its dialect's."""
        ...

    def stream(self) -> StreamTranslation: ...

    def error(self, status: int, body: bytes) -> bytes:
        """A refusal of the target in the client's shape; the sentence is kept as it is, since
        clients look for its words."""
        ...
