"""A stream of chat completion chunks: read, and written."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.answer import encoded
from gateway.wire.translate import stops
from gateway.wire.translate.errors import failed_of, openai_error
from gateway.wire.translate.neutral import Context, Failed, Json, Seal, Stop, Used
from gateway.wire.translate.openai_answer import google_seal, signed
from gateway.wire.translate.reading import made_id, mapping, objects, quoted, text, whole
from gateway.wire.translate.seals import wrapped
from gateway.wire.translate.streaming import HELD_CHARS_MAX, Typed, Writer


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: Any = None
    id: Any = None
    function: _Function | None = None
    extra_content: Any = None


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: _Delta | None = None
    finish_reason: Any = None
    error: Any = None
    usage: Any = None


class _Chunk(msgspec.Struct):
    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    code: Any = None
    message: Any = None
    object: Any = None
    x_groq: Any = None


_DECODE = Typed(_Chunk)


class ChatReader:
    __slots__ = ("_call", "_calls", "_context", "_finished", "_seen", "_started", "_writer")

    def __init__(self, writer: Writer, context: Context) -> None:
        self._writer = writer
        self._context = context
        self._started = False
        self._finished = False
        self._calls = 0
        self._call: tuple[object, str] | None = None
        """The call whose arguments arrive: its index and id."""
        self._seen: set[object] = set()

    def read(self, event: bytes, data: bytes) -> None:
        if data.startswith(b"[DONE]"):
            if self._started:
                self._writer.done()
            return
        chunk = _DECODE(data, _Chunk)
        if chunk is None:
            return
        if chunk.error or chunk.object == "error" or event == b"error":
            self._fail(chunk.error, data)
            return
        if not self._started:
            if chunk.code and chunk.message and not chunk.choices:
                self._fail(None, data)
                return
            self._started = True
            self._writer.start(text(chunk.id), text(chunk.model))
        for choice in chunk.choices or ():
            if choice.index in (0, None):
                self._choice(choice, data)
        if chunk.usage or chunk.x_groq:
            told = chunk.usage or mapping(chunk.x_groq).get("usage")
            if (used := stops.chat_used(told)) is not None:
                self._writer.usage(used)

    def end(self) -> None:
        """Several servers never send [DONE]: one finish_reason is enough."""
        if self._finished:
            self._writer.done()

    def _fail(self, error: object, data: bytes) -> None:
        told = error if isinstance(error, dict) else mapping(msgspec.json.decode(data))
        self._writer.failed(failed_of(told))

    def _choice(self, choice: _Choice, data: bytes) -> None:
        delta = choice.delta
        if delta is not None:
            content = delta.content
            if content and isinstance(content, str):
                self._writer.text(content)
            elif content:
                self._parts(content)
            if told := delta.reasoning_content or delta.reasoning:
                self._writer.thought(text(told))
            if delta.refusal:
                self._writer.refusal(text(delta.refusal))
            for call in delta.tool_calls or ():
                self._called(call)
        if choice.finish_reason == "error":
            self._fail(choice.error, data)
        elif choice.finish_reason:
            self._finished = True
            self._writer.finish(stops.CHAT.get(text(choice.finish_reason), Stop.DONE))
        if choice.usage and (used := stops.chat_used(choice.usage)) is not None:
            self._writer.usage(used)  # Moonshot has it here.

    def _parts(self, content: object) -> None:
        """Mistral streams its thoughts as parts."""
        for part in objects(content):
            if part.get("type") == "text":
                self._writer.text(text(part.get("text")))
            elif part.get("type") == "thinking":
                for each in objects(part.get("thinking")):
                    self._writer.thought(text(each.get("text")))

    def _called(self, call: _Call) -> None:
        function = call.function or _Function()
        index, call_id = whole(call.index), text(call.id)
        here = self._call
        # Some number all their calls 0; a name with another id is another call all the same.
        another = here is None or here[0] != index
        if not another and here is not None and function.name and call_id:
            another = call_id != here[1]
        if another and index in self._seen and not function.name:
            self._writer.failed(
                Failed("the provider's stream mixes the arguments of its calls", status=500)
            )
            return
        if another:
            self._seen.add(index)
            call_id = call_id or made_id("call_", self._context.calls + self._calls)
            self._calls += 1
            self._call = (index, call_id)
            seal = google_seal(call.extra_content, self._context)
            self._writer.call(call_id, text(function.name), seal)
        if function.arguments:
            self._writer.arguments(text(function.arguments))


class ChatWriter:
    __slots__ = (
        *("over", "_calls", "_context", "_given", "_head", "_held", "_out", "_started", "_stop"),
        *("_text_head", "_thoughts", "_used"),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._out: list[bytes] = []
        self._started = False
        self.over = False
        self._head = b""
        self._text_head = b""
        self._calls = 0
        self._thoughts: list[str] = []
        self._held = 0
        self._given = True
        """The call that is open has arguments."""
        self._stop: Stop | None = None
        self._used: Used | None = None

    def start(self, answer_id: str, model: str) -> None:
        if self._started:
            return
        self._started = True
        own_id = quoted(answer_id or made_id("chatcmpl-", model, self._context.created))
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":'
            % (own_id, self._context.created, quoted(model))
        )
        self._text_head = self._head + b'[{"index":0,"delta":{"content":'
        self._delta(b'{"role":"assistant","content":""}')

    def text(self, piece: str) -> None:
        self._out.append(self._text_head + quoted(piece) + b'},"finish_reason":null}]}\n\n')

    def refusal(self, piece: str) -> None:
        self._delta(b'{"refusal":' + quoted(piece) + b"}")

    def thought(self, piece: str) -> None:
        if self._held < HELD_CHARS_MAX:
            self._held += len(piece)
            self._thoughts.append(piece)
        self._delta(b'{"reasoning_content":' + quoted(piece) + b"}")

    def seal(self, seal: Seal) -> None:
        block = signed("".join(self._thoughts), seal)
        self._thoughts.clear()
        if seal.kind != "plain":
            self._delta(encoded({"thinking_blocks": [block]}))

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        self._close_call()
        told: Json = {"index": self._calls, "id": call_id, "type": "function"}
        told["function"] = {"name": self._context.names.get(name, name), "arguments": ""}
        if seal is not None:
            told["extra_content"] = {"google": {"thought_signature": wrapped(seal)}}
        self._calls += 1
        self._given = False
        self._delta(encoded({"tool_calls": [told]}))

    def arguments(self, piece: str) -> None:
        self._given = True
        self._delta(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (self._calls - 1, quoted(piece))
        )

    def finish(self, stop: Stop, sequence: str = "") -> None:
        self._stop = stop

    def usage(self, used: Used) -> None:
        self._used = used

    def done(self) -> None:
        if self.over:
            return
        self._close_call()
        self.over = True
        stop = stops.settled(self._stop or Stop.DONE, calls=self._calls > 0)
        reason = stops.TO_CHAT.get(stop, "stop").encode()
        self._out.append(
            self._head + b'[{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n' % reason
        )
        if self._used is not None and self._context.usage_in_stream:
            told = encoded(stops.to_chat(self._used))
            self._out.append(self._head + b'[],"usage":' + told + b"}\n\n")
        self._out.append(b"data: [DONE]\n\n")

    def failed(self, failed: Failed) -> None:
        if not self.over:
            self.over = True
            self._out.append(b"data: " + encoded({"error": openai_error(failed)}) + b"\n\n")

    def take(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _delta(self, delta: bytes) -> None:
        self._out.append(
            self._head + b'[{"index":0,"delta":' + delta + b',"finish_reason":null}]}\n\n'
        )

    def _close_call(self) -> None:
        if not self._given:
            self.arguments("{}")
