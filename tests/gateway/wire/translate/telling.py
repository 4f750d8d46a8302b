"""A writer that keeps what it is told, to look at a stream without its dialect."""

from __future__ import annotations

import json
from typing import Any

from gateway.wire.translate.anthropic_stream import MessagesReader
from gateway.wire.translate.gemini_stream import GeminiReader
from gateway.wire.translate.neutral import (
    Answer,
    Call,
    Context,
    Failed,
    Refusal,
    Seal,
    Stop,
    Text,
    Thought,
    Used,
)
from gateway.wire.translate.openai_stream import ChatReader
from gateway.wire.translate.responses_stream import ResponsesReader
from gateway.wire.translate.streaming import Stream

READERS: dict[str, Any] = {
    "openai": ChatReader,
    "responses": ResponsesReader,
    "anthropic": MessagesReader,
    "gemini": GeminiReader,
}


class Told:
    """Implements `Writer`."""

    def __init__(self) -> None:
        self.over = False
        self.texts = ""
        self.thoughts = ""
        self.refusals = ""
        self.seals: list[Seal] = []
        self.calls: list[list[str]] = []
        self.stop: Stop | None = None
        self.used: Used | None = None
        self.whole = False
        self.failure: Failed | None = None
        self.started = 0

    def start(self, answer_id: str, model: str) -> None:
        self.started += 1
        self.model = model

    def text(self, piece: str) -> None:
        self.texts += piece

    def refusal(self, piece: str) -> None:
        self.refusals += piece

    def thought(self, piece: str) -> None:
        self.thoughts += piece

    def seal(self, seal: Seal) -> None:
        self.seals.append(seal)

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        self.calls.append([call_id, name, ""])
        if seal is not None:
            self.seals.append(seal)

    def arguments(self, piece: str) -> None:
        self.calls[-1][2] += piece

    def finish(self, stop: Stop, sequence: str = "") -> None:
        self.stop = stop

    def usage(self, used: Used) -> None:
        self.used = used

    def done(self) -> None:
        self.whole = self.over = True

    def failed(self, failed: Failed) -> None:
        self.failure = failed
        self.over = True

    def take(self) -> bytes:
        return b""

    @property
    def content(self) -> tuple[str, str, str, list[tuple[str, str, Any]]]:
        calls = [(call_id, name, json.loads(given)) for call_id, name, given in self.calls]
        return self.thoughts, self.texts, self.refusals, calls


def told_by(dialect: str, stream: bytes, context: Context | None = None) -> Told:
    """What a stream of this dialect says."""
    told = Told()
    reading = Stream(READERS[dialect](told, context or Context("o")), told)
    reading.feed(stream)
    reading.end()
    return told


def content_of(answer: Answer) -> tuple[str, str, str, list[tuple[str, str, Any]]]:
    """A whole answer's, in the same form."""
    parts = answer.parts
    calls = [each for each in parts if isinstance(each, Call)]
    return (
        "".join(each.text for each in parts if isinstance(each, Thought)),
        "".join(each.text for each in parts if isinstance(each, Text)),
        "".join(each.text for each in parts if isinstance(each, Refusal)),
        [(each.id, each.name, json.loads(each.arguments)) for each in calls],
    )
