"""A whole chat completion: read into an answer, and written."""

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
from gateway.wire.translate.openai_read import read_thoughts
from gateway.wire.translate.reading import answer_fields, made_id, mapping, objects, text
from gateway.wire.translate.seals import wrapped


def read(body: bytes, context: Context) -> Answer:
    fields = answer_fields(body)
    choices = objects(fields.get("choices"))
    if not choices:
        raise ValueError("the answer has no choices")
    message = mapping(choices[0].get("message"))
    parts = read_thoughts(message, context.origin)
    parts += _said(message.get("content"))
    if refusal := text(message.get("refusal")):
        parts.append(Refusal(refusal))
    for place, call in enumerate(objects(message.get("tool_calls"))):
        parts.append(_call(call, place, context))
    return Answer(
        text(fields.get("id")),
        text(fields.get("model")),
        parts,
        stops.CHAT.get(text(choices[0].get("finish_reason")), Stop.DONE),
        used=stops.chat_used(fields.get("usage")),
    )


def _said(content: object) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    told = [each for each in objects(content) if each.get("type") == "text"]
    return [Text(text(each.get("text"))) for each in told]


def _call(call: Json, place: int, context: Context) -> Call:
    told = mapping(call.get("function"))
    own_id = text(call.get("id")) or made_id("call_", context.calls + place)
    return Call(
        own_id,
        text(told.get("name")),
        text(told.get("arguments")) or "{}",
        seal=google_seal(call.get("extra_content"), context),
    )


def google_seal(extra: object, context: Context) -> Seal | None:
    """Where Google's models sign their calls when they speak this dialect."""
    signature = text(mapping(mapping(extra).get("google")).get("thought_signature"))
    return Seal(context.origin, "google", signature) if signature else None


def write(answer: Answer, context: Context) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    said = [each.text for each in answer.parts if isinstance(each, Text)]
    refused = [each.text for each in answer.parts if isinstance(each, Refusal)]
    thoughts = [each for each in answer.parts if isinstance(each, Thought)]
    calls = [each for each in answer.parts if isinstance(each, Call)]
    if said:
        message["content"] = "".join(said)
    if refused:
        message["refusal"] = "".join(refused)
    if any(each.text for each in thoughts):
        message["reasoning_content"] = "".join(each.text for each in thoughts)
    sealed = [signed(each.text, each.seal) for each in thoughts if each.seal]
    if sealed and any(each.seal and each.seal.kind != "plain" for each in thoughts):
        message["thinking_blocks"] = sealed
    if calls:
        message["tool_calls"] = [_write_call(each) for each in calls]
    stop = stops.settled(answer.stop, calls=bool(calls))
    reason = stops.TO_CHAT.get(stop, "stop")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    told: Json = {
        "id": answer.id,
        "object": "chat.completion",
        "created": context.created,
        "model": answer.model,
        "choices": [choice],
    }
    if answer.used is not None:
        told["usage"] = stops.to_chat(answer.used)
    return told


def signed(thought: str, seal: Seal) -> Json:
    """Under litellm's name, so that clients made for it give it back."""
    return {"type": "thinking", "thinking": thought, "signature": wrapped(seal)}


def _write_call(call: Call) -> Json:
    told: Json = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.seal is not None:
        told["extra_content"] = {"google": {"thought_signature": wrapped(call.seal)}}
    return told
