"""A stream of Messages events: read, and written."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.answer import encoded
from gateway.wire.translate import stops
from gateway.wire.translate.anthropic_answer import thought_block
from gateway.wire.translate.errors import failed_of, write_error
from gateway.wire.translate.neutral import Context, Failed, Json, Seal, Stop, Used
from gateway.wire.translate.reading import json_text, made_id, mapping, quoted, text
from gateway.wire.translate.seals import wrapped
from gateway.wire.translate.streaming import Typed, Writer


class _Delta(msgspec.Struct):
    type: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    delta: _Delta | None = None
    message: Any = None
    content_block: Any = None
    usage: Any = None
    error: Any = None


_DECODE = Typed(_Event)


class MessagesReader:
    __slots__ = ("_block", "_context", "_counts", "_given", "_started", "_writer")

    def __init__(self, writer: Writer, context: Context) -> None:
        self._writer = writer
        self._context = context
        self._block = ""
        """The type of the block that is open."""
        self._given = False
        self._started = False
        self._counts: Json = {}

    def read(self, event: bytes, data: bytes) -> None:
        if event == b"ping":
            return
        told = _DECODE(data, _Event)
        if told is None:
            return
        if not self._started and text(told.type) not in ("error", "ping"):
            self._started = True
            message = mapping(told.message)
            self._count(message.get("usage"))
            self._writer.start(text(message.get("id")), text(message.get("model")))
        match told.type:
            case "content_block_delta" if told.delta is not None:
                self._delta(told.delta)
            case "content_block_start":
                self._start_block(mapping(told.content_block))
            case "content_block_stop":
                if self._block == "tool_use" and not self._given:
                    self._writer.arguments("{}")
                self._block = ""
            case "message_delta":
                self._message_delta(told)
            case "message_stop":
                self._writer.done()
            case "error":
                self._writer.failed(failed_of({"error": told.error or {}}))

    def end(self) -> None:
        """Nothing but `message_stop` makes it whole."""

    def _message_delta(self, told: _Event) -> None:
        self._count(told.usage)
        if told.delta is not None and told.delta.stop_reason:
            stop = stops.ANTHROPIC.get(text(told.delta.stop_reason), Stop.DONE)
            self._writer.finish(stop, text(told.delta.stop_sequence))

    def _delta(self, delta: _Delta) -> None:
        kind = delta.type
        if kind == "text_delta":
            self._writer.text(text(delta.text))
        elif kind == "input_json_delta":
            if delta.partial_json and self._block == "tool_use":
                self._given = True
                self._writer.arguments(text(delta.partial_json))
        elif kind == "thinking_delta":
            self._writer.thought(text(delta.thinking))
        elif kind == "signature_delta":
            self._writer.seal(Seal(self._context.origin, "thinking", text(delta.signature)))

    def _start_block(self, block: Json) -> None:
        self._block = text(block.get("type"))
        self._given = False
        match self._block:
            case "text":
                if block.get("text"):
                    self._writer.text(text(block["text"]))
            case "thinking":
                if block.get("thinking"):
                    self._writer.thought(text(block["thinking"]))
            case "redacted_thinking":
                self._writer.seal(Seal(self._context.origin, "redacted", text(block.get("data"))))
            case "tool_use":
                self._writer.call(text(block.get("id")), text(block.get("name")), None)
                if given := mapping(block.get("input")):
                    self._given = True
                    self._writer.arguments(json_text(given))

    def _count(self, usage: object) -> None:
        """Counts are cumulative; a zero of input at the end takes nothing back."""
        for name, value in mapping(usage).items():
            if value or name not in self._counts:
                self._counts[name] = value
        if (used := stops.anthropic_used(self._counts)) is not None:
            self._writer.usage(used)


class MessagesWriter:
    __slots__ = (
        *("_block", "_calls", "_context", "_given", "_heads", "_index", "_out"),
        *("over", "_refused", "_sequence", "_started", "_stop", "_used"),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._out: list[bytes] = []
        self._started = False
        self.over = False
        self._index = -1
        self._block = ""
        self._heads: tuple[bytes, bytes, bytes] = (b"", b"", b"")
        """Of the open block's deltas: text, thinking, input."""
        self._calls = 0
        self._given = True
        self._refused = False
        self._stop: Stop | None = None
        self._sequence = ""
        self._used: Used | None = None

    def start(self, answer_id: str, model: str) -> None:
        if self._started:
            return
        self._started = True
        message: Json = {
            "id": answer_id or made_id("msg_", model, self._context.created),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": stops.to_anthropic(self._used or Used()),
        }
        self._event(b"message_start", {"type": "message_start", "message": message})

    def text(self, piece: str) -> None:
        if self._block != "text":
            self._open("text", {"type": "text", "text": ""})
        self._out.append(self._heads[0] + quoted(piece) + b"}}\n\n")

    def refusal(self, piece: str) -> None:
        self._refused = True
        self.text(piece)

    def thought(self, piece: str) -> None:
        if self._block != "thinking":
            self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._out.append(self._heads[1] + quoted(piece) + b"}}\n\n")

    def seal(self, seal: Seal) -> None:
        if self._block == "thinking":
            self._close(seal)
        else:
            self._open("redacted_thinking", thought_block("", seal))
            self._close()

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        if seal is not None:
            self.seal(seal)
        name = self._context.names.get(name, name)
        self._open("tool_use", {"type": "tool_use", "id": call_id, "name": name, "input": {}})
        self._calls += 1
        self._given = False

    def arguments(self, piece: str) -> None:
        self._given = True
        self._out.append(self._heads[2] + quoted(piece) + b"}}\n\n")

    def finish(self, stop: Stop, sequence: str = "") -> None:
        self._stop, self._sequence = stop, sequence

    def usage(self, used: Used) -> None:
        self._used = used

    def done(self) -> None:
        if self.over:
            return
        self._close()
        self.over = True
        stop = stops.settled(self._stop or Stop.DONE, calls=self._calls > 0)
        stop = Stop.REFUSED if self._refused else stop
        delta = {
            "stop_reason": stops.TO_ANTHROPIC.get(stop, "end_turn"),
            "stop_sequence": self._sequence or None,
        }
        usage = stops.to_anthropic(self._used or Used())
        self._event(b"message_delta", {"type": "message_delta", "delta": delta, "usage": usage})
        self._event(b"message_stop", {"type": "message_stop"})

    def failed(self, failed: Failed) -> None:
        if not self.over:
            self.over = True
            self._out.append(b"event: error\ndata: " + write_error("anthropic", failed) + b"\n\n")

    def take(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _event(self, name: bytes, value: Json) -> None:
        self._out.append(b"event: " + name + b"\ndata: " + encoded(value) + b"\n\n")

    def _open(self, kind: str, block: Json) -> None:
        self._close()
        self._index += 1
        self._block = kind
        head = (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":' % self._index
        )
        self._heads = (
            head + b'"text_delta","text":',
            head + b'"thinking_delta","thinking":',
            head + b'"input_json_delta","partial_json":',
        )
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        self._event(b"content_block_start", start)

    def _close(self, seal: Seal | None = None) -> None:
        if not self._block:
            return
        if self._block == "thinking":
            # A thought without a signature would be refused by clients that look for one.
            sealed = wrapped(seal or Seal(self._context.origin, "plain"))
            delta = {"type": "signature_delta", "signature": sealed}
            told: Json = {"type": "content_block_delta", "index": self._index, "delta": delta}
            self._event(b"content_block_delta", told)
        elif self._block == "tool_use" and not self._given:
            self.arguments("{}")
        self._block = ""
        self._event(b"content_block_stop", {"type": "content_block_stop", "index": self._index})
