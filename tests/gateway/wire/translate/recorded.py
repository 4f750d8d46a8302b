"""Streams and answers of each dialect as its servers send them, all of one answer: a thought, a
text, two calls. Made by hand from recordings; ids shortened."""

from __future__ import annotations

import json
from typing import Any

from gateway.wire.translate.base import DIALECTS

PAIRS = [(client, target) for client in DIALECTS for target in DIALECTS if client != target]

THOUGHT = "Let me look."
TEXT = "It is “sunny” — ☀️"
CALLS = [("call_a", "weather", {"city": "Bern"}), ("call_b", "weather", {"city": "Ulm"})]


def sse(*events: Any) -> bytes:
    frames = []
    for event in events:
        name = event.get("type", "") if isinstance(event, dict) and "type" in event else ""
        head = f"event: {name}\n" if name else ""
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        frames.append(f"{head}data: {data}\n\n")
    return "".join(frames).encode()


def events(stream: bytes) -> list[Any]:
    """The data of every frame; `[DONE]` as a string."""
    found = []
    for frame in stream.decode().split("\n\n"):
        for line in frame.split("\n"):
            if line.startswith("data: "):
                data = line[6:]
                found.append(data if data == "[DONE]" else json.loads(data))
    return found


def _chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        **more,
    }


def _chat_call(place: int, call_id: str, name: str, given: Any) -> list[dict[str, Any]]:
    text = json.dumps(given)
    head = {"index": place, "id": call_id, "type": "function"}
    return [
        _chunk({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]}),
        _chunk({"tool_calls": [{"index": place, "function": {"arguments": text[:5]}}]}),
        _chunk({"tool_calls": [{"index": place, "function": {"arguments": text[5:]}}]}),
    ]


CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 10},
}


def chat_stream(*, calls: bool = True, thought: bool = True) -> list[Any]:
    made: list[Any] = [_chunk({"role": "assistant", "content": ""})]
    if thought:
        made += [_chunk({"reasoning_content": piece}) for piece in (THOUGHT[:4], THOUGHT[4:])]
    made += [_chunk({"content": piece}) for piece in (TEXT[:3], TEXT[3:])]
    for place, call in enumerate(CALLS if calls else ()):
        made += _chat_call(place, *call)
    made.append(_chunk({}, "tool_calls" if calls else "stop"))
    made.append({**_chunk({}), "choices": [], "usage": CHAT_USAGE})
    return [*made, "[DONE]"]


def messages_stream(*, calls: bool = True, thought: bool = True) -> list[Any]:
    usage = {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    message: Any = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1"}
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    made: list[Any] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    blocks: list[tuple[Any, list[Any]]] = []
    if thought:
        deltas = [{"type": "thinking_delta", "thinking": p} for p in (THOUGHT[:4], THOUGHT[4:])]
        deltas.append({"type": "signature_delta", "signature": "c2lnbmVk"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    said = [{"type": "text_delta", "text": piece} for piece in (TEXT[:3], TEXT[3:])]
    blocks.append(({"type": "text", "text": ""}, said))
    for call_id, name, given in CALLS if calls else ():
        text = json.dumps(given)
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", text[:5], text[5:])]
        blocks.append(({"type": "tool_use", "id": call_id, "name": name, "input": {}}, deltas))
    for place, (block, deltas) in enumerate(blocks):
        made.append({"type": "content_block_start", "index": place, "content_block": block})
        made += [{"type": "content_block_delta", "index": place, "delta": d} for d in deltas]
        made.append({"type": "content_block_stop", "index": place})
    delta = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    used = {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 10}}
    return [
        *made,
        {"type": "message_delta", "delta": delta, "usage": used},
        {"type": "message_stop"},
    ]


def _response(status: str, output: list[Any], usage: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "m-1",
        "output": output,
        "usage": usage,
        "error": None,
        "incomplete_details": None,
    }


RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 130,
}


def responses_items(*, calls: bool = True, thought: bool = True) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if thought:
        told = {"id": "rs_1", "type": "reasoning", "encrypted_content": "gAAAAAB"}
        items.append({**told, "summary": [{"type": "summary_text", "text": THOUGHT}]})
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    items.append({**head, "content": content})
    for place, (call_id, name, given) in enumerate(CALLS if calls else ()):
        call = {"id": f"fc_{place}", "type": "function_call", "status": "completed"}
        items.append({**call, "call_id": call_id, "name": name, "arguments": json.dumps(given)})
    return items


def responses_stream(*, calls: bool = True, thought: bool = True) -> list[Any]:
    begun = _response("in_progress", [], None)
    kinds = ("response.created", "response.in_progress")
    made: list[Any] = [{"type": kind, "response": begun} for kind in kinds]
    items = responses_items(calls=calls, thought=thought)
    for place, item in enumerate(items):
        made += _responses_item(place, item)
    whole = _response("completed", items, RESPONSES_USAGE)
    made.append({"type": "response.completed", "response": whole})
    return [{**each, "sequence_number": place} for place, each in enumerate(made)]


def _responses_item(place: int, item: dict[str, Any]) -> list[Any]:
    at = {"item_id": item["id"], "output_index": place}
    made: list[Any] = []
    begun = dict(item)
    match item["type"]:
        case "message":
            begun["content"] = []
            kind, text, at["content_index"] = "output_text", TEXT, 0
        case "reasoning":
            begun = {**item, "summary": [], "encrypted_content": ""}
            kind, text, at["summary_index"] = "reasoning_summary_text", THOUGHT, 0
        case _:
            begun["arguments"] = ""
            kind, text = "function_call_arguments", item["arguments"]
    made.append({"type": "response.output_item.added", "output_index": place, "item": begun})
    if item["type"] == "message":
        part = {"type": "output_text", "text": "", "annotations": []}
        made.append({"type": "response.content_part.added", **at, "part": part})
    if item["type"] == "reasoning":
        part = {"type": "summary_text", "text": ""}
        made.append({"type": "response.reasoning_summary_part.added", **at, "part": part})
    made += [{"type": f"response.{kind}.delta", **at, "delta": p} for p in (text[:3], text[3:])]
    last = {"arguments": text} if kind == "function_call_arguments" else {"text": text}
    made.append({"type": f"response.{kind}.done", **at, **last})
    made.append({"type": "response.output_item.done", "output_index": place, "item": item})
    return made


GEMINI_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 130,
}


