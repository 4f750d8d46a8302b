"""A Messages request read into a conversation."""

from __future__ import annotations

from collections.abc import Callable
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
    Result,
    Text,
    Thought,
    Tool,
)
from gateway.wire.translate.reading import (
    flag,
    insisted,
    json_text,
    mapping,
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
        *("model", "stream", "system", "messages", "tools", "tool_choice", "max_tokens"),
        *("temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config"),
        *("output_format", "metadata", "service_tier"),
    }
)
_MODES: dict[object, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
}


def read(body: bytes) -> Conversation:
    fields = request_fields(body)
    if fields.get("safeguards"):
        refuse("`safeguards`")
    talk = Conversation(
        tools=_tools(fields),
        sampling=numbers(fields, ("temperature", "top_p", "top_k")),
        max_tokens=whole(fields.get("max_tokens")) or None,
        stop=words(fields.get("stop_sequences")),
        reasoning=_reasoning(fields),
        format=_format(fields),
        user=text(mapping(fields.get("metadata")).get("user_id")),
    )
    talk.lost |= {name for name, value in fields.items() if name not in _KNOWN and value}
    talk.lost |= {f"tools.{text(each.get('type'))}" for each in _vendors_own(fields)}
    _choose(talk, mapping(fields.get("tool_choice")))
    system = fields.get("system")
    talk.system = [Text(system)] if isinstance(system, str) else _texts(system)
    messages = fields.get("messages")
    if not isinstance(messages, list):
        wrong("messages: a list is needed")
    for message in objects(messages):
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            wrong(f"messages: unknown role {role!r}")
        talk.add(role, _parts(message.get("content"), talk.lost))
    return talk


def _cache(block: Json) -> Json | None:
    return mapping(block.get("cache_control")) or None


def _texts(value: object) -> list[Text]:
    return [
        Text(text(block.get("text")), _cache(block))
        for block in objects(value)
        if block.get("type") == "text"
    ]


def _parts(content: object, lost: set[str]) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Part] = []
    for block in objects(content):
        read_block = _BLOCKS.get(text(block.get("type")))
        if read_block is None:
            lost.add(f"content.{text(block.get('type'))}")
        else:
            parts += read_block(block, lost)
    return parts


def _text_block(block: Json, _: set[str]) -> list[Part]:
    return [Text(text(block.get("text")), _cache(block))]


def _media_block(block: Json, _: set[str]) -> list[Part]:
    source = mapping(block.get("source"))
    kind: Literal["image", "file"] = "image" if block["type"] == "image" else "file"
    cache = _cache(block)
    match source.get("type"):
        case "text":
            return [Text(text(source.get("data")), cache)]
        case "content":
            return [*_texts(source.get("content"))]
        case "file":
            refuse("a file of another provider (`file_id`)")
    return [
        Media(
            kind,
            text(source.get("media_type")) or ("" if kind == "image" else "application/pdf"),
            data=text(source.get("data")),
            url=text(source.get("url")),
            name=text(block.get("title")),
            cache=cache,
        )
    ]


def _call_block(block: Json, _: set[str]) -> list[Part]:
    given = json_text(mapping(block.get("input")))
    cache = _cache(block)
    return [Call(text(block.get("id")), text(block.get("name")), given, cache=cache)]


def _result_block(block: Json, lost: set[str]) -> list[Part]:
    inner = _parts(block.get("content"), lost)
    kept = [each for each in inner if isinstance(each, Text | Media)]
    name, cache = text(block.get("tool_use_id")), _cache(block)
    return [Result(name, "", kept, is_error=block.get("is_error") is True, cache=cache)]


def _thought_block(block: Json, _: set[str]) -> list[Part]:
    sealed = block.get("signature") or block.get("data")
    return [Thought(text(block.get("thinking")), opened(sealed))]


def _search_result_block(block: Json, _: set[str]) -> list[Part]:
    source = f"{text(block.get('title'))} ({text(block.get('source'))})"
    found = "\n".join(each.text for each in _texts(block.get("content")))
    return [Text(f"{source}\n{found}")]


_BLOCKS: dict[str, Callable[[Json, set[str]], list[Part]]] = {
    "text": _text_block,
    "image": _media_block,
    "document": _media_block,
    "tool_use": _call_block,
    "tool_result": _result_block,
    "thinking": _thought_block,
    "redacted_thinking": _thought_block,
    "search_result": _search_result_block,
}


def _vendors_own(fields: Json) -> list[Json]:
    """Tools without a schema: their maker's servers, or its models, know what they are."""
    return [each for each in objects(fields.get("tools")) if "input_schema" not in each]


def _tools(fields: Json) -> list[Tool]:
    return [
        Tool(
            text(each.get("name")),
            text(each.get("description")),
            mapping(each.get("input_schema")),
            strict=flag(each.get("strict")),
            cache=_cache(each),
        )
        for each in objects(fields.get("tools"))
        if "input_schema" in each
    ]


def _choose(talk: Conversation, choice: Json) -> None:
    kind = text(choice.get("type"))
    if kind == "tool":
        talk.choice = insisted(text(choice.get("name")), talk.tools)
    elif kind in _MODES:
        talk.choice = Choice(_MODES[kind])
    if (single := flag(choice.get("disable_parallel_tool_use"))) is not None:
        talk.parallel = not single


def _reasoning(fields: Json) -> Reasoning | None:
    thinking = mapping(fields.get("thinking"))
    effort = text(mapping(fields.get("output_config")).get("effort"))
    kind = thinking.get("type")
    if kind == "disabled":
        return Reasoning("none")
    if kind not in ("enabled", "adaptive"):
        return Reasoning(effort) if effort else None
    budget = whole(thinking.get("budget_tokens")) or None
    return Reasoning(effort, budget, shown=thinking.get("display") != "omitted")


def _format(fields: Json) -> Format | None:
    told = mapping(mapping(fields.get("output_config")).get("format"))
    told = told or mapping(fields.get("output_format"))
    schema = told.get("schema")
    return Format(schema, strict=True) if isinstance(schema, dict) else None
