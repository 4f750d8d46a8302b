"""A conversation written as a Messages request."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

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
from gateway.wire.translate.reading import json_object, refuse

OLD_VERSION = "2023-06-01"
WITHOUT_SAMPLING = "2026-10-21"
"""From this version on `temperature`, `top_p` and `top_k` are refused."""
THINKING_TOKENS_MIN = 1024
CACHE_MARKS_MAX = 4
"""More are refused; those nearest to the end are worth most."""

_MODES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_SAMPLING = ("temperature", "top_p", "top_k")
_EFFORTS = {"minimal": "low", "xhigh": "high"}
_BEGINNING = "(The conversation goes on.)"
"""Anthropic wants a user to speak first."""


def write(talk: Conversation, context: Context, *, model: str, version: str) -> Json:
    body: Json = {"model": model, "max_tokens": talk.max_tokens or models.claude_max_tokens(model)}
    system = [_text(each) for each in talk.system if each.text.strip()]
    if system:
        plain = len(system) == 1 and "cache_control" not in system[0]
        body["system"] = system[0]["text"] if plain else system
    body["messages"] = _messages(talk, context)
    if talk.tools:
        body["tools"] = [_tool(each, talk.lost) for each in talk.tools]
        if choice := _choice(talk):
            body["tool_choice"] = choice
    if talk.stop:
        body["stop_sequences"] = [each for each in talk.stop if each.strip()]
    if talk.user:
        body["metadata"] = {"user_id": talk.user}
    _think(body, talk, model)
    _sample(body, talk, version)
    _form(body, talk)
    _mark_few(body)
    talk.lost |= {
        name
        for name, value in (
            ("service_tier", talk.tier),
            ("verbosity", talk.verbosity),
            ("metadata", talk.metadata),
        )
        if value
    }
    return body


def _messages(talk: Conversation, context: Context) -> list[Json]:
    messages: list[Json] = []
    for turn in talk.turns:
        role = "assistant" if turn.role == "assistant" else "user"
        if turn.role == "system":
            talk.lost.add("messages.role=system")
        blocks = list(_blocks(turn, talk, context))
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": _BEGINNING}]})
    if messages and messages[-1]["role"] == "assistant":
        last = messages[-1]["content"][-1]
        if last["type"] == "text":  # To be continued by the model; no white space may end it.
            last["text"] = last["text"].rstrip()
    return messages


def _blocks(turn: Turn, talk: Conversation, context: Context) -> Iterable[Json]:
    for part in turn.parts:
        match part:
            case Text() | Refusal():
                if part.text.strip():
                    yield _text(part)
            case Media():
                yield _media(part)
            case Call():
                given = json_object(part.arguments)
                yield _cached(
                    {"type": "tool_use", "id": part.id, "name": part.name, "input": given}, part
                )
            case Result():
                yield _result(part)
            case Thought():
                block = _thought(part, context)
                if block is None:
                    talk.lost.add("thinking")
                else:
                    yield block


def _text(part: Text | Refusal) -> Json:
    return _cached({"type": "text", "text": part.text}, part)


def _cached(block: Json, part: Part | Tool) -> Json:
    cache = getattr(part, "cache", None)
    if cache:
        block["cache_control"] = cache
    return block


def _media(media: Media) -> Json:
    if media.kind in ("audio", "video"):
        refuse(f"{media.kind}")
    if media.kind == "file" and media.media_type.startswith("text/") and media.data:
        try:
            told = base64.b64decode(media.data).decode()
        except (ValueError, binascii.Error):
            refuse("a text that is not UTF-8 in base64")
        source: Json = {"type": "text", "media_type": "text/plain", "data": told}
    elif media.url:
        source = {"type": "url", "url": media.url}
    else:
        media_type = media.media_type or ("image/png" if media.kind == "image" else "")
        if media.kind == "file" and media_type != "application/pdf":
            refuse(f"a file of the type {media_type!r}")
        source = {"type": "base64", "media_type": media_type, "data": media.data}
    block: Json = {"type": "image" if media.kind == "image" else "document", "source": source}
    if media.kind == "file" and media.name:
        block["title"] = media.name
    return _cached(block, media)


def _result(result: Result) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": result.id}
    content = [
        _text(each) if isinstance(each, Text) else _media(each)
        for each in result.parts
        if not isinstance(each, Text) or each.text.strip()
    ]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    if result.is_error:
        block["is_error"] = True
    return _cached(block, result)


def _thought(thought: Thought, context: Context) -> Json | None:
    """Only what this very origin signed: it refuses all else."""
    seal = thought.seal
    if seal is None or seal.origin != context.origin:
        return None
    if seal.kind == "redacted":
        return {"type": "redacted_thinking", "data": seal.payload}
    if seal.kind == "thinking" and seal.payload:
        return {"type": "thinking", "thinking": thought.text, "signature": seal.payload}
    return None


def _tool(tool: Tool, lost: set[str]) -> Json:
    if tool.strict:
        lost.add("tools.strict")
    told: Json = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    schema = tool.schema
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    told["input_schema"] = schema if "properties" in schema else {**schema, "properties": {}}
    return _cached(told, tool)


def _choice(talk: Conversation) -> Json:
    choice: Json = {}
    if talk.choice is not None:
        choice["type"] = _MODES[talk.choice.mode]
        if talk.choice.mode == "named":
            choice["name"] = talk.choice.name
    if talk.parallel is False and choice.get("type") != "none":
        choice.setdefault("type", "auto")
        choice["disable_parallel_tool_use"] = True
    return choice


def _think(body: Json, talk: Conversation, model: str) -> None:
    asked = talk.reasoning
    if asked is None or not models.claude_thinks(model):
        if asked is not None and not asked.off:
            talk.lost.add("reasoning")
        return
    if asked.off:
        body["thinking"] = {"type": "disabled"}
        return
    forced = talk.choice is not None and talk.choice.mode in ("required", "named")
    if forced:
        talk.lost.add("reasoning")
        return
    if models.claude_adapts(model):
        body["thinking"] = {"type": "adaptive"}
        if asked.shown:
            body["thinking"]["display"] = "summarized"
        if effort := models.effort_of(asked.effort, asked.budget):
            body["output_config"] = {"effort": _EFFORTS.get(effort, effort)}
        return
    budget = max(models.budget_of(asked.effort, asked.budget), THINKING_TOKENS_MIN)
    budget = min(budget, body["max_tokens"] - 1)
    if budget < THINKING_TOKENS_MIN or _answers_without_thought(body["messages"]):
        talk.lost.add("reasoning")
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _answers_without_thought(messages: list[Json]) -> bool:
    """The calls that are being answered have lost their thought, without which no thinking on a
    budget may go on: this one turn does without."""
    if len(messages) < 2 or messages[-1]["content"][0]["type"] != "tool_result":
        return False
    return not messages[-2]["content"][0]["type"].endswith("thinking")


def _sample(body: Json, talk: Conversation, version: str) -> None:
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    given = dict(talk.sampling)
    talk.lost |= given.keys() - set(_SAMPLING)
    kept: Json = {name: given[name] for name in _SAMPLING if name in given}
    if kept and (thinks or version >= WITHOUT_SAMPLING):
        talk.lost |= kept.keys()
        return
    if "temperature" in kept and "top_p" in kept:  # Newer models take one of the two.
        del kept["top_p"]
        talk.lost.add("top_p")
    if kept.get("temperature", 0) > 1:
        kept["temperature"] = 1
        talk.lost.add("temperature")
    body.update(kept)


def _form(body: Json, talk: Conversation) -> None:
    if talk.format is None:
        return
    if talk.format.schema is None:
        talk.lost.add("response_format")
        return
    form = {"type": "json_schema", "schema": talk.format.schema}
    body["output_config"] = {**body.get("output_config", {}), "format": form}


def _mark_few(body: Json) -> None:
    """Takes the first cache marks away where there are more than may be."""
    holders: list[Json] = [*body.get("tools", [])]
    if isinstance(body.get("system"), list):
        holders += body["system"]
    for message in body["messages"]:
        for block in message["content"]:
            holders.append(block)
            if isinstance(block.get("content"), list):
                holders += block["content"]
    marked = [each for each in holders if "cache_control" in each]
    for each in marked[:-CACHE_MARKS_MAX]:
        del each["cache_control"]
