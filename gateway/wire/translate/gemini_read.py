"""A Gemini generateContent request read into a conversation.

Google's servers take names in snake_case as well, and some clients use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gateway.wire.translate.neutral import (
    Call,
    Choice,
    Conversation,
    Format,
    Json,
    Media,
    MediaKind,
    Part,
    Reasoning,
    Result,
    Text,
    Thought,
    Tool,
)
from gateway.wire.translate.reading import (
    json_text,
    made_id,
    mapping,
    number,
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
        *("model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig"),
        *("safetySettings", "labels", "cachedContent"),
    }
)
_CONFIG = frozenset(
    {
        *("temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty"),
        *("maxOutputTokens", "stopSequences", "thinkingConfig", "responseMimeType"),
        *("responseSchema", "responseJsonSchema", "candidateCount", "responseModalities"),
    }
)
_SAMPLING = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_MODES: dict[object, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
_MEDIA: dict[str, MediaKind] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
}
_SCHEMA_MAPS = ("properties", "$defs", "defs")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA_ONE = ("items", "additionalProperties")


def read(body: bytes) -> Conversation:
    fields = camel(request_fields(body))
    if fields.get("cachedContent"):
        refuse("`cachedContent`")
    config = camel(mapping(fields.get("generationConfig")))
    if (number(config.get("candidateCount")) or 1) > 1:
        refuse("several answers at once (`candidateCount`)")
    if {each.upper() for each in words(config.get("responseModalities"))} - {"TEXT"}:
        refuse("answers other than text (`responseModalities`)")
    talk = Conversation(
        sampling={
            name: value
            for theirs, name in _SAMPLING.items()
            if (value := number(config.get(theirs))) is not None
        },
        max_tokens=whole(config.get("maxOutputTokens")) or None,
        stop=words(config.get("stopSequences")),
        reasoning=_reasoning(camel(mapping(config.get("thinkingConfig")))),
        format=_format(config),
        usage_in_stream=True,
    )
    talk.lost |= {name for name, value in fields.items() if name not in _KNOWN and value}
    talk.lost |= {name for name, value in config.items() if name not in _CONFIG and value}
    talk.lost |= {name for name in ("safetySettings", "labels") if fields.get(name)}
    for tool in objects(fields.get("tools")):
        _tools(camel(tool), talk)
    _choose(talk, camel(mapping(fields.get("toolConfig"))))
    system = mapping(fields.get("systemInstruction"))
    talk.system = [Text(text(part.get("text"))) for part in objects(system.get("parts"))]
    if not isinstance(fields.get("contents"), list):
        wrong("contents: a list is needed")
    _Turns(talk).read(objects(fields["contents"]))
    return talk


class _Turns:
    """Reads the turns, and finds which call a result belongs to: Gemini's ids are optional."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._open: list[Call] = []
        """Calls without a result."""
        self._calls = 0

    def read(self, contents: list[Json]) -> None:
        for content in contents:
            role: Literal["user", "assistant"]
            role = "assistant" if content.get("role") == "model" else "user"
            for part in objects(content.get("parts")):
                self._talk.add(role, list(self._part(camel(part))))

    def _part(self, part: Json) -> Iterator[Part]:
        if isinstance(part.get("text"), str):
            if part.get("thought"):
                yield Thought(part["text"], opened(part.get("thoughtSignature")))
            else:
                yield Text(part["text"])
        elif "functionCall" in part:
            yield self._call(mapping(part["functionCall"]), part)
        elif "functionResponse" in part:
            yield self._result(mapping(part["functionResponse"]))
        elif "inlineData" in part or "fileData" in part:
            yield read_media(part)
        else:
            self._talk.lost |= {f"parts.{name}" for name in part}

    def _call(self, told: Json, part: Json) -> Call:
        self._calls += 1
        name = text(told.get("name"))
        # Counted from the beginning, which never changes: so the id is the same in every turn.
        own_id = text(told.get("id")) or made_id("call_", self._calls, name)
        seal = opened(part.get("thoughtSignature"))
        call = Call(own_id, name, json_text(mapping(told.get("args"))), seal=seal)
        self._open.append(call)
        return call

    def _result(self, told: Json) -> Result:
        own_id, name = text(told.get("id")), text(told.get("name"))
        found = next((each for each in self._open if own_id and each.id == own_id), None)
        found = found or next((each for each in self._open if each.name == name), None)
        if found is not None:
            self._open.remove(found)
            own_id = found.id
        response = mapping(told.get("response"))
        parts: list[Text | Media] = [Text(_said(response))]
        parts += [read_media(camel(each)) for each in objects(told.get("parts"))]
        return Result(own_id, name, parts, is_error="error" in response)


