"""The bytes of good answers in the OpenAI and the Anthropic dialect, built from plain facts.

Pure: no clock, no randomness of its own. The simulated provider sends these, and so does the
scripted server of the tests, whose official clients prove them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.wire.answer import encoded

EMBEDDING_SIZE = 8
"""Numbers in a vector; enough to look like one."""

ARGUMENT_CHARS = 12
"""Of a tool call's arguments in one chunk, so that a client has to put them together."""

_PROSE = (
    "the a this that each one keel wind sail harbour current route signal light course watch "
    "storm calm deck crew chart anchor mast rope steady turns holds drifts carries follows "
    "keeps meets clears slows across under beside before after toward with and while so"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    call_id: str
    name: str
    arguments: str
    """A JSON object, as text."""

    def pieces(self) -> tuple[str, ...]:
        text = self.arguments
        return tuple(text[i : i + ARGUMENT_CHARS] for i in range(0, len(text), ARGUMENT_CHARS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an answer says, before it is put into a dialect. One piece is one streamed chunk."""

    answer_id: str
    model: str
    created: int
    """Unix seconds."""
    pieces: tuple[str, ...]
    tool: ToolCall | None = None
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input. Only told in the OpenAI dialect, whose clients name what to cache."""
    cut: bool = False
    """The answer ends because the token limit was reached."""
    include_usage: bool = True
    """OpenAI streams only: whether the client asked for the usage chunk."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Frames:
    """A stream in its three parts: before content, content, and from the last content on."""

    head: tuple[bytes, ...]
    content: tuple[bytes, ...]
    tail: tuple[bytes, ...]

    def all(self) -> tuple[bytes, ...]:
        return self.head + self.content + self.tail


def words(rng: Random, count: int) -> tuple[str, ...]:
    """`count` words with their spaces: prose to the eye, and nothing else."""
    chosen = rng.choices(_PROSE.split(), k=count)
    return tuple(
        (word.capitalize() if n % 12 == 0 else word) + (". " if n % 12 == 11 else " ")
        for n, word in enumerate(chosen)
    )


def openai_body(said: Said) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if said.tool is not None:
        message["tool_calls"] = [_openai_call(said.tool)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(said)}
    return encoded({**_openai_root(said, "chat.completion", [choice]), "usage": _usage(said)})


def openai_frames(said: Said) -> Frames:
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in said.pieces]
    if said.tool is not None:
        first = {"index": 0, **_openai_call(said.tool)}
        first["function"] = {"name": said.tool.name, "arguments": ""}
        deltas.append({"tool_calls": [first]})
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
            for part in said.tool.pieces()
        ]
    tail = [_openai_chunk(said, {}, finish=_finish(said))]
    if said.include_usage:
        chunk = _openai_root(said, "chat.completion.chunk", [])
        tail.append(_data({**chunk, "usage": _usage(said)}))
    return Frames(
        (_openai_chunk(said, {"role": "assistant", "content": ""}),),
        tuple(_openai_chunk(said, delta) for delta in deltas),
        (*tail, b"data: [DONE]\n\n"),
    )


def embeddings_body(rng: Random, *, model: str, inputs: int, input_tokens: int) -> bytes:
    vectors = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [round(rng.uniform(-1, 1), 6) for _ in range(EMBEDDING_SIZE)],
        }
        for index in range(inputs)
    ]
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return encoded({"object": "list", "data": vectors, "model": model, "usage": usage})


def openai_models_body(models: Sequence[str], *, created: int) -> bytes:
    entries = [
        {"id": model, "object": "model", "created": created, "owned_by": "simulated"}
        for model in models
    ]
    return encoded({"object": "list", "data": entries})


def anthropic_body(said: Said) -> bytes:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.pieces else []
    if said.tool is not None:
        content.append({**_tool_use(said.tool), "input": json.loads(said.tool.arguments)})
    return encoded(
        _message(
            said,
            content,
            stop_reason=_stop(said),
            usage={"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
        )
    )


def anthropic_frames(said: Said) -> Frames:
    usage = {"input_tokens": said.input_tokens, "output_tokens": 1}
    message = _message(said, [], stop_reason=None, usage=usage)
    head = [_event("message_start", message=message)]
    content: list[bytes] = []
    index = 0
    if said.pieces:
        head.append(_block_start(index, {"type": "text", "text": ""}))
        content += [_delta(index, {"type": "text_delta", "text": text}) for text in said.pieces]
    head.append(_event("ping"))
    if said.tool is not None:
        if said.pieces:
            content.append(_event("content_block_stop", index=index))
            index += 1
        content.append(_block_start(index, _tool_use(said.tool)))
        content += [
            _delta(index, {"type": "input_json_delta", "partial_json": part})
            for part in said.tool.pieces()
        ]
    tail = (
        _event("content_block_stop", index=index),
        _event(
            "message_delta",
            delta={"stop_reason": _stop(said), "stop_sequence": None},
            usage={"output_tokens": said.output_tokens},
        ),
        _event("message_stop"),
    )
    return Frames(tuple(head), tuple(content), tail if content else tail[1:])


def anthropic_models_body(models: Sequence[str]) -> bytes:
    entries = [
        {"type": "model", "id": model, "display_name": model, "created_at": "2026-01-01T00:00:00Z"}
        for model in models
    ]
    first, last = (models[0], models[-1]) if models else (None, None)
    return encoded({"data": entries, "has_more": False, "first_id": first, "last_id": last})


def count_tokens_body(input_tokens: int) -> bytes:
    return encoded({"input_tokens": input_tokens})


def error_event(dialect: str, error: Mapping[str, Any]) -> bytes:
    """An error in the middle of a stream, as the dialect's providers send it."""
    if dialect == "anthropic":
        return _event("error", error=error)
    return _data({"error": error})


def _openai_root(said: Said, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{said.answer_id}",
        "object": kind,
        "created": said.created,
        "model": said.model,
        "choices": choices,
    }


def _openai_chunk(said: Said, delta: Mapping[str, Any], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = _openai_root(said, "chat.completion.chunk", [choice])
    if said.include_usage:
        chunk["usage"] = None
    return _data(chunk)


def _openai_call(tool: ToolCall) -> dict[str, Any]:
    return {
        "id": f"call_{tool.call_id}",
        "type": "function",
        "function": {"name": tool.name, "arguments": tool.arguments},
    }


def _finish(said: Said) -> str:
    if said.cut:
        return "length"
    return "stop" if said.tool is None else "tool_calls"


def _usage(said: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + encoded(value) + b"\n\n"


def _message(
    said: Said,
    content: list[dict[str, Any]],
    *,
    stop_reason: str | None,
    usage: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "id": f"msg_{said.answer_id}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_use(tool: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{tool.call_id}", "name": tool.name, "input": {}}


def _stop(said: Said) -> str:
    if said.cut:
        return "max_tokens"
    return "end_turn" if said.tool is None else "tool_use"


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


def _block_start(index: int, block: Mapping[str, Any]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: Mapping[str, Any]) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)
