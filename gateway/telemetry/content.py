"""What was asked and answered, for spans, where `telemetry.capture_content` asks for it.

Kept in memory until the request's span is made, and nowhere else: never in the history, the log or
a metric. Bounded on each side, and without what looks like a key or an account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any, Final

from gateway.routing.redaction import PRIVATE
from gateway.wire.base import ClientError
from gateway.wire.translate import (
    anthropic_answer,
    anthropic_read,
    gemini_answer,
    gemini_read,
    openai_answer,
    openai_read,
    responses_answer,
    responses_read,
)
from gateway.wire.translate.anthropic_stream import MessagesReader
from gateway.wire.translate.gemini_stream import GeminiReader
from gateway.wire.translate.neutral import (
    Answer,
    Call,
    Context,
    Conversation,
    Failed,
    Part,
    Refusal,
    Result,
    Seal,
    Stop,
    Text,
    Thought,
    Used,
)
from gateway.wire.translate.openai_stream import ChatReader
from gateway.wire.translate.responses_stream import ResponsesReader
from gateway.wire.translate.streaming import Reader, Stream, Writer

SIDE_BYTES_MAX: Final = 64 * 1024
"""Of the prompt, and as much of the answer, as JSON on the span."""
TEXT_CHARS_MAX: Final = 8 * 1024
"""Of one part: so that a long file in a prompt leaves room for the question."""
READ_BYTES_MAX: Final = 2 * 1024 * 1024
"""A larger body is not read as its dialect: it would take the loop too long."""
KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of all requests that are not told of yet; the oldest are forgotten."""
CUT: Final = "…"

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """One request's bytes, as the client sent and got them."""

    dialect: str
    body: bytes
    answer: bytes
    """As much of it as was kept."""
    stream: bool


class Contents:
    """Those of requests whose spans are still to be made. Kept by the loop, taken by a thread."""

    def __init__(self) -> None:
        self._kept: dict[str, Content] = {}
        self._bytes = 0
        self._lock = RLock()

    def keep(self, request_id: str, content: Content) -> None:
        with self._lock:
            self._kept[request_id] = content
            self._bytes += _size(content)
            while self._bytes > KEPT_BYTES_MAX:
                self.take(next(iter(self._kept)))

    def take(self, request_id: str) -> Content | None:
        with self._lock:
            content = self._kept.pop(request_id, None)
            if content is not None:
                self._bytes -= _size(content)
            return content


def asked(content: Content) -> str:
    """The messages of the request in the form of the GenAI conventions, as JSON."""
    read = _REQUESTS.get(content.dialect)
    try:
        if read is not None and len(content.body) <= READ_BYTES_MAX:
            return _json(_of_conversation(read(content.body)))
    except (ClientError, ValueError):
        pass  # Not of its dialect, or not to be translated: shown as it came.
    return _json([_plain("user", content.body)])


def answered(content: Content) -> str:
    """The answer, as JSON; empty if there was none."""
    if not content.answer:
        return ""
    try:
        if content.stream and content.dialect in _READERS:
            heard = _Heard()
            stream = Stream(_READERS[content.dialect](heard, Context(content.dialect)), heard)
            stream.feed(content.answer)
            if heard.parts:
                return _json([_message("assistant", heard.parts)])
        elif content.dialect in _ANSWERS:
            told = _ANSWERS[content.dialect](content.answer, Context(content.dialect))
            finish = {"finish_reason": told.stop.value}
            return _json([_message("assistant", told.parts) | finish])
    except (ClientError, ValueError):
        pass
    return _json([_plain("assistant", content.answer)])


_REQUESTS: Final[Mapping[str, Callable[[bytes], Conversation]]] = {
    "openai": openai_read.read,
    "responses": responses_read.read,
    "anthropic": anthropic_read.read,
    "gemini": gemini_read.read,
}
_ANSWERS: Final[Mapping[str, Callable[[bytes, Context], Answer]]] = {
    "openai": openai_answer.read,
    "responses": responses_answer.read,
    "anthropic": anthropic_answer.read,
    "gemini": gemini_answer.read,
}
_READERS: Final[Mapping[str, Callable[[Writer, Context], Reader]]] = {
    "openai": ChatReader,
    "responses": ResponsesReader,
    "anthropic": MessagesReader,
    "gemini": GeminiReader,
}


class _Heard:
    """A `Writer` that remembers instead of writing."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.over = False

    def start(self, answer_id: str, model: str) -> None: ...

    def text(self, piece: str) -> None:
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Text):
            last.text += piece
        else:
            self.parts.append(Text(piece))

    def refusal(self, piece: str) -> None:
        self.text(piece)

    def thought(self, piece: str) -> None:
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Thought):
            last.text += piece
        else:
            self.parts.append(Thought(piece))

    def seal(self, seal: Seal) -> None: ...

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        self.parts.append(Call(call_id, name, "", seal))

    def arguments(self, piece: str) -> None:
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Call):
            last.arguments += piece

    def finish(self, stop: Stop, sequence: str = "") -> None: ...
    def usage(self, used: Used) -> None: ...

    def done(self) -> None:
        self.over = True

    def failed(self, failed: Failed) -> None:
        self.over = True

    def take(self) -> bytes:
        return b""


def _of_conversation(talk: Conversation) -> list[Message]:
    system = [_message("system", talk.system)] if talk.system else []
    return system + [_message(turn.role, turn.parts) for turn in talk.turns]


def _message(role: str, parts: Iterable[Part]) -> Message:
    return {"role": role, "parts": [_part(part) for part in parts]}


def _part(part: Part) -> Message:
    match part:
        case Text() | Refusal():
            return {"type": "text", "content": _clean(part.text)}
        case Thought():
            return {"type": "reasoning", "content": _clean(part.text)}
        case Call():
            told = {"id": part.id, "name": part.name, "arguments": _clean(part.arguments)}
            return {"type": "tool_call", **told}
        case Result():
            said = "\n".join(each.text for each in part.parts if isinstance(each, Text))
            return {"type": "tool_call_response", "id": part.id, "response": _clean(said)}
        case _:  # Its bytes are nobody's reading.
            return {"type": "blob", "modality": part.kind, "mime_type": part.media_type}


def _plain(role: str, body: bytes) -> Message:
    text = body[: 4 * TEXT_CHARS_MAX].decode("utf-8", "replace")
    return {"role": role, "parts": [{"type": "text", "content": _clean(text)}]}


def _clean(text: str) -> str:
    """Cut, then without secrets: a key at the cut is masked as far as it stands there."""
    if len(text) > TEXT_CHARS_MAX:
        text = text[:TEXT_CHARS_MAX] + CUT
    for pattern, mask in PRIVATE:
        text = pattern.sub(mask, text)
    return text


def _json(messages: list[Message]) -> str:
    """Within the bound: what does not fit is left out at the beginning, the last part stays."""
    kept: list[str] = []
    left = SIDE_BYTES_MAX - 2
    for message in reversed(messages):
        told = _told(message)
        while len(told) > left and not kept and len(message["parts"]) > 1:
            message["parts"].pop(0)
            told = _told(message)
        if len(told) > left:
            break
        left -= len(told) + 2
        kept.append(told)
    return f"[{', '.join(reversed(kept))}]"


def _told(message: Message) -> str:
    """In ASCII, so that its characters are its bytes."""
    return json.dumps(message)


def _size(content: Content) -> int:
    return len(content.body) + len(content.answer)
