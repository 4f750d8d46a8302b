"""A stream of generateContent answers: read, and written."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.answer import encoded
from gateway.wire.translate import stops
from gateway.wire.translate.errors import failed_of, write_error
from gateway.wire.translate.gemini_answer import read_part, write_part
from gateway.wire.translate.neutral import (
    Call,
    Context,
    Failed,
    Json,
    Part,
    Seal,
    Stop,
    Thought,
    Used,
)
from gateway.wire.translate.reading import made_id, mapping, quoted, text
from gateway.wire.translate.streaming import HELD_CHARS_MAX, Typed, Writer


class _Content(msgspec.Struct):
    parts: list[dict[str, Any]] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: Any = None  # Google's name.
    finishMessage: Any = None
    index: Any = 0


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: Any = None
    promptFeedback: Any = None
    modelVersion: Any = None
    responseId: Any = None
    error: Any = None


_DECODE = Typed(_Chunk)


class GeminiReader:
    __slots__ = ("_calls", "_context", "_finished", "_id", "_started", "_writer")

    def __init__(self, writer: Writer, context: Context) -> None:
        self._writer = writer
        self._context = context
        self._started = False
        self._finished = False
        self._id = ""
        self._calls = 0

    def read(self, event: bytes, data: bytes) -> None:
        del event
        chunk = _DECODE(data, _Chunk)
        if chunk is None:
            return
        if chunk.error:
            self._writer.failed(failed_of({"error": chunk.error}))
            return
        if not self._started:
            self._started = True
            self._id = text(chunk.responseId)
            self._writer.start(self._id, text(chunk.modelVersion))
        if chunk.usageMetadata and (used := stops.gemini_used(chunk.usageMetadata)):
            self._writer.usage(used)
        for candidate in (chunk.candidates or ())[:1]:
            self._candidate(candidate)
        if not chunk.candidates and mapping(chunk.promptFeedback).get("blockReason"):
            self._finish(Stop.FILTERED)

    def end(self) -> None:
        """There is no marker behind the last chunk, and its counts may come after the reason."""
        if self._finished:
            self._writer.done()

    def _candidate(self, candidate: _Candidate) -> None:
        for part in (candidate.content and candidate.content.parts) or ():
            said = part.get("text")
            if isinstance(said, str) and said and "functionCall" not in part:
                if part.get("thought"):
                    self._writer.thought(said)
                else:
                    self._writer.text(said)
                continue
            for call in read_part(part, self._id, self._calls, self._context):
                if isinstance(call, Call):
                    self._calls += 1
                    self._writer.call(call.id, call.name, call.seal)
                    self._writer.arguments(call.arguments)
        reason = text(candidate.finishReason)
        if reason in stops.GEMINI_FAULTS:
            told = text(candidate.finishMessage) or f"the model failed: {reason}"
            self._writer.failed(Failed(told, reason, status=500))
        elif reason:
            self._finish(stops.GEMINI.get(reason, Stop.DONE))

    def _finish(self, stop: Stop) -> None:
        self._finished = True
        self._writer.finish(stop)


class GeminiWriter:
    """A call is told whole, so it waits for its last argument."""

    __slots__ = (
        *("_call", "_calls", "_context", "_held", "_id", "_model", "_out", "_pieces"),
        *("over", "_started", "_stop", "_tail", "_used"),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._out: list[bytes] = []
        self._started = False
        self.over = False
        self._id = self._model = ""
        self._tail = b""
        self._call: Call | None = None
        self._pieces: list[str] = []
        self._held = 0
        self._calls = 0
        self._stop: Stop | None = None
        self._used: Used | None = None

    def start(self, answer_id: str, model: str) -> None:
        if self._started:
            return
        self._started = True
        self._id = answer_id or made_id("", model, self._context.created)
        self._model = model
        self._tail = b']},"index":0}],"modelVersion":%b,"responseId":%b}\n\n' % (
            quoted(model),
            quoted(self._id),
        )

    def text(self, piece: str) -> None:
        self._close()
        self._out.append(_HEAD + b'{"text":' + quoted(piece) + b"}" + self._tail)

    def refusal(self, piece: str) -> None:
        self.text(piece)

    def thought(self, piece: str) -> None:
        self._part(Thought(piece))

    def seal(self, seal: Seal) -> None:
        self._part(Thought("", seal))

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        self._close()
        self._calls += 1
        self._call = Call(call_id, self._context.names.get(name, name), "", seal=seal)

    def arguments(self, piece: str) -> None:
        self._held += len(piece)
        if self._held > HELD_CHARS_MAX:
            self.failed(Failed("the arguments of a call are too long", status=500))
        else:
            self._pieces.append(piece)

    def finish(self, stop: Stop, sequence: str = "") -> None:
        self._stop = stop

    def usage(self, used: Used) -> None:
        self._used = used

    def done(self) -> None:
        if self.over:
            return
        self._close()
        self.over = True
        stop = stops.settled(self._stop or Stop.DONE, calls=self._calls > 0)
        candidate: Json = {"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0}
        candidate["finishReason"] = stops.TO_GEMINI.get(stop, "STOP")
        told: Json = {"candidates": [candidate]}
        if self._used is not None:
            told["usageMetadata"] = stops.to_gemini(self._used)
        told |= {"modelVersion": self._model, "responseId": self._id}
        self._out.append(b"data: " + encoded(told) + b"\n\n")

    def failed(self, failed: Failed) -> None:
        if not self.over:
            self.over = True
            self._out.append(b"data: " + write_error("gemini", failed) + b"\n\n")

    def take(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _part(self, part: Part) -> None:
        if not isinstance(part, Call):
            self._close()
        for each in write_part(part):
            self._out.append(_HEAD + encoded(each) + self._tail)

    def _close(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.arguments = "".join(self._pieces) or "{}"
            self._pieces.clear()
            self._part(call)


_HEAD = b'data: {"candidates":[{"content":{"role":"model","parts":['
