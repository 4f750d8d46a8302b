"""A conversation written as a chat completions request."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.wire.translate import models
from gateway.wire.translate.neutral import (
    Call,
    Context,
    Conversation,
    Format,
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
from gateway.wire.translate.reading import mapping, objects, plain, refuse, to_url

STOPS_MAX = 4
USER_CHARS_MAX = 64
DESCRIPTION_OF_PICTURES = "What the tool returned with the call {}:"

_SAMPLING = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")


def write(talk: Conversation, context: Context, *, model: str, stream: bool) -> Json:
    body: Json = {"model": model, "messages": list(_messages(talk, context))}
    if talk.tools:
        body["tools"] = [{"type": "function", "function": _tool(each)} for each in talk.tools]
        if talk.choice is not None:
            named = {"type": "function", "function": {"name": talk.choice.name}}
            body["tool_choice"] = named if talk.choice.mode == "named" else talk.choice.mode
        if talk.parallel is not None:
            body["parallel_tool_calls"] = talk.parallel
    if talk.max_tokens is not None:
        own = "max_completion_tokens" if models.is_openai(model) else "max_tokens"
        body[own] = talk.max_tokens
    if talk.stop:
        body["stop"] = talk.stop[:STOPS_MAX]
        if len(talk.stop) > STOPS_MAX:
            talk.lost.add("stop")
    if talk.format is not None:
        body["response_format"] = _form(talk.format)
    body.update(sampling(talk, model, _SAMPLING))
    if effort := effort_to(talk, model):
        body["reasoning_effort"] = effort
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body.update(openais_own(talk, model))
    return body


def openais_own(talk: Conversation, model: str) -> Json:
    """What OpenAI takes, and servers that speak its dialect mostly refuse."""
    own: Json = {}
    if talk.user and len(talk.user) <= USER_CHARS_MAX:
        own["user"] = talk.user
    elif talk.user:
        talk.lost.add("user")
    if models.is_openai(model):
        if talk.cache_key:
            own["prompt_cache_key"] = talk.cache_key
        if talk.tier:
            own["service_tier"] = talk.tier
    else:
        told = (("prompt_cache_key", talk.cache_key), ("service_tier", talk.tier))
        talk.lost |= {name for name, value in told if value}
    if talk.metadata:
        talk.lost.add("metadata")
    if _has_cache_marks(talk):
        talk.lost.add("cache_control")
    return own


def _has_cache_marks(talk: Conversation) -> bool:
    parts = [*talk.system, *talk.tools, *(part for turn in talk.turns for part in turn.parts)]
    return any(getattr(each, "cache", None) for each in parts)


def sampling(talk: Conversation, model: str, names: tuple[str, ...]) -> dict[str, float]:
    """Models that reason refuse all of it; 1 is the default of both."""
    given = dict(talk.sampling)
    if models.is_openai(model) and given.get("temperature") == 1:
        del given["temperature"]
    allowed = () if models.openai_thinks(model) else names
    talk.lost |= given.keys() - set(allowed)
    return {name: value for name, value in given.items() if name in allowed}


def effort_to(talk: Conversation, model: str) -> str:
    asked = talk.reasoning
    if asked is None:
        return ""
    if not models.takes_effort(model):
        if not asked.off:
            talk.lost.add("reasoning")
        return ""
    if asked.off:
        return "none" if models.openai_thinks(model) else ""
    effort = models.effort_of(asked.effort, asked.budget)
    return "xhigh" if effort == "max" else effort


def _messages(talk: Conversation, context: Context) -> Iterator[Json]:
    if system := "\n\n".join(each.text for each in talk.system if each.text):
        yield {"role": "system", "content": system}
    for turn in talk.turns:
        if turn.role == "system":
            yield {"role": "system", "content": plain(turn.parts)}
        elif turn.role == "assistant":
            if message := _assistant(turn, talk, context):
                yield message
        else:
            yield from _user(turn, talk)


def _user(turn: Turn, talk: Conversation) -> Iterator[Json]:
    """A tool's message holds text only; pictures follow in one of the user."""
    shown: list[Json] = []
    for part in turn.parts:
        if not isinstance(part, Result):
            continue
        yield {"role": "tool", "tool_call_id": part.id, "content": plain(part.parts)}
        if part.is_error:
            talk.lost.add("tool_result.is_error")
        pictures = [_part(each) for each in part.parts if isinstance(each, Media)]
        if pictures:
            shown += [{"type": "text", "text": DESCRIPTION_OF_PICTURES.format(part.id)}, *pictures]
    said = [each for each in turn.parts if not isinstance(each, Result | Thought | Call)]
    content = shown + [_part(each) for each in said]
    if len(content) == 1 and content[0]["type"] == "text":
        yield {"role": "user", "content": content[0]["text"]}
    elif content:
        yield {"role": "user", "content": content}


