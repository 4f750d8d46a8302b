"""A stream of Responses events, read."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.translate import stops
from gateway.wire.translate.errors import failed_of
from gateway.wire.translate.neutral import Context, Failed, Json
from gateway.wire.translate.reading import mapping, text
from gateway.wire.translate.responses_answer import seal_of, stop_of
from gateway.wire.translate.streaming import Typed, Writer


class _Event(msgspec.Struct):
    type: Any = None
    delta: Any = None
    output_index: Any = None
    summary_index: Any = 0
    item: Any = None
    response: Any = None
    error: Any = None
    message: Any = None
    code: Any = None


_DECODE = Typed(_Event)


class ResponsesReader:
    __slots__ = ("_context", "_given", "_open", "_started", "_writer")

    def __init__(self, writer: Writer, context: Context) -> None:
        self._writer = writer
        self._context = context
        self._open: object = None
        """The `output_index` of the call whose arguments arrive."""
        self._given = False
        self._started = False

    def read(self, event: bytes, data: bytes) -> None:
        del event
        told = _DECODE(data, _Event)
        if told is None:
            return
        if not self._started and told.type not in ("error", "response.failed"):
            self._started = True
            response = mapping(told.response)
            self._writer.start(text(response.get("id")), text(response.get("model")))
        match told.type:
            case "response.output_text.delta":
                self._writer.text(text(told.delta))
            case "response.function_call_arguments.delta":
                self._arguments(told)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._writer.thought(text(told.delta))
            case "response.reasoning_summary_part.added" if told.summary_index:
                self._writer.thought("\n\n")
            case "response.refusal.delta":
                self._writer.refusal(text(told.delta))
            case _:
                self._other(told)

    def _other(self, told: _Event) -> None:
        match told.type:
            case "response.output_item.added":
                self._item(mapping(told.item), told.output_index)
            case "response.output_item.done":
                self._item_done(mapping(told.item))
            case "response.completed" | "response.incomplete":
                self._done(mapping(told.response))
            case "response.failed":
                error = mapping(mapping(told.response).get("error"))
                self._writer.failed(failed_of(error or {"message": "the response failed"}))
            case "error":
                flat = {"message": told.message, "code": told.code}
                self._writer.failed(failed_of(mapping(told.error) or flat))

    def end(self) -> None:
        """Nothing but its terminal events makes it whole."""

    def _item(self, item: Json, index: object) -> None:
        if item.get("type") == "function_call":
            self._open, self._given = index, False
            self._writer.call(text(item.get("call_id")), text(item.get("name")), None)

    def _arguments(self, told: _Event) -> None:
        if told.output_index != self._open:
            mixed = "the provider's stream mixes the arguments of its calls"
            self._writer.failed(Failed(mixed, status=500))
        elif told.delta:
            self._given = True
            self._writer.arguments(text(told.delta))

    def _item_done(self, item: Json) -> None:
        if item.get("type") == "function_call" and not self._given:
            self._given = True
            self._writer.arguments(text(item.get("arguments")) or "{}")
        elif item.get("type") == "reasoning" and (seal := seal_of(item, self._context)):
            self._writer.seal(seal)

    def _done(self, response: Json) -> None:
        if (used := stops.responses_used(response.get("usage"))) is not None:
            self._writer.usage(used)
        self._writer.finish(stop_of(response))
        self._writer.done()
