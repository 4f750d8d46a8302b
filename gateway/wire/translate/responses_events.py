"""An answer written as the events of Responses.

Every event has the next number, every item begins and ends, and the last event repeats the whole.
"""

from __future__ import annotations

from gateway.wire.answer import encoded
from gateway.wire.translate import stops
from gateway.wire.translate.errors import openai_code, openai_error
from gateway.wire.translate.neutral import (
    Answer,
    Call,
    Context,
    Failed,
    Json,
    Refusal,
    Seal,
    Stop,
    Text,
    Used,
)
from gateway.wire.translate.reading import made_id, quoted
from gateway.wire.translate.responses_answer import (
    call_item,
    content_of,
    ended,
    free_text,
    message_item,
    reasoning_item,
    response,
)
from gateway.wire.translate.streaming import HELD_CHARS_MAX

_NO_PROBABILITIES: Json = {"logprobs": []}
"""OpenAI's SDK asks for the field."""


class ResponsesWriter:
    __slots__ = (
        *("_calls", "_context", "_held", "_id", "_items", "_kind", "_model", "_open", "_out"),
        *("over", "_pieces", "_sequence", "_started", "_stop", "_used", "_delta_head"),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._out: list[bytes] = []
        self._sequence = 0
        self._started = False
        self.over = False
        self._id = self._model = ""
        self._items: list[Json] = []
        """Those that are whole."""
        self._kind = ""
        """Of the open item: `text`, `refusal`, `thought`, `call`, `custom`."""
        self._open: Json = {}
        self._delta_head = b""
        self._pieces: list[str] = []
        self._held = 0
        self._calls = 0
        self._stop: Stop | None = None
        self._used: Used | None = None

    # -- what the reader tells -------------------------------------------------------------------

    def start(self, answer_id: str, model: str) -> None:
        if self._started:
            return
        self._started = True
        self._id = answer_id or made_id("resp_", model, self._context.created)
        self._model = model
        for kind in ("response.created", "response.in_progress"):
            told = response(self._id, model, self._context, "in_progress")
            self._event(kind, response=told)

    def text(self, piece: str) -> None:
        self._piece("text", piece)

    def refusal(self, piece: str) -> None:
        self._piece("refusal", piece)

    def thought(self, piece: str) -> None:
        self._piece("thought", piece)

    def seal(self, seal: Seal) -> None:
        if self._kind != "thought":
            self._begin("thought", with_part=False)
        self._close(seal)

    def call(self, call_id: str, name: str, seal: Seal | None) -> None:
        if seal is not None:
            self.seal(seal)
        self._close()
        self._calls += 1
        call = Call(call_id, self._context.names.get(name, name), "")
        custom = call.name in self._context.custom
        self._kind = "custom" if custom else "call"
        item = call_item(self._item_id("fc_"), call, self._context, "in_progress")
        self._open = {"item": item, "call": call}
        self._event("response.output_item.added", output_index=len(self._items), item=item)
        self._head("response.function_call_arguments.delta", item["id"])

    def arguments(self, piece: str) -> None:
        if self._keep(piece) and self._kind == "call":
            self._delta(piece)  # A custom tool's text is known when its JSON is whole.

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
        answer = Answer(self._id, self._model, [], stop, used=self._used)
        whole = ended(response(self._id, self._model, self._context), self._items, stop, answer)
        self._event(f"response.{whole['status']}", response=whole)

    def failed(self, failed: Failed) -> None:
        if self.over:
            return
        self.start("", "")
        self.over = True
        told = response(self._id, self._model, self._context, "failed")
        error = openai_error(failed)
        told["error"] = {"code": openai_code(failed) or "server_error", "message": error["message"]}
        told["output"] = self._items
        self._event("response.failed", response=told)

    def take(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    # -- items -----------------------------------------------------------------------------------

    def _piece(self, kind: str, piece: str) -> None:
        if self._kind != kind:
            self._begin(kind)
        if self._keep(piece):
            self._delta(piece)

    def _keep(self, piece: str) -> bool:
        self._held += len(piece)
        if self._held > HELD_CHARS_MAX:
            self.failed(Failed("the answer is longer than the gateway can repeat", status=500))
        else:
            self._pieces.append(piece)
        return not self.over

    def _delta(self, piece: str) -> None:
        self._out.append(
            self._delta_head + b"%d" % self._sequence + b',"delta":' + quoted(piece) + b"}\n\n"
        )
        self._sequence += 1

    def _head(self, kind: str, item_id: str, **more: object) -> None:
        """All of a delta's frame that stands before its number and its text."""
        told = {"type": kind, "item_id": item_id, "output_index": len(self._items), **more}
        plain = encoded(told)[:-1]
        self._delta_head = b"event: %b\ndata: %b" % (kind.encode(), plain) + b',"sequence_number":'

    def _item_id(self, prefix: str) -> str:
        return made_id(prefix, self._id, len(self._items))

    def _begin(self, kind: str, *, with_part: bool = True) -> None:
        self._close()
        self._kind = kind
        index = len(self._items)
        if kind == "thought":
            item = reasoning_item(self._item_id("rs_"), "", None)
            self._event("response.output_item.added", output_index=index, item=item)
            if with_part:
                self._part(
                    "reasoning_summary_part.added", item, {"type": "summary_text", "text": ""}
                )
            self._head("response.reasoning_summary_text.delta", item["id"], summary_index=0)
        else:
            item = message_item(self._item_id("msg_"), [], "in_progress")
            self._event("response.output_item.added", output_index=index, item=item)
            part = content_of(Text("") if kind == "text" else Refusal(""))
            self._part("content_part.added", item, part)
            name = "output_text" if kind == "text" else "refusal"
            more = _NO_PROBABILITIES if kind == "text" else {}
            self._head(f"response.{name}.delta", item["id"], content_index=0, **more)
        self._open = {"item": item}

    def _part(self, kind: str, item: Json, part: Json) -> None:
        self._event(f"response.{kind}", **self._place(item), part=part)

    def _place(self, item: Json) -> Json:
        name = "summary_index" if item["type"] == "reasoning" else "content_index"
        return {"item_id": item["id"], "output_index": len(self._items), name: 0}

    def _close(self, seal: Seal | None = None) -> None:
        if not self._kind or self.over:
            return
        kind, self._kind = self._kind, ""
        told = "".join(self._pieces)
        self._pieces.clear()
        item: Json = self._open["item"]
        match kind:
            case "text" | "refusal":
                part = content_of(Text(told) if kind == "text" else Refusal(told))
                name = ("output_text", "text") if kind == "text" else ("refusal", "refusal")
                more = _NO_PROBABILITIES if kind == "text" else {}
                text = {name[1]: told, **more}
                self._event(f"response.{name[0]}.done", **self._place(item), **text)
                self._part("content_part.done", item, part)
                item = message_item(item["id"], [part])
            case "thought":
                if told:
                    place = self._place(item)
                    self._event("response.reasoning_summary_text.done", **place, text=told)
                    part = {"type": "summary_text", "text": told}
                    self._part("reasoning_summary_part.done", item, part)
                item = reasoning_item(item["id"], told, seal)
            case _:
                item = self._close_call(item, told)
        self._event("response.output_item.done", output_index=len(self._items), item=item)
        self._items.append(item)

    def _close_call(self, item: Json, told: str) -> Json:
        call: Call = self._open["call"]
        call.arguments = told or "{}"
        place = {"item_id": item["id"], "output_index": len(self._items)}
        if item["type"] == "custom_tool_call":
            given = free_text(call.arguments)
            self._event("response.custom_tool_call_input.delta", **place, delta=given)
            self._event("response.custom_tool_call_input.done", **place, input=given)
        else:
            if not told:
                self._delta("{}")
            more = {"name": call.name, "arguments": call.arguments}
            self._event("response.function_call_arguments.done", **place, **more)
        return call_item(item["id"], call, self._context)

    def _event(self, kind: str, **fields: object) -> None:
        told = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded(told)))