def gemini_parts(*, calls: bool = True, thought: bool = True) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": THOUGHT, "thought": True}] if thought else []
    parts += [{"text": TEXT[:3]}, {"text": TEXT[3:]}]
    for place, (call_id, name, given) in enumerate(CALLS if calls else ()):
        call: dict[str, Any] = {"functionCall": {"id": call_id, "name": name, "args": given}}
        if place == 0:
            call["thoughtSignature"] = "c2lnbmVk"
        parts.append(call)
    return parts


def gemini_stream(*, calls: bool = True, thought: bool = True) -> list[Any]:
    made: list[Any] = []
    for part in gemini_parts(calls=calls, thought=thought):
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
        made.append({"candidates": [candidate], "modelVersion": "m-1", "responseId": "r1"})
    made[-1]["candidates"][0]["finishReason"] = "STOP"
    made[-1]["usageMetadata"] = GEMINI_USAGE
    return made


ERRORS: dict[str, Any] = {
    "openai": {"error": {"message": "Overloaded, sorry", "type": "server_error", "code": None}},
    "responses": {
        "type": "response.failed",
        "response": {**_response("failed", [], None), "error": {"message": "Overloaded, sorry"}},
    },
    "anthropic": {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded, sorry"},
    },
    "gemini": {"error": {"code": 503, "message": "Overloaded, sorry", "status": "UNAVAILABLE"}},
}
TERMINALS = {
    "openai": b"[DONE]",
    "responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b"finishReason",
}
STREAMS = {
    "openai": chat_stream,
    "responses": responses_stream,
    "anthropic": messages_stream,
    "gemini": gemini_stream,
}


def whole_answer(dialect: str, *, calls: bool = True, thought: bool = True) -> bytes:
    match dialect:
        case "openai":
            told = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(given)},
                }
                for call_id, name, given in CALLS
            ]
            message: dict[str, Any] = {"role": "assistant", "content": TEXT}
            if thought:
                message["reasoning_content"] = THOUGHT
            if calls:
                message["tool_calls"] = told
            finish = "tool_calls" if calls else "stop"
            choice = {"index": 0, "message": message, "finish_reason": finish}
            value: Any = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1"}
            value |= {"choices": [choice], "usage": CHAT_USAGE}
        case "responses":
            items = responses_items(calls=calls, thought=thought)
            value = _response("completed", items, RESPONSES_USAGE)
        case "anthropic":
            content: list[Any] = []
            if thought:
                content.append({"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmVk"})
            content.append({"type": "text", "text": TEXT})
            for call_id, name, given in CALLS if calls else ():
                content.append({"type": "tool_use", "id": call_id, "name": name, "input": given})
            usage = {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 30}
            usage_more = {"output_tokens_details": {"thinking_tokens": 10}}
            value = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1"}
            value |= {"content": content, "stop_reason": "tool_use" if calls else "end_turn"}
            value["usage"] = {**usage, **usage_more}
        case _:
            content_ = {"role": "model", "parts": gemini_parts(calls=calls, thought=thought)}
            candidate = {"content": content_, "finishReason": "STOP", "index": 0}
            value = {"candidates": [candidate], "usageMetadata": GEMINI_USAGE}
            value |= {"modelVersion": "m-1", "responseId": "r1"}
    return json.dumps(value, ensure_ascii=False).encode()
