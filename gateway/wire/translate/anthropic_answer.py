"""A whole message: read into an answer, and written."""

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
    Used,
)
from gateway.wire.translate.reading import (
    answer_fields,
    json_object,
    json_text,
    mapping,
    objects,
    text,
)
from gateway.wire.translate.seals import wrapped


def read(body: bytes, context: Context) -> Answer:
    fields = answer_fields(body)
    if not isinstance(fields.get("content"), list):
        raise ValueError("the answer has no content")  # noqa: TRY004  # As the interface says.
    parts = [part for block in objects(fields["content"]) if (part := _part(block, context))]
    return Answer(
        text(fields.get("id")),
        text(fields.get("model")),
        parts,
        stops.ANTHROPIC.get(text(fields.get("stop_reason")), Stop.DONE),
        text(fields.get("stop_sequence")),
        stops.anthropic_used(mapping(fields.get("usage"))),
    )


def _part(block: Json, context: Context) -> Part | None:
    match block.get("type"):
        case "text":
            return Text(text(block.get("text")))
        case "tool_use":
            given = json_text(mapping(block.get("input")))
            return Call(text(block.get("id")), text(block.get("name")), given)
        case "thinking":
            seal = Seal(context.origin, "thinking", text(block.get("signature")))
            return Thought(text(block.get("thinking")), seal)
        case "redacted_thinking":
            return Thought("", Seal(context.origin, "redacted", text(block.get("data"))))
    return None


def write(answer: Answer, context: Context) -> Json:
    content: list[Json] = []
    for part in answer.parts:
        content += _blocks(part, context)
    calls = any(isinstance(each, Call) for each in answer.parts)
    stop = stops.settled(answer.stop, calls=calls)
    if any(isinstance(each, Refusal) for each in answer.parts):
        stop = Stop.REFUSED
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stops.TO_ANTHROPIC.get(stop, "end_turn"),
        "stop_sequence": answer.sequence or None,
        "usage": stops.to_anthropic(answer.used or Used()),
    }


def _blocks(part: Part, context: Context) -> list[Json]:
    match part:
        case Text() | Refusal():
            return [{"type": "text", "text": part.text}] if part.text else []
        case Thought():
            return [thought_block(part.text, part.seal or Seal(context.origin, "plain"))]
        case Call():
            given = json_object(part.arguments)
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": given}
            # A call's own seal has no place in it: a thought that nobody can read holds it.
            return [call] if part.seal is None else [thought_block("", part.seal), call]
    return []


def thought_block(thought: str, seal: Seal) -> Json:
    if thought:
        return {"type": "thinking", "thinking": thought, "signature": wrapped(seal)}
    return {"type": "redacted_thinking", "data": wrapped(seal)}
