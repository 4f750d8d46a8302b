"""A conversation written as a Responses request."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.wire.translate import models
from gateway.wire.translate.neutral import (
    Call,
    Context,
    Conversation,
    Json,
    Media,
    Part,
    Refusal,
    Result,
    Text,
    Thought,
    Tool,
    Turn,
)
from gateway.wire.translate.openai_write import effort_to, named_schema, openais_own, sampling
from gateway.wire.translate.reading import plain, refuse, to_url


def write(talk: Conversation, context: Context, *, model: str, stream: bool) -> Json:
    body: Json = {"model": model}
    if system := "\n\n".join(each.text for each in talk.system if each.text):
        body["instructions"] = system
    body["input"] = [item for turn in talk.turns for item in _items(turn, talk, context)]
    if talk.tools:
        body["tools"] = [_tool(each) for each in talk.tools]
        if choice := talk.choice:
            named = {"type": "function", "name": choice.name}
            body["tool_choice"] = named if choice.mode == "named" else choice.mode
        if talk.parallel is not None:
            body["parallel_tool_calls"] = talk.parallel
    if talk.max_tokens is not None:
        body["max_output_tokens"] = max(talk.max_tokens, 16)  # Less is refused.
    if talk.stop:
        talk.lost.add("stop")
    _form(body, talk)
    body.update(sampling(talk, model, ("temperature", "top_p")))
    _think(body, talk, model)
    body["store"] = False
    if stream:
        body["stream"] = True
    body.update(openais_own(talk, model))
    return body


def _think(body: Json, talk: Conversation, model: str) -> None:
    told: Json = {}
    if effort := effort_to(talk, model):
        told["effort"] = effort
    if talk.reasoning is not None and talk.reasoning.shown and models.openai_thinks(model):
        told["summary"] = "auto"
    if told:
        body["reasoning"] = told
    if models.openai_thinks(model):
        # Nothing is stored, so the thoughts have to travel with the conversation.
        body["include"] = ["reasoning.encrypted_content"]


def _form(body: Json, talk: Conversation) -> None:
    told: Json = {}
    if talk.format is not None and talk.format.schema is None:
        told["format"] = {"type": "json_object"}
    elif talk.format is not None:
        told["format"] = {"type": "json_schema", **named_schema(talk.format)}
    if talk.verbosity:
        told["verbosity"] = talk.verbosity
    if told:
        body["text"] = told


def _items(turn: Turn, talk: Conversation, context: Context) -> Iterator[Json]:
    if turn.role == "system":
        content = [{"type": "input_text", "text": plain(turn.parts)}]
        yield {"type": "message", "role": "developer", "content": content}
        return
    kind = "output_text" if turn.role == "assistant" else "input_text"
    said: list[Json] = []
    for part in turn.parts:
        if isinstance(part, Text | Media | Refusal):
            if turn.role == "assistant" and isinstance(part, Media):
                talk.lost.add("messages.media")
            else:
                said.append(_part(part, kind))
            continue
        if said:
            yield {"type": "message", "role": turn.role, "content": said}
            said = []
        yield from _item(part, talk, context)
    if said:
        yield {"type": "message", "role": turn.role, "content": said}


def _item(part: Call | Result | Thought, talk: Conversation, context: Context) -> Iterator[Json]:
    match part:
        case Call():
            told = {"call_id": part.id, "name": part.name, "arguments": part.arguments}
            yield {"type": "function_call", **told}
        case Result():
            if part.is_error:
                talk.lost.add("tool_result.is_error")
            yield {"type": "function_call_output", "call_id": part.id, "output": _output(part)}
        case Thought():
            seal = part.seal
            if seal is None or seal.origin != context.origin or seal.kind != "reasoning":
                talk.lost.add("thinking")
                return
            own_id, _, encrypted = seal.payload.partition(" ")
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item: Json = {"type": "reasoning", "id": own_id, "summary": summary}
            yield {**item, "encrypted_content": encrypted}


def _output(result: Result) -> str | list[Json]:
    if all(isinstance(each, Text) for each in result.parts):
        return plain(result.parts)
    return [_part(each, "input_text") for each in result.parts]


def _part(part: Part, kind: str) -> Json:
    match part:
        case Text():
            return {"type": kind, "text": part.text}
        case Refusal():
            if kind == "output_text":
                return {"type": "refusal", "refusal": part.text}
            return {"type": kind, "text": part.text}
        case Media(kind="image"):
            image = {"type": "input_image", "image_url": to_url(part)}
            return {**image, "detail": part.detail or "auto"}
        case Media(kind="file") if part.url:
            return {"type": "input_file", "file_url": part.url}
        case Media(kind="file"):
            name = part.name or f"file.{part.media_type.partition('/')[2] or 'pdf'}"
            return {"type": "input_file", "filename": name, "file_data": to_url(part)}
    return refuse(part.kind if isinstance(part, Media) else type(part).__name__)


def _tool(tool: Tool) -> Json:
    told: Json = {"type": "function", "name": tool.name}
    if tool.description:
        told["description"] = tool.description
    told["parameters"] = tool.schema or {"type": "object", "properties": {}}
    told["strict"] = bool(tool.strict)  # Left out, it would be true here.
    return told
