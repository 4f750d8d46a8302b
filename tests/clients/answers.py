"""What a scripted provider says to a real client, in any of the four dialects: words, or a tool call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.upstream import simulated_answers as answers
from gateway.upstream.simulated_answers import Frames, Said, ToolCall
from tests.upstream import Answer, Hit

CREATED = 1_795_435_200
PIECES = 3


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the client has, and what to have it do."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A client's request, as far as an answer depends on it."""

    dialect: str
    stream: bool
    model: str
    tools: frozenset[str]
    results: str
    """What the client's tools have given back so far; empty before that."""


def turn_of(hit: Hit) -> Turn:
    body = hit.json
    dialect = _dialect(hit.path)
    stream = "streamGenerateContent" in hit.path or body.get("stream") is True
    model = body.get("model") or hit.path.rpartition("/")[2].partition(":")[0]
    return Turn(dialect, stream, model, frozenset(_tools(body)), "\n".join(_results(body)))


def said(turn: Turn, text: str, call: Call | None = None) -> Answer:
    """An answer to `turn`: `text`, and a tool call behind it where one is given."""
    if turn.dialect == "gemini":
        return _gemini(turn, text, call)
    if turn.dialect == "responses":
        return _responses(turn, text, call)
    tool = None
    if call is not None:
        arguments = json.dumps(call.arguments)
        tool = ToolCall(call_id="scripted1", name=call.name, arguments=arguments)
    what = Said(
        answer_id="scripted",
        model=turn.model,
        created=CREATED,
        pieces=tuple(_pieces(text)),
        tool=tool,
        input_tokens=11,
        output_tokens=7,
    )
    anthropic = turn.dialect == "anthropic"
    if turn.stream:
        frames = answers.anthropic_frames(what) if anthropic else answers.openai_frames(what)
        return _streamed(frames)
    return Answer(body=answers.anthropic_body(what) if anthropic else answers.openai_body(what))


def overloaded(turn: Turn) -> Answer:
    """A provider that is down, in its dialect's words."""
    if turn.dialect == "anthropic":
        error: dict[str, Any] = {"type": "overloaded_error", "message": "Overloaded"}
        return Answer(status=529, json={"type": "error", "error": error})
    if turn.dialect == "gemini":
        error = {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}
    else:
        error = {"message": "The server is overloaded.", "type": "server_error", "code": None}
    return Answer(status=503, json={"error": error})


def _dialect(path: str) -> str:
    for part, dialect in (
        ("/responses", "responses"),
        ("/messages", "anthropic"),
        ("enerateContent", "gemini"),
    ):
        if part in path:
            return dialect
    return "openai"


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    for tool in body.get("tools") or ():
        for each in (tool, tool.get("function"), *(tool.get("functionDeclarations") or ())):
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                yield each["name"]


def _results(body: Mapping[str, Any]) -> Iterator[str]:
    """Results of tools, wherever the four dialects have them."""
    for item in (body.get("input"), body.get("messages"), body.get("contents")):
        for each in item if isinstance(item, list) else ():
            yield from _results_of(each)


def _results_of(item: Mapping[str, Any]) -> Iterator[str]:
    if item.get("role") == "tool" or item.get("type") == "function_call_output":
        yield json.dumps(item.get("content") or item.get("output"))
    content = item.get("content") if isinstance(item.get("content"), list) else item.get("parts")
    for part in content or ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "tool_result":
            yield json.dumps(part.get("content"))
        if "functionResponse" in part:
            yield json.dumps(part["functionResponse"])


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // PIECES))
    yield from (text[i : i + size] for i in range(0, len(text), size))


def _streamed(frames: Frames) -> Answer:
    return Answer(chunks=frames.all(), content_type="text/event-stream")


def _data(value: Mapping[str, Any], *, event: str = "") -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()


# -- Gemini --------------------------------------------------------------------------------------


def _gemini(turn: Turn, text: str, call: Call | None) -> Answer:
    texts = list(_pieces(text)) if turn.stream else [text]
    parts: list[list[dict[str, Any]]] = [[{"text": each}] for each in texts if each]
    if call is not None:
        named = {"name": call.name, "args": dict(call.arguments)}
        parts.append([{"functionCall": named, "thoughtSignature": "c2NyaXB0ZWQ="}])
    if not turn.stream:
        parts = [[each for some in parts for each in some]]
    chunks = [
        _gemini_chunk(turn.model, each, last=n == len(parts)) for n, each in enumerate(parts, 1)
    ]
    if not turn.stream:
        return Answer(json=chunks[0])
    return Answer(chunks=[_data(each) for each in chunks], content_type="text/event-stream")


def _gemini_chunk(model: str, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": "scripted",
    }


# -- Responses -----------------------------------------------------------------------------------


def _responses(turn: Turn, text: str, call: Call | None) -> Answer:
    output: list[dict[str, Any]] = []
    if text:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
        output.append({**message, "content": [part]})
    if call is not None:
        arguments = json.dumps(call.arguments)
        named = {"name": call.name, "arguments": arguments, "call_id": "call_scripted1"}
        output.append({"id": "fc_1", "type": "function_call", "status": "completed", **named})
    if not turn.stream:
        return Answer(json=_response(turn, "completed", output))
    events = [
        {"type": "response.created", "response": _response(turn, "in_progress", [])},
        {"type": "response.in_progress", "response": _response(turn, "in_progress", [])},
        *(event for n, item in enumerate(output) for event in _item_events(n, item)),
        {"type": "response.completed", "response": _response(turn, "completed", output)},
    ]
    frames = [
        _data({**event, "sequence_number": n}, event=str(event["type"]))
        for n, event in enumerate(events)
    ]
    return Answer(chunks=frames, content_type="text/event-stream")


def _response(turn: Turn, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    }
    return {
        "id": "resp_scripted",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": turn.model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at = {"output_index": index, "item_id": item["id"]}
    begun = {**item, "status": "in_progress"}
    if item["type"] == "function_call":
        yield _added(index, {**begun, "arguments": ""})
        kind = "response.function_call_arguments"
        for piece in _pieces(item["arguments"]):
            yield {"type": f"{kind}.delta", **at, "delta": piece}
        yield {"type": f"{kind}.done", **at, "arguments": item["arguments"], "name": item["name"]}
    else:
        [part] = item["content"]
        at["content_index"] = 0
        yield _added(index, {**begun, "content": []})
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for piece in _pieces(part["text"]):
            delta = {"delta": piece, "logprobs": []}
            yield {"type": "response.output_text.delta", **at, **delta}
        yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}
