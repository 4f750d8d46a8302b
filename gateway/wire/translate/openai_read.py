"""A chat completions request read into a conversation."""

from __future__ import annotations

from typing import Literal

from gateway.wire.translate.neutral import (
    Call,
    Choice,
    Conversation,
    Format,
    Json,
    Media,
    Part,
    Reasoning,
    Refusal,
    Result,
    Seal,
    Text,
    Thought,
    Tool,
)
from gateway.wire.translate.reading import (
    flag,
    from_url,
    insisted,
    mapping,
    number,
    numbers,
    objects,
    refuse,
    request_fields,
    text,
    whole,
    words,
    wrong,
)
from gateway.wire.translate.seals import opened

_KNOWN = frozenset(
    {
        *("model", "stream", "messages", "tools", "tool_choice", "parallel_tool_calls"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed"),
        *("presence_penalty", "frequency_penalty", "stop", "reasoning_effort", "reasoning"),
        *("response_format", "user", "safety_identifier", "metadata", "prompt_cache_key"),
        *("service_tier", "verbosity", "stream_options", "n", "modalities", "store"),
    }
)
_SAMPLING = (*("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"),)
_MODES: dict[object, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


def read(body: bytes) -> Conversation:
    fields = request_fields(body)
    _refused(fields)
    talk = Conversation(
        sampling=numbers(fields, _SAMPLING),
        max_tokens=whole(fields.get("max_completion_tokens"))
        or whole(fields.get("max_tokens"))
        or None,
        stop=words(fields.get("stop")),
        reasoning=_reasoning(fields),
        format=read_format(mapping(fields.get("response_format"))),
        parallel=flag(fields.get("parallel_tool_calls")),
        user=text(fields.get("safety_identifier")) or text(fields.get("user")),
        cache_key=text(fields.get("prompt_cache_key")),
        metadata=mapping(fields.get("metadata")),
        tier=text(fields.get("service_tier")),
        verbosity=text(fields.get("verbosity")),
        usage_in_stream=bool(mapping(fields.get("stream_options")).get("include_usage")),
    )
    talk.lost |= {name for name, value in fields.items() if name not in _KNOWN and value}
    if fields.get("store") is True:
        talk.lost.add("store")
    for each in objects(fields.get("tools")):
        _tool(each, talk)
    talk.choice = _choice(fields.get("tool_choice"), talk)
    messages = fields.get("messages")
    if not isinstance(messages, list):
        wrong("messages: a list is needed")
    for message in objects(messages):
        _message(message, talk)
    return talk


def _refused(fields: Json) -> None:
    if (number(fields.get("n")) or 1) > 1:
        refuse("several answers at once (`n`)")
    if "audio" in words(fields.get("modalities")):
        refuse("answers as sound (`modalities`)")
    if fields.get("functions"):
        refuse("`functions`; please use `tools`")


def _message(message: Json, talk: Conversation) -> None:
    role, content = message.get("role"), message.get("content")
    match role:
        case "system" | "developer":
            texts = [each for each in _parts(content) if isinstance(each, Text)]
            if talk.turns:
                talk.add("system", [*texts])
            else:
                talk.system += texts
        case "user":
            talk.add("user", _parts(content))
        case "tool":
            kept = [each for each in _parts(content) if isinstance(each, Text | Media)]
            result = Result(text(message.get("tool_call_id")), text(message.get("name")), kept)
            talk.add("user", [result])
        case "assistant":
            talk.add("assistant", _assistant(message, talk.lost))
        case _:
            wrong(f"messages: unknown role {role!r}")


def _assistant(message: Json, lost: set[str]) -> list[Part]:
    parts = [*read_thoughts(message), *_parts(message.get("content"))]
    if refusal := text(message.get("refusal")):
        parts.append(Refusal(refusal))
    parts += read_calls(message)
    if message.get("audio"):
        lost.add("messages.audio")
    return parts


def read_thoughts(message: Json, origin: str = "") -> list[Part]:
    """Signed thoughts, under litellm's name for them; else the plain ones: those are readable by
    whoever made them, which is `origin`."""
    signed: list[Part] = [
        Thought(text(block.get("thinking")), opened(block.get("signature")))
        for block in objects(message.get("thinking_blocks"))
    ]
    if signed:
        return signed
    told = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    return [Thought(told, Seal(origin, "plain") if origin else None)] if told else []


def read_calls(message: Json) -> list[Part]:
    calls: list[Part] = []
    for call in objects(message.get("tool_calls")):
        told = mapping(call.get("function"))
        google = mapping(mapping(call.get("extra_content")).get("google"))
        calls.append(
            Call(
                text(call.get("id")),
                text(told.get("name")),
                text(told.get("arguments")) or "{}",
                seal=opened(google.get("thought_signature")),
            )
        )
    return calls


def _parts(content: object) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [part for each in objects(content) if (part := _part(each)) is not None]


def _part(part: Json) -> Part | None:
    match part.get("type"):
        case "text":
            return Text(text(part.get("text")), mapping(part.get("cache_control")) or None)
        case "refusal":
            return Refusal(text(part.get("refusal")))
        case "image_url":
            told = mapping(part.get("image_url"))
            image = from_url("image", text(told.get("url")), detail=text(told.get("detail")))
            image.cache = mapping(part.get("cache_control")) or None
            return image
        case "input_audio":
            sound = mapping(part.get("input_audio"))
            media_type = f"audio/{text(sound.get('format')) or 'wav'}"
            return Media("audio", media_type, data=text(sound.get("data")))
        case "file":
            return _file(mapping(part.get("file")))
        case "thinking":  # Mistral's
            return None
    return refuse(f"content of the type {part.get('type')!r}")


def _file(told: Json) -> Media:
    if told.get("file_id"):
        refuse("a file of another provider (`file_id`)")
    data, name = text(told.get("file_data")), text(told.get("filename"))
    if not data.startswith(("data:", "http")):
        return Media("file", "application/pdf", data=data, name=name)
    return from_url("file", data, name=name)


def _tool(tool: Json, talk: Conversation) -> None:
    if tool.get("type") != "function":
        talk.lost.add(f"tools.{text(tool.get('type'))}")
        return
    told = mapping(tool.get("function"))
    talk.tools.append(
        Tool(
            text(told.get("name")),
            text(told.get("description")),
            mapping(told.get("parameters")),
            strict=flag(told.get("strict")),
            cache=mapping(tool.get("cache_control")) or None,
        )
    )


def _choice(value: object, talk: Conversation) -> Choice | None:
    if isinstance(value, str):
        mode = _MODES.get(value)
        return Choice(mode) if mode else None
    told = mapping(value)
    if told.get("type") == "allowed_tools":
        allowed = mapping(told.get("allowed_tools"))
        names = [
            mapping(each.get("function")).get("name") for each in objects(allowed.get("tools"))
        ]
        talk.tools = [tool for tool in talk.tools if tool.name in names]
        return Choice(_MODES.get(text(allowed.get("mode")), "auto"))
    name = text(mapping(told.get("function")).get("name"))
    return insisted(name, talk.tools) if told else None


def _reasoning(fields: Json) -> Reasoning | None:
    """`reasoning` is OpenRouter's."""
    more = mapping(fields.get("reasoning"))
    effort = text(fields.get("reasoning_effort")) or text(more.get("effort"))
    budget = whole(more.get("max_tokens")) or None
    if more.get("enabled") is False:
        return Reasoning("none")
    return Reasoning(effort, budget, shown=True) if effort or budget else None


def read_format(told: Json) -> Format | None:
    """Chat has the schema one level deeper than Responses."""
    kind = told.get("type")
    if kind == "json_object":
        return Format()
    if kind != "json_schema":
        return None
    inner = mapping(told.get("json_schema")) or told
    return Format(
        mapping(inner.get("schema")),
        text(inner.get("name")) or "answer",
        flag(inner.get("strict")),
        text(inner.get("description")),
    )
