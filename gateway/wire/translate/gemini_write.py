"""A conversation written as a Gemini generateContent request."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.wire.adapting_items import ANY_THOUGHT
from gateway.wire.translate import models
from gateway.wire.translate.neutral import (
    Call,
    Context,
    Conversation,
    Json,
    Media,
    Refusal,
    Result,
    Text,
    Thought,
    Tool,
    Turn,
)
from gateway.wire.translate.reading import json_object, plain

STOPS_MAX = 5
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_LEVELS = {"none": "minimal", "xhigh": "high", "max": "high"}
_TYPES = {
    "image": "image/png",
    "audio": "audio/wav",
    "video": "video/mp4",
    "file": "application/pdf",
}


def write(talk: Conversation, context: Context, *, model: str) -> Json:
    body: Json = {"contents": _contents(talk, context, model)}
    system = [{"text": each.text} for each in talk.system if each.text]
    if system:
        body["systemInstruction"] = {"parts": system}
    if talk.tools:
        body["tools"] = [{"functionDeclarations": [_tool(each) for each in talk.tools]}]
        if talk.choice is not None:
            calling: Json = {"mode": _MODES[talk.choice.mode]}
            if talk.choice.mode == "named":
                calling["allowedFunctionNames"] = [talk.choice.name]
            body["toolConfig"] = {"functionCallingConfig": calling}
    if config := _config(talk, model):
        body["generationConfig"] = config
    told = (
        ("user", talk.user),
        ("prompt_cache_key", talk.cache_key),
        ("service_tier", talk.tier),
        ("verbosity", talk.verbosity),
        ("metadata", talk.metadata),
        ("parallel_tool_calls", talk.parallel is False),
    )
    talk.lost |= {name for name, value in told if value}
    return body


def _contents(talk: Conversation, context: Context, model: str) -> list[Json]:
    contents: list[Json] = []
    for turn in talk.turns:
        if turn.role == "system":
            talk.lost.add("messages.role=system")
        role = "model" if turn.role == "assistant" else "user"
        parts = list(_parts(turn, talk, context, model))
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(turn: Turn, talk: Conversation, context: Context, model: str) -> Iterator[Json]:
    first_call = True
    shown: list[Json] = []
    for part in turn.parts:
        match part:
            case Text() | Refusal():
                if part.text:
                    yield {"text": part.text}
            case Media():
                yield _media(part)
            case Call():
                yield _call(part, context, model, first=first_call)
                first_call = False
            case Result():
                yield _result(part)
                shown += [_media(each) for each in part.parts if isinstance(each, Media)]
            case Thought():
                if part.seal is None or part.seal.origin != context.origin:
                    talk.lost.add("thinking")
    yield from shown
    # A thought's text is not sent back: what counts of it is the signature of its call.


def _media(media: Media) -> Json:
    media_type = media.media_type or _TYPES[media.kind]
    if media.url:
        return {"fileData": {"mimeType": media_type, "fileUri": media.url}}
    return {"inlineData": {"mimeType": media_type, "data": media.data}}


def _call(call: Call, context: Context, model: str, *, first: bool) -> Json:
    """Newer models want the signature of each step's first call; there is a stand-in for calls
    that somebody else made."""
    told: Json = {"functionCall": {"name": call.name, "args": json_object(call.arguments)}}
    seal = call.seal
    if seal is not None and seal.origin == context.origin and seal.kind == "gemini":
        told["thoughtSignature"] = seal.payload
    elif first and models.gemini_wants_signatures(model):
        told["thoughtSignature"] = ANY_THOUGHT
    return told


def _result(result: Result) -> Json:
    """Google matches results with calls by their order; the ids of others it need not know."""
    said = {"error" if result.is_error else "output": plain(result.parts)}
    return {"functionResponse": {"name": result.name or "unknown", "response": said}}


def _tool(tool: Tool) -> Json:
    told: Json = {"name": tool.name, "description": tool.description}
    schema = {name: value for name, value in tool.schema.items() if name != "$schema"}
    if schema:
        told["parametersJsonSchema"] = schema
    return told


def _config(talk: Conversation, model: str) -> Json:
    config: Json = {_SAMPLING[name]: value for name, value in talk.sampling.items()}
    if talk.max_tokens is not None:
        config["maxOutputTokens"] = talk.max_tokens
    if talk.stop:
        config["stopSequences"] = talk.stop[:STOPS_MAX]
        if len(talk.stop) > STOPS_MAX:
            talk.lost.add("stop")
    if talk.format is not None:
        config["responseMimeType"] = "application/json"
        if talk.format.schema is not None:
            config["responseJsonSchema"] = talk.format.schema
    if thinking := _thinking(talk, model):
        config["thinkingConfig"] = thinking
    return config


def _thinking(talk: Conversation, model: str) -> Json:
    asked = talk.reasoning
    if asked is None:
        return {}
    if not models.gemini_thinks(model):
        if not asked.off:
            talk.lost.add("reasoning")
        return {}
    told: Json = {"includeThoughts": True} if asked.shown and not asked.off else {}
    if models.gemini_by_budget(model):
        if asked.off:
            told["thinkingBudget"] = 0
        elif asked.effort or asked.budget is not None:
            told["thinkingBudget"] = min(models.budget_of(asked.effort, asked.budget), 24_576)
    elif effort := ("none" if asked.off else models.effort_of(asked.effort, asked.budget)):
        told["thinkingLevel"] = _LEVELS.get(effort, effort)
    return told
