"""The bytes of good answers of OpenAI's Responses, built from plain facts. Pure, as its sibling.

The sequence of events is the shortest that Codex, the official package's helper and the AI SDK take.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from gateway.upstream.simulated_answers import Frames, Said, ToolCall
from gateway.wire.answer import encoded

FAILED_CODE = "server_error"


def responses_body(said: Said) -> bytes:
    return encoded(_response(said, _status(said), _output(said)))


def responses_frames(said: Said) -> Frames:
    events = _Events()
    begun = _response(said, "in_progress", [])
    head = [
        events.made("response.created", response=begun),
        events.made("response.in_progress", response=begun),
    ]
    content: list[bytes] = []
    tail: list[bytes] = []
    if said.pieces:
        _message_events(said, events, head, content, tail)
    if said.tool is not None:
        content += tail
        tail = []
        _call_events(said, said.tool, events, content, tail)
    status = _status(said)
    tail.append(events.made(f"response.{status}", response=_response(said, status, _output(said))))
    return Frames(tuple(head), tuple(content), tuple(tail))


def responses_error_event(error: Mapping[str, Any]) -> bytes:
    """As the API ends a stream that failed; the number is large enough to be behind all others."""
    code = error.get("code") or FAILED_CODE
    told = {"code": code, "message": error.get("message", "")}
    response = {"id": "resp_failed", "object": "response", "status": "failed", "error": told}
    value = {"type": "response.failed", "sequence_number": 9999, "response": response}
    return b"event: response.failed\ndata: " + encoded(value) + b"\n\n"


class _Events:
    def __init__(self) -> None:
        self._numbers = count()

    def made(self, kind: str, **fields: object) -> bytes:
        value = {"type": kind, "sequence_number": next(self._numbers), **fields}
        return f"event: {kind}\ndata: ".encode() + encoded(value) + b"\n\n"


def _message_events(
    said: Said, events: _Events, head: list[bytes], content: list[bytes], tail: list[bytes]
) -> None:
    item = _message_item(said, "in_progress", [])
    place: dict[str, Any] = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    head += [
        events.made("response.output_item.added", output_index=0, item=item),
        events.made("response.content_part.added", **place, part=_text_part("")),
    ]
    content += [
        events.made("response.output_text.delta", **place, delta=piece, logprobs=[])
        for piece in said.pieces
    ]
    part, done = _text_part(said.text), _message_item(said, "completed", [_text_part(said.text)])
    tail += [
        events.made("response.output_text.done", **place, text=said.text, logprobs=[]),
        events.made("response.content_part.done", **place, part=part),
        events.made("response.output_item.done", output_index=0, item=done),
    ]


def _call_events(
    said: Said, tool: ToolCall, events: _Events, content: list[bytes], tail: list[bytes]
) -> None:
    index = 1 if said.pieces else 0
    item = _call_item(tool, "in_progress", "")
    place: dict[str, Any] = {"item_id": item["id"], "output_index": index}
    content.append(events.made("response.output_item.added", output_index=index, item=item))
    content += [
        events.made("response.function_call_arguments.delta", **place, delta=piece)
        for piece in tool.pieces()
    ]
    done = _call_item(tool, "completed", tool.arguments)
    tail += [
        events.made(
            "response.function_call_arguments.done",
            **place,
            name=tool.name,
            arguments=tool.arguments,
        ),
        events.made("response.output_item.done", output_index=index, item=done),
    ]


def _response(said: Said, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    finished = status != "in_progress"
    return {
        "id": f"resp_{said.answer_id}",
        "object": "response",
        "created_at": said.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": said.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(said) if finished else None,
    }


def _output(said: Said) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    if said.pieces:
        output.append(_message_item(said, "completed", [_text_part(said.text)]))
    if said.tool is not None:
        output.append(_call_item(said.tool, "completed", said.tool.arguments))
    return output


def _message_item(said: Said, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{said.answer_id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_item(tool: ToolCall, status: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{tool.call_id}",
        "type": "function_call",
        "status": status,
        "call_id": f"call_{tool.call_id}",
        "name": tool.name,
        "arguments": arguments,
    }


def _status(said: Said) -> str:
    return "incomplete" if said.cut else "completed"


def _usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": said.input_tokens + said.output_tokens,
    }
