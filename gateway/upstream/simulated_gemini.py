"""The bytes of good answers in Gemini's native dialect, built from plain facts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from gateway.upstream.simulated_answers import EMBEDDING_SIZE, Frames, Said, ToolCall
from gateway.wire.answer import encoded


def gemini_body(said: Said) -> bytes:
    parts: list[dict[str, Any]] = [{"text": said.text}] if said.pieces else []
    if said.tool is not None:
        parts.append(_call(said.tool))
    return encoded(_answer(said, parts, finish=_finish(said)))


def gemini_frames(said: Said) -> Frames:
    """A call of a tool comes in one piece; there is nothing before content."""
    parts: list[dict[str, Any]] = [{"text": piece} for piece in said.pieces]
    if said.tool is not None:
        parts.append(_call(said.tool))
    content = tuple(_data(_answer(said, [part])) for part in parts)
    return Frames((), content, (_data(_answer(said, [{"text": ""}], finish=_finish(said))),))


def gemini_count_body(input_tokens: int) -> bytes:
    details = [{"modality": "TEXT", "tokenCount": input_tokens}]
    return encoded({"totalTokens": input_tokens, "promptTokensDetails": details})


def gemini_embedding_body(rng: Random, *, inputs: int | None) -> bytes:
    """`inputs`: how many of a batch; None for one alone."""
    made = [
        {"values": [round(rng.uniform(-1, 1), 6) for _ in range(EMBEDDING_SIZE)]}
        for _ in range(1 if inputs is None else inputs)
    ]
    return encoded({"embedding": made[0]} if inputs is None else {"embeddings": made})


def gemini_models_body(models: Sequence[str]) -> bytes:
    methods = ["generateContent", "streamGenerateContent", "countTokens"]
    return encoded(
        {
            "models": [
                {"name": f"models/{model}", "supportedGenerationMethods": methods}
                for model in models
            ]
        }
    )


def gemini_error_event(error: Mapping[str, Any]) -> bytes:
    return _data({"error": error})


def _answer(
    said: Said, parts: list[dict[str, Any]], *, finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(said),
        "modelVersion": said.model,
        "responseId": said.answer_id,
    }


def _call(tool: ToolCall) -> dict[str, Any]:
    call = {"id": tool.call_id, "name": tool.name, "args": json.loads(tool.arguments)}
    return {"functionCall": call, "thoughtSignature": "c2lnbmVk"}


def _finish(said: Said) -> str:
    return "MAX_TOKENS" if said.cut else "STOP"


def _usage(said: Said) -> dict[str, Any]:
    return {
        "promptTokenCount": said.input_tokens,
        "cachedContentTokenCount": said.cached_tokens,
        "candidatesTokenCount": said.output_tokens,
        "totalTokenCount": said.input_tokens + said.output_tokens,
    }


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + encoded(value) + b"\r\n\r\n"
