"""A Responses request read into a conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.wire.translate.neutral import (
    Call,
    Choice,
    Conversation,
    Json,
    Media,
    Part,
    Reasoning,
    Refusal,
    Result,
    Text,
    Thought,
    Tool,
)
from gateway.wire.translate.openai_read import read_format
from gateway.wire.translate.reading import (
    flag,
    from_url,
    insisted,
    mapping,
    numbers,
    objects,
    refuse,
    request_fields,
    text,
    whole,
    wrong,
)
from gateway.wire.translate.seals import opened

_KNOWN = frozenset(
    {
        *("model", "stream", "input", "instructions", "tools", "tool_choice", "temperature"),
        *("parallel_tool_calls", "max_output_tokens", "top_p", "reasoning", "text", "user"),
        *("safety_identifier", "metadata", "prompt_cache_key", "service_tier", "store"),
        *("include", "stream_options", "client_metadata", "truncation"),
    }
)
_ELSEWHERE = ("previous_response_id", "conversation", "prompt", "background")
"""They speak of what the provider that kept it has, and nobody else."""
_MODES: dict[object, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


def read(body: bytes) -> Conversation:
    fields = request_fields(body)
    for name in _ELSEWHERE:
        if fields.get(name):
            refuse(f"`{name}`")
    told = mapping(fields.get("text"))
    talk = Conversation(
        sampling=numbers(fields, ("temperature", "top_p")),
        max_tokens=whole(fields.get("max_output_tokens")) or None,
        reasoning=_reasoning(mapping(fields.get("reasoning"))),
        format=read_format(mapping(told.get("format"))),
        verbosity=text(told.get("verbosity")),
        parallel=flag(fields.get("parallel_tool_calls")),
        user=text(fields.get("safety_identifier")) or text(fields.get("user")),
        cache_key=text(fields.get("prompt_cache_key")),
        metadata=mapping(fields.get("metadata")),
        tier=text(fields.get("service_tier")),
        usage_in_stream=True,
    )
    talk.lost |= {name for name, value in fields.items() if name not in _KNOWN and value}
    if fields.get("store") is True:
        talk.lost.add("store")
    if fields.get("truncation") == "auto":
        talk.lost.add("truncation")
    for tool in objects(fields.get("tools")):
        _tool(tool, talk)
    talk.choice = _choice(fields.get("tool_choice"), talk)
    if instructions := text(fields.get("instructions")):
        talk.system.append(Text(instructions))
    _read_input(fields.get("input"), talk)
    return talk


def _read_input(value: object, talk: Conversation) -> None:
    if isinstance(value, str):
        talk.add("user", [Text(value)])
        return
    if not isinstance(value, list):
        wrong("input: a string or a list is needed")
    for item in objects(value):
        kind = text(item.get("type")) or "message"
        read_item = _ITEMS.get(kind)
        if read_item is not None:
            read_item(item, talk)
        elif kind == "item_reference":
            refuse("`item_reference`")
        else:
            talk.lost.add(f"input.{kind}")


def _message(item: Json, talk: Conversation) -> None:
    role = item.get("role")
    parts = _parts(item.get("content"))
    match role:
        case "system" | "developer":
            if talk.turns:
                talk.add("system", parts)
            else:
                talk.system += [each for each in parts if isinstance(each, Text)]
        case "user" | "assistant":
            talk.add(role, parts)
        case _:
            wrong(f"input: unknown role {role!r}")


def _call(item: Json, talk: Conversation) -> None:
    custom = item.get("type") == "custom_tool_call"
    given = text(item.get("input" if custom else "arguments"))
    given = given if custom else given or "{}"
    talk.add(
        "assistant",
        [Call(text(item.get("call_id")), text(item.get("name")), given, custom=custom)],
    )


def _result(item: Json, talk: Conversation) -> None:
    custom = item.get("type") == "custom_tool_call_output"
    kept = [each for each in _parts(item.get("output")) if isinstance(each, Text | Media)]
    talk.add("user", [Result(text(item.get("call_id")), "", kept, custom=custom)])


def _thought(item: Json, talk: Conversation) -> None:
    told = [text(each.get("text")) for each in objects(item.get("summary"))]
    sealed = opened(item.get("encrypted_content"))
    talk.add("assistant", [Thought("\n\n".join(told), sealed)])


_ITEMS: dict[str, Callable[[Json, Conversation], None]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _thought,
}


def _parts(content: object) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_part(each) for each in objects(content)]


def _part(part: Json) -> Part:
    match part.get("type"):
        case "input_text" | "output_text" | "text" | "summary_text":
            return Text(text(part.get("text")), mapping(part.get("cache_control")) or None)
        case "refusal":
            return Refusal(text(part.get("refusal")))
        case "input_image" if not part.get("file_id"):
            url, detail = text(part.get("image_url")), text(part.get("detail"))
            return from_url("image", url, detail=detail)
        case "input_file" if not part.get("file_id"):
            return _file(part)
        case "input_audio":
            sound = mapping(part.get("input_audio"))
            media_type = f"audio/{text(sound.get('format')) or 'wav'}"
            return Media("audio", media_type, data=text(sound.get("data")))
    if part.get("file_id"):
        refuse("a file of another provider (`file_id`)")
    return refuse(f"content of the type {part.get('type')!r}")


def _file(part: Json) -> Media:
    name, data = text(part.get("filename")), text(part.get("file_data"))
    if url := text(part.get("file_url")):
        return Media("file", url=url, name=name)
    if data.startswith("data:"):
        return from_url("file", data, name=name)
    return Media("file", "application/pdf", data=data, name=name)


def _tool(tool: Json, talk: Conversation) -> None:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        talk.lost.add(f"tools.{text(kind)}")
        return
    talk.tools.append(
        Tool(
            text(tool.get("name")),
            text(tool.get("description")) + _grammar(tool),
            mapping(tool.get("parameters")),
            strict=flag(tool.get("strict")),
            custom=kind == "custom",
        )
    )


def _grammar(tool: Json) -> str:
    """A custom tool's grammar binds elsewhere nobody; as a text it still instructs."""
    definition = text(mapping(tool.get("format")).get("definition"))
    return f"\n\nIts input follows this grammar:\n{definition}" if definition else ""


def _choice(value: object, talk: Conversation) -> Choice | None:
    if isinstance(value, str):
        mode = _MODES.get(value)
        return Choice(mode) if mode else None
    told = mapping(value)
    if told.get("type") == "allowed_tools":
        names = [each.get("name") for each in objects(told.get("tools"))]
        talk.tools = [tool for tool in talk.tools if tool.name in names]
        return Choice(_MODES.get(text(told.get("mode")), "auto"))
    name = text(told.get("name")) or text(told.get("type"))
    return insisted(name, talk.tools) if told else None


def _reasoning(told: Json) -> Reasoning | None:
    effort, shown = text(told.get("effort")), bool(told.get("summary"))
    return Reasoning(effort, shown=shown) if effort or shown else None
