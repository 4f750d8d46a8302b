"""A whole generateContent answer: read, and written."""

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
    json_text,
    made_id,
    mapping,
    objects,
    text,
)
from gateway.wire.translate.seals import wrapped


def read(body: bytes, context: Context) -> Answer:
    fields = answer_fields(body)
    candidates = objects(fields.get("candidates"))
    own_id = text(fields.get("responseId"))
    parts: list[Part] = []
    stop = Stop.FILTERED  # Without a candidate the prompt was blocked.
    if candidates:
        reason = text(candidates[0].get("finishReason"))
        if reason in stops.GEMINI_FAULTS:
            message = f"the model failed: {reason}"
            raise ValueError(message)
        for place, part in enumerate(objects(mapping(candidates[0].get("content")).get("parts"))):
            for each in read_part(part, own_id, place, context):
                add(parts, each)
        stop = stops.GEMINI.get(reason, Stop.DONE)
    elif not mapping(fields.get("promptFeedback")).get("blockReason"):
        raise ValueError("the answer has no candidates")
    used = stops.gemini_used(fields.get("usageMetadata"))
    return Answer(own_id, text(fields.get("modelVersion")), parts, stop, used=used)


def add(parts: list[Part], part: Part) -> None:
    """Google cuts texts where it likes."""
    last = parts[-1] if parts else None
    for kind in (Text, Thought):
        if isinstance(part, kind) and isinstance(last, kind):
            last.text += part.text
            return
    parts.append(part)


def read_part(part: Json, answer_id: str, place: int, context: Context) -> list[Part]:
    told = part.get("functionCall")
    if isinstance(told, dict):
        own_id = text(told.get("id")) or made_id("call_", answer_id, context.calls + place)
        signature = text(part.get("thoughtSignature"))
        seal = Seal(context.origin, "gemini", signature) if signature else None
        return [
            Call(own_id, text(told.get("name")), json_text(mapping(told.get("args"))), seal=seal)
        ]
    said = part.get("text")
    if not isinstance(said, str) or not said:
        return []
    return [Thought(said)] if part.get("thought") else [Text(said)]


def write(answer: Answer, _: Context) -> Json:
    parts: list[Json] = []
    for part in answer.parts:
        parts += write_part(part)
    calls = any(isinstance(each, Call) for each in answer.parts)
    stop = stops.settled(answer.stop, calls=calls)
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    candidate["finishReason"] = stops.TO_GEMINI.get(stop, "STOP")
    told: Json = {"candidates": [candidate]}
    if answer.used is not None:
        told["usageMetadata"] = stops.to_gemini(answer.used)
    return {**told, "modelVersion": answer.model, "responseId": answer.id}


def write_part(part: Part) -> list[Json]:
    match part:
        case Text() | Refusal():
            return [{"text": part.text}] if part.text else []
        case Thought():
            told: Json = {"text": part.text, "thought": True}
            if part.seal is not None:
                told["thoughtSignature"] = wrapped(part.seal)
            return [told]
        case Call():
            given = json_object(part.arguments)
            call: Json = {"functionCall": {"id": part.id, "name": part.name, "args": given}}
            if part.seal is not None:
                call["thoughtSignature"] = wrapped(part.seal)
            return [call]
    return []