def _said(response: Json) -> str:
    """The convention is one of `output` and `error`; anything else is the result itself."""
    if len(response) == 1:
        [value] = response.values()
        if isinstance(value, str) and response.keys() & {"output", "error", "result", "content"}:
            return value
    return json_text(response)


def read_media(part: Json) -> Media:
    told = camel(mapping(part.get("inlineData")) or mapping(part.get("fileData")))
    media_type = text(told.get("mimeType"))
    kind = _MEDIA.get(media_type.partition("/")[0], "file")
    url = text(told.get("fileUri"))
    if url.startswith("https://generativelanguage.googleapis.com/"):
        refuse("a file of another provider (`fileUri`)")
    if url.startswith("gs://"):
        refuse("a file in Google's storage (`fileUri`)")
    return Media(kind, media_type, data=text(told.get("data")), url=url)


def _tools(tool: Json, talk: Conversation) -> None:
    for each in map(camel, objects(tool.get("functionDeclarations"))):
        schema = each.get("parametersJsonSchema")
        if not isinstance(schema, dict):
            schema = mapping(json_schema(each.get("parameters")))
        talk.tools.append(Tool(text(each.get("name")), text(each.get("description")), schema))
    talk.lost |= {f"tools.{name}" for name in tool if name != "functionDeclarations"}


def _choose(talk: Conversation, config: Json) -> None:
    told = camel(mapping(config.get("functionCallingConfig")))
    mode = _MODES.get(text(told.get("mode")).upper())
    allowed = words(told.get("allowedFunctionNames"))
    if allowed:
        talk.tools = [tool for tool in talk.tools if tool.name in allowed]
    if mode == "required" and len(allowed) == 1 and talk.tools:
        talk.choice = Choice("named", allowed[0])
    elif mode:
        talk.choice = Choice(mode)


def _reasoning(told: Json) -> Reasoning | None:
    if not told:
        return None
    shown = told.get("includeThoughts") is True
    level = text(told.get("thinkingLevel")).lower()
    budget = number(told.get("thinkingBudget"))
    if budget is None or budget < 0:  # -1: as the model likes.
        return Reasoning(level, shown=shown)
    return Reasoning(level, int(budget), shown=shown)


def _format(config: Json) -> Format | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema = config.get("responseJsonSchema") or json_schema(config.get("responseSchema"))
    return Format(schema if isinstance(schema, dict) else None, strict=False)


def json_schema(schema: object) -> object:
    """Google's own form of a schema (types in capitals, `nullable`) as JSON Schema."""
    if not isinstance(schema, dict):
        return schema
    made: Json = {}
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            made[name] = value.lower()
        elif name in _SCHEMA_MAPS:
            made[name] = {key: json_schema(inner) for key, inner in mapping(value).items()}
        elif name in _SCHEMA_LISTS or name == "any_of":
            key = "anyOf" if name == "any_of" else name
            made[key] = [json_schema(inner) for inner in objects(value)]
        elif name in _SCHEMA_ONE:
            made[name] = json_schema(value)
        elif name in ("minItems", "maxItems", "minLength", "maxLength") and isinstance(value, str):
            made[name] = int(value) if value.isdigit() else value  # int64 travels as a string.
        elif name not in ("nullable", "propertyOrdering"):
            made[name] = value
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def camel(message: Json) -> Json:
    """With the names of this level in camelCase."""
    if not any("_" in name for name in message):
        return message
    return {_camel(name): value for name, value in message.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)
