"""What a request to a simulated provider asks for, in whichever dialect it is written. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

from gateway.config import Simulated
from gateway.upstream.base import Outgoing
from gateway.upstream.simulated_answers import ToolCall

CHAT_PATHS = (
    "/chat/completions",
    "/responses",
    "/messages",
    ":generateContent",
    ":streamGenerateContent",
)
COUNT_PATHS = ("/count_tokens", ":countTokens")
EMBEDDING_PATHS = {
    "/embeddings": "input",
    ":embedContent": "content",
    ":batchEmbedContents": "requests",
}
"""And the field with what is to be embedded."""
BYTES_PER_TOKEN = 4
"""The usual rule of thumb, of the request's whole body."""
PROMPT_TOKENS = "simulated_prompt_tokens"
"""Entry of a request's `metadata`: the size of the large prompt that a dry run's small one plays."""
PROMPT_DIGITS_MAX = 8
"""Of that number; no prompt is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request and what the answer to it is made from."""

    outgoing: Outgoing
    script: Simulated
    fields: Mapping[str, Any]
    request_id: str
    created: int
    """Unix seconds."""
    cached_tokens: int = 0
    """Of the prompt, read from the provider's cache."""

    @property
    def dialect(self) -> str:
        return self.outgoing.dialect

    @property
    def chat(self) -> bool:
        """Not embeddings, not a count."""
        return self.outgoing.path.endswith(CHAT_PATHS)

    @property
    def streams(self) -> bool:
        if self.dialect == "gemini":
            return self.outgoing.path.endswith(":streamGenerateContent")
        return self.chat and self.fields.get("stream") is True

    @property
    def input_tokens(self) -> int:
        """As counted; as the request itself says where it stands for a larger one."""
        metadata = self.fields.get("metadata")
        stated = metadata.get(PROMPT_TOKENS) if isinstance(metadata, dict) else None
        if isinstance(stated, str) and stated.isascii() and stated.isdecimal():
            return max(1, int(stated[:PROMPT_DIGITS_MAX]))
        return max(1, len(self.outgoing.body) // BYTES_PER_TOKEN)

    @property
    def cache_key(self) -> str:
        """Under which the client wants its prompt cached; empty if it asks for no caching."""
        key = self.fields.get("prompt_cache_key")
        return key if isinstance(key, str) and self.chat else ""

    def rng(self) -> Random:
        """Of the answer's text: the same request gets the same words."""
        return Random(f"{self.script.seed} {crc32(self.outgoing.body)}")


def read(outgoing: Outgoing, *, request_id: str, created: int) -> Asked:
    try:
        fields = json.loads(outgoing.body)
    except (ValueError, RecursionError):
        fields = None
    return Asked(
        outgoing=outgoing,
        script=outgoing.provider.simulated,
        fields=fields if isinstance(fields, dict) else {},
        request_id=request_id,
        created=created,
    )


def problem(asked: Asked) -> str:
    """What is wrong with the request, in a sentence; empty if it can be answered."""
    path, fields = asked.outgoing.path, asked.fields
    for ending, name in EMBEDDING_PATHS.items():
        if path.endswith(ending):
            return "" if fields.get(name) else f"{name!r} is a required property"
    if not asked.chat and not path.endswith(COUNT_PATHS):
        return f"Unknown request URL: POST {path}"
    if asked.dialect == "responses":
        return "" if fields.get("input") else "Missing required parameter: 'input'."
    if asked.dialect == "gemini":
        whole = fields.get("generateContentRequest")
        given = whole.get("contents") if isinstance(whole, dict) else fields.get("contents")
        return (
            "" if items(given) else "* GenerateContentRequest.contents: contents is not specified"
        )
    if not items(fields.get("messages")):
        return "messages: at least one message is required"
    if asked.dialect == "anthropic" and asked.chat and not limit(fields):
        return "max_tokens: Field required"
    return ""


def limit(fields: Mapping[str, Any]) -> int | None:
    """The most tokens that the answer may have; None if nothing is said."""
    config = fields.get("generationConfig")
    of_gemini = config.get("maxOutputTokens") if isinstance(config, dict) else None
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
    for value in (of_gemini, *(fields.get(name) for name in names)):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def tool_call(fields: Mapping[str, Any], rng: Random) -> ToolCall | None:
    """As an agent's model does: a tool is called for each turn of a user, and then it answers."""
    tools = [_tool(each) for each in _declared(fields)]
    tools = [tool for tool in tools if tool.get("name")]
    choice = fields.get("tool_choice")
    mode = choice.get("type") if isinstance(choice, dict) else choice or _mode(fields)
    if not tools or mode == "none" or _answers_a_tool(fields):
        return None
    named = _tool(choice).get("name")
    tool = next((each for each in tools if each["name"] == named), tools[0])
    schemas = ("parameters", "input_schema", "parametersJsonSchema")
    schema = next((tool[name] for name in schemas if tool.get(name)), None)
    return ToolCall(
        call_id=f"{rng.getrandbits(48):012x}",
        name=str(tool["name"]),
        arguments=json.dumps(_arguments(schema)),
    )


def _declared(fields: Mapping[str, Any]) -> Iterator[Any]:
    """Gemini's tools are lists of functions within a list."""
    for each in items(fields.get("tools")):
        functions = each.get("functionDeclarations") if isinstance(each, dict) else None
        yield from [each] if functions is None else items(functions)


def _mode(fields: Mapping[str, Any]) -> str:
    """Gemini's word on calling tools."""
    config = fields.get("toolConfig")
    inner = config.get("functionCallingConfig") if isinstance(config, dict) else None
    mode = inner.get("mode") if isinstance(inner, dict) else None
    return mode.lower() if isinstance(mode, str) else ""


def _tool(value: object) -> Mapping[str, Any]:
    """OpenAI puts name and schema into `function`, Anthropic writes them flat."""
    if not isinstance(value, dict):
        return {}
    inner = value.get("function")
    return inner if isinstance(inner, dict) else value


def _answers_a_tool(fields: Mapping[str, Any]) -> bool:
    given = (fields.get(name) for name in ("messages", "input", "contents"))
    turns = next((items(each) for each in given if items(each)), ())
    last = turns[-1] if turns else None
    if not isinstance(last, dict):
        return False
    parts = [*items(last.get("content")), *items(last.get("parts"))]
    known = [part for part in parts if isinstance(part, dict)]
    return (
        last.get("role") == "tool"
        or last.get("type") == "function_call_output"
        or any(part.get("type") == "tool_result" or "functionResponse" in part for part in known)
    )


_SAMPLES: Mapping[object, object] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
}


def _arguments(schema: object) -> dict[str, object]:
    """A value for each required property; a text where the schema asks for nothing else."""
    fields = schema if isinstance(schema, dict) else {}
    known = fields.get("properties")
    properties = known if isinstance(known, dict) else {}
    made: dict[str, object] = {}
    for name in items(fields.get("required")):
        wanted = properties.get(name)
        kind = wanted.get("type") if isinstance(wanted, dict) else "string"
        made[str(name)] = _SAMPLES.get(kind if isinstance(kind, str) else "", "harbour")
    return made


def items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
