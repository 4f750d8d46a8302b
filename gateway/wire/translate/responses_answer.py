"""A whole response: read into an answer, and written."""

from __future__ import annotations

from gateway.wire.translate import stops
from gateway.wire.translate.neutral import (
    Answer,
    Call,
    Context,
    Json,
    Part,
    Refusal,
    Seal,
    Stop,
    Text,
    Thought,
)
from gateway.wire.translate.reading import (
    answer_fields,
    json_object,
    made_id,
    mapping,
    objects,
    text,
)
from gateway.wire.translate.seals import wrapped


def read(body: bytes, context: Context) -> Answer:
    fields = answer_fields(body)
    if not isinstance(fields.get("output"), list):
        raise ValueError("the answer has no output")  # noqa: TRY004  # As the interface says.
    parts: list[Part] = []
    for item in objects(fields["output"]):
        parts += _parts(item, context)
    return Answer(
        text(fields.get("id")),
        text(fields.get("model")),
        parts,
        stop_of(fields),
        used=stops.responses_used(fields.get("usage")),
    )


def stop_of(response: Json) -> Stop:
    if response.get("status") != "incomplete":
        return Stop.DONE
    reason = mapping(response.get("incomplete_details")).get("reason")
    return Stop.FILTERED if reason == "content_filter" else Stop.LENGTH


def _parts(item: Json, context: Context) -> list[Part]:
    match item.get("type"):
        case "message":
            return [_said(each) for each in objects(item.get("content"))]
        case "function_call":
            call_id, given = text(item.get("call_id")), text(item.get("arguments")) or "{}"
            return [Call(call_id, text(item.get("name")), given)]
        case "reasoning":
            told = [text(each.get("text")) for each in objects(item.get("summary"))]
            told = told or [text(each.get("text")) for each in objects(item.get("content"))]
            seal = seal_of(item, context)
            return [Thought("\n\n".join(told), seal)] if told or seal else []
    return []


def seal_of(item: Json, context: Context) -> Seal | None:
    """The item's id belongs to what it holds."""
    encrypted = text(item.get("encrypted_content"))
    if not encrypted:
        return None
    return Seal(context.origin, "reasoning", f"{text(item.get('id'))} {encrypted}")


def _said(content: Json) -> Part:
    if content.get("type") == "refusal":
        return Refusal(text(content.get("refusal")))
    return Text(text(content.get("text")))


def write(answer: Answer, context: Context) -> Json:
    items: list[Json] = []
    for place, part in enumerate(answer.parts):
        own = (answer.id, place)
        match part:
            case Text() | Refusal():
                if items and items[-1]["type"] == "message":
                    items[-1]["content"].append(content_of(part))
                else:
                    items.append(message_item(made_id("msg_", *own), [content_of(part)]))
            case Thought():
                items.append(reasoning_item(made_id("rs_", *own), part.text, part.seal))
            case Call():
                if part.seal is not None:
                    items.append(reasoning_item(made_id("rs_", *own), "", part.seal))
                items.append(call_item(made_id("fc_", *own), part, context))
    calls = any(isinstance(each, Call) for each in answer.parts)
    told = response(answer.id, answer.model, context)
    return ended(told, items, stops.settled(answer.stop, calls=calls), answer)


def content_of(part: Text | Refusal) -> Json:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": []}


def message_item(own_id: str, content: list[Json], status: str = "completed") -> Json:
    return {
        "id": own_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def reasoning_item(own_id: str, thought: str, seal: Seal | None) -> Json:
    summary = [{"type": "summary_text", "text": thought}] if thought else []
    item: Json = {"id": own_id, "type": "reasoning", "summary": summary}
    if seal is not None:
        item["encrypted_content"] = wrapped(seal)
    return item


def call_item(own_id: str, call: Call, context: Context, status: str = "completed") -> Json:
    item: Json = {"id": own_id, "type": "function_call", "status": status}
    item |= {"call_id": call.id, "name": call.name}
    if call.name in context.custom:
        item["type"], item["input"] = "custom_tool_call", free_text(call.arguments)
    else:
        item["arguments"] = call.arguments
    return item


def free_text(arguments: str) -> str:
    """What a tool of free text was given, out of the one argument that it has elsewhere."""
    given = json_object(arguments).get("input", arguments) if arguments else ""
    return given if isinstance(given, str) else arguments


def response(own_id: str, model: str, context: Context, status: str = "completed") -> Json:
    return {
        "id": own_id,
        "object": "response",
        "created_at": context.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def ended(told: Json, items: list[Json], stop: Stop, answer: Answer) -> Json:
    told["output"] = items
    if reason := stops.TO_RESPONSES.get(stop):
        told |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
    if answer.used is not None:
        told["usage"] = stops.to_responses(answer.used)
    return told
