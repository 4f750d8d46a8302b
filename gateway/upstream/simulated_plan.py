"""What a simulated provider will do with one request, decided before it does anything.

Pure: a `Plan` says after which waits which bytes come and how it ends; `simulated` plays it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from zlib import crc32

from gateway.config import Simulated, Weather
from gateway.events import Failure
from gateway.upstream import simulated_answers as answers
from gateway.upstream.base import Outgoing, UpstreamFailure
from gateway.upstream.simulated_answers import Frames, Said, ToolCall
from gateway.upstream.simulated_failures import HTML_PAGE, Refused, inner_error, refused

SILENCE_SECONDS = 3600.0
"""How long a provider hangs: longer than any clock of the gateway."""
REFUSAL_SECONDS = 0.03
"""Refusals come fast."""
BYTES_PER_TOKEN = 4
"""The usual rule of thumb, of the request's whole body."""
ANSWER_TOKENS_MAX = 20_000
"""However many a configuration asks for: an answer is built whole before it is paced."""
PROMPT_TOKENS = "simulated_prompt_tokens"
"""Entry of a request's `metadata`: the size of the large prompt that a dry run's small one plays."""
PROMPT_DIGITS_MAX = 8
"""Of that number; no prompt is larger."""

SILENT = frozenset({Failure.FIRST_CONTENT_TIMEOUT, Failure.CANCELLED, Failure.DEADLINE})
"""Whoever gives up first, the provider's part is the same: it says nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    wait_seconds: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    headers_after_seconds: float = 0.0
    unanswered: UpstreamFailure | None = None
    """Raised in place of an answer."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    broken: UpstreamFailure | None = None
    """Raised behind the last step; None = the body ends properly."""


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
        return self.outgoing.path.endswith(("/chat/completions", "/messages"))

    @property
    def streams(self) -> bool:
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


def plan(asked: Asked, *, failure: Failure | None, weather: Weather | None, rng: Random) -> Plan:
    """`weather` gives the pace and the stated time; `failure` is what has been drawn of it."""
    paced = _paced(asked, weather)
    if failure is None:
        problem = _problem(asked)
        return _good(paced) if not problem else refusal(asked, Failure.BAD_REQUEST, message=problem)
    stated = weather.retry_after_seconds if weather is not None else None
    said = refused(
        failure,
        asked.dialect,
        model=asked.outgoing.model,
        request_id=asked.request_id,
        retry_after_seconds=stated,
    )
    return _refusal(asked, said) if said is not None else _failing(paced, failure, rng)


def refusal(
    asked: Asked,
    failure: Failure,
    *,
    retry_after_seconds: float | None = None,
    message: str = "",
) -> Plan:
    """An error answer; `failure` must be one that comes with a status."""
    said = refused(
        failure,
        asked.dialect,
        model=asked.outgoing.model,
        request_id=asked.request_id,
        retry_after_seconds=retry_after_seconds,
        message=message,
    )
    assert said is not None
    return _refusal(asked, said)


def _refusal(asked: Asked, said: Refused) -> Plan:
    return Plan(
        headers_after_seconds=REFUSAL_SECONDS,
        status=said.status,
        headers=(*said.headers, _request_id(asked)),
        steps=(Step(0.0, said.body),),
    )


def _paced(asked: Asked, weather: Weather | None) -> Asked:
    if weather is None:
        return asked
    first, pace = weather.first_token_seconds, weather.tokens_per_second
    script = asked.script
    return replace(
        asked,
        script=replace(
            script,
            first_token_seconds=script.first_token_seconds if first is None else first,
            tokens_per_second=script.tokens_per_second if pace is None else pace,
        ),
    )


def _problem(asked: Asked) -> str:
    """What is wrong with the request, in a sentence; empty if it can be answered."""
    if asked.outgoing.path.endswith("/embeddings"):
        return "" if asked.fields.get("input") else "'input' is a required property"
    if not asked.chat and not asked.outgoing.path.endswith("/count_tokens"):
        return f"Unknown request URL: POST {asked.outgoing.path}"
    messages = asked.fields.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    if asked.dialect == "anthropic" and asked.chat and not _limit(asked.fields):
        return "max_tokens: Field required"
    return ""