def _part(part: Part) -> Json:
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case Media(kind="image"):
            image = {"url": to_url(part)}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Media(kind="audio"):
            form = part.media_type.partition("/")[2].removeprefix("x-")
            form = {"mpeg": "mp3", "wave": "wav"}.get(form, form)
            if form not in ("wav", "mp3") or not part.data:
                refuse(f"audio of the type {part.media_type!r}")
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
        case Media(kind="file") if part.data:
            name = part.name or f"file.{part.media_type.partition('/')[2] or 'pdf'}"
            return {"type": "file", "file": {"filename": name, "file_data": to_url(part)}}
    return refuse("a file that is only linked" if isinstance(part, Media) else type(part).__name__)


def _assistant(turn: Turn, talk: Conversation, context: Context) -> Json | None:
    message: Json = {"role": "assistant"}
    said = [each.text for each in turn.parts if isinstance(each, Text | Refusal)]
    calls = [_call(each, context) for each in turn.parts if isinstance(each, Call)]
    if any(isinstance(each, Media) for each in turn.parts):
        talk.lost.add("messages.media")
    thoughts = [each for each in turn.parts if isinstance(each, Thought)]
    own = [each for each in thoughts if _is_own(each, context)]
    if len(own) < len(thoughts):
        talk.lost.add("thinking")
    if not said and not calls:
        return None
    message["content"] = "".join(said) if said else None
    if own:
        message["reasoning_content"] = "".join(each.text for each in own)
    if calls:
        message["tool_calls"] = calls
    return message


def _is_own(thought: Thought, context: Context) -> bool:
    seal = thought.seal
    return seal is not None and seal.origin == context.origin and seal.kind == "plain"


def _call(call: Call, context: Context) -> Json:
    told: Json = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    seal = call.seal
    if seal is not None and seal.origin == context.origin and seal.kind == "google":
        told["extra_content"] = {"google": {"thought_signature": seal.payload}}
    return told


def _tool(tool: Tool) -> Json:
    told: Json = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    told["parameters"] = tool.schema or {"type": "object", "properties": {}}
    if tool.strict is not None:
        told["strict"] = tool.strict
    return told


def _form(form: Format) -> Json:
    if form.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": named_schema(form)}


def named_schema(form: Format) -> Json:
    assert form.schema is not None
    told: Json = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        told["strict"] = form.strict and is_strict(form.schema)
    if form.description:
        told["description"] = form.description
    return told


def is_strict(schema: object) -> bool:
    """OpenAI's `strict` takes only schemas in which every field is required and no other allowed;
    Anthropic's structured output takes more."""
    if not isinstance(schema, dict):
        return True
    fields = mapping(schema.get("properties"))
    if schema.get("type") == "object" or fields:
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required") or ()) != fields.keys():
            return False
    inner = [*fields.values(), schema.get("items")]
    inner += objects(schema.get("anyOf"))
    inner += mapping(schema.get("$defs")).values()
    return all(map(is_strict, inner))