# -- good answers ----------------------------------------------------------------------------------


def _good(asked: Asked) -> Plan:
    if asked.streams:
        return Plan(headers=_headers(asked), steps=tuple(_stream_steps(asked, _frames(asked))))
    tokens = len(_said(asked).pieces) if asked.chat else 0
    wait = asked.script.first_token_seconds + tokens * _gap(asked)
    return Plan(
        headers_after_seconds=wait,
        headers=_headers(asked),
        steps=(Step(0.0, _body(asked)),),
    )


def _stream_steps(asked: Asked, frames: Frames) -> list[Step]:
    gap = _gap(asked)
    steps = [Step(0.0, b"".join(frames.head))]
    for n, frame in enumerate(frames.content):
        steps.append(Step(gap if n else asked.script.first_token_seconds, frame))
    steps.append(Step(0.0, b"".join(frames.tail)))
    return steps


def _gap(asked: Asked) -> float:
    pace = asked.script.tokens_per_second
    return 1.0 / pace if pace > 0 else 0.0


def _frames(asked: Asked) -> Frames:
    make = answers.anthropic_frames if asked.dialect == "anthropic" else answers.openai_frames
    return make(_said(asked))


def _body(asked: Asked) -> bytes:
    if asked.outgoing.path.endswith("/count_tokens"):
        return answers.count_tokens_body(asked.input_tokens)
    if asked.outgoing.path.endswith("/embeddings"):
        given = asked.fields.get("input")
        return answers.embeddings_body(
            asked.rng(),
            model=asked.outgoing.model,
            inputs=len(given) if isinstance(given, list) else 1,
            input_tokens=asked.input_tokens,
        )
    make = answers.anthropic_body if asked.dialect == "anthropic" else answers.openai_body
    return make(_said(asked))


def _said(asked: Asked) -> Said:
    rng = asked.rng()
    tool = _tool_call(asked.fields, rng)
    length = round(asked.script.answer_tokens * rng.uniform(0.5, 1.5))
    wanted = min(max(1, length), ANSWER_TOKENS_MAX) if tool is None else 0
    limit = _limit(asked.fields) or wanted
    pieces = answers.words(rng, min(wanted, limit))
    options = asked.fields.get("stream_options")
    return Said(
        answer_id=asked.request_id,
        model=asked.outgoing.model,
        created=asked.created,
        pieces=pieces,
        tool=tool,
        input_tokens=asked.input_tokens,
        cached_tokens=asked.cached_tokens,
        output_tokens=len(pieces) if tool is None else len(tool.pieces()),
        cut=wanted > limit,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _limit(fields: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _tool_call(fields: Mapping[str, Any], rng: Random) -> ToolCall | None:
    """As an agent's model does: a tool is called for each turn of a user, and then it answers."""
    tools = [_tool(each) for each in _items(fields.get("tools"))]
    tools = [tool for tool in tools if tool.get("name")]
    choice = fields.get("tool_choice")
    mode = choice.get("type") if isinstance(choice, dict) else choice
    if not tools or mode == "none" or _answers_a_tool(fields):
        return None
    named = _tool(choice).get("name")
    tool = next((each for each in tools if each["name"] == named), tools[0])
    schema = tool.get("parameters") or tool.get("input_schema")
    return ToolCall(
        call_id=f"{rng.getrandbits(48):012x}",
        name=str(tool["name"]),
        arguments=json.dumps(_arguments(schema)),
    )


def _tool(value: object) -> Mapping[str, Any]:
    """OpenAI puts name and schema into `function`, Anthropic writes them flat."""
    if not isinstance(value, dict):
        return {}
    inner = value.get("function")
    return inner if isinstance(inner, dict) else value


def _answers_a_tool(fields: Mapping[str, Any]) -> bool:
    messages = _items(fields.get("messages"))
    last = messages[-1] if messages else None
    if not isinstance(last, dict):
        return False
    parts = [part for part in _items(last.get("content")) if isinstance(part, dict)]
    return last.get("role") == "tool" or any(part.get("type") == "tool_result" for part in parts)


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
    for name in _items(fields.get("required")):
        wanted = properties.get(name)
        kind = wanted.get("type") if isinstance(wanted, dict) else "string"
        made[str(name)] = _SAMPLES.get(kind if isinstance(kind, str) else "", "harbour")
    return made


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _headers(asked: Asked) -> tuple[tuple[str, str], ...]:
    kind = "text/event-stream; charset=utf-8" if asked.streams else "application/json"
    return ("content-type", kind), _request_id(asked)


def _request_id(asked: Asked) -> tuple[str, str]:
    name = "request-id" if asked.dialect == "anthropic" else "x-request-id"
    return name, f"req_{asked.request_id}"


# -- failures without a status of their own --------------------------------------------------------


def _failing(asked: Asked, failure: Failure, rng: Random) -> Plan:
    if failure is Failure.CONNECT:
        return Plan(unanswered=UpstreamFailure(failure, "refused", processed=False))
    if failure is Failure.RESET_BEFORE_CONTENT:
        return Plan(headers_after_seconds=REFUSAL_SECONDS, unanswered=_reset())
    if failure is Failure.BAD_SUCCESS:
        return _bad_success(asked, rng)
    if failure in SILENT and not asked.streams:
        return Plan(headers_after_seconds=SILENCE_SECONDS, unanswered=_reset())
    good = _good(asked)
    if not asked.streams:
        half = good.steps[0].data[: len(good.steps[0].data) // 2]
        good = replace(good, steps=(Step(0.0, half),))
    elif failure in SILENT:
        good = replace(good, steps=good.steps[:1])
    else:  # The head and at least one frame of content, and never all of them.
        kept = 2 + (len(good.steps) - 3) // 2
        good = replace(good, steps=good.steps[:kept])
    if failure is not Failure.STREAM_BROKEN:
        return replace(good, steps=(*good.steps, Step(SILENCE_SECONDS, b"")), broken=_reset())
    return _broken_off(asked, good, rng)


def _broken_off(asked: Asked, begun: Plan, rng: Random) -> Plan:
    """A stream ends in one of the three ways seen in the wild, a single answer in one."""
    way = rng.choice(("cut", "no terminal marker", "error event")) if asked.streams else "cut"
    if way == "cut":
        failure = Failure.RESET_BEFORE_CONTENT
        return replace(begun, broken=UpstreamFailure(failure, "truncated", processed=True))
    if way == "no terminal marker":
        return begun
    error = inner_error(Failure.OVERLOADED, asked.dialect, model=asked.outgoing.model)
    event = Step(0.0, answers.error_event(asked.dialect, error))
    return replace(begun, steps=(*begun.steps, event))


def _bad_success(asked: Asked, rng: Random) -> Plan:
    """A 200 that is none: nothing, a page, or an error inside."""
    error = inner_error(Failure.SERVER_ERROR, asked.dialect, model=asked.outgoing.model)
    html = (("content-type", "text/html; charset=utf-8"), _request_id(asked))
    way = rng.choice(("nothing", "page", "error"))
    if way == "nothing":
        head = _good(asked).steps[0].data if asked.streams else b""
        return Plan(headers=_headers(asked), steps=(Step(REFUSAL_SECONDS, head),))
    if way == "page":
        return Plan(headers=html, steps=(Step(REFUSAL_SECONDS, HTML_PAGE),))
    data = (
        answers.error_event(asked.dialect, error)
        if asked.streams
        else json.dumps({"error": dict(error)}).encode()
    )
    return Plan(headers=_headers(asked), steps=(Step(REFUSAL_SECONDS, data),))


def _reset() -> UpstreamFailure:
    return UpstreamFailure(Failure.RESET_BEFORE_CONTENT, "reset", processed=True)
