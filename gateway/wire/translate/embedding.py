"""Embeddings across dialects: OpenAI's and Gemini's, texts only. Nobody else has them."""

from __future__ import annotations

import base64
import struct
from typing import Protocol

from gateway.wire.answer import encoded
from gateway.wire.translate.base import TranslatedRequest
from gateway.wire.translate.gemini_read import camel
from gateway.wire.translate.neutral import Json
from gateway.wire.translate.reading import (
    answer_fields,
    items,
    mapping,
    objects,
    refuse,
    request_fields,
    text,
    whole,
    words,
    wrong,
)


class Embedding(Protocol):
    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        """First. Raises `ClientError` as `Translation.request` does."""
        ...

    def answer(self, body: bytes) -> bytes:
        """Raises `ValueError` if it holds no vectors."""
        ...


def embedding(client: str, target: str) -> Embedding | None:
    """None where the target has no embeddings, or nothing has to be translated."""
    if (client, target) == ("openai", "gemini"):
        return _ByGemini()
    if (client, target) == ("gemini", "openai"):
        return _ByOpenAI()
    return None


class _ByGemini:
    def __init__(self) -> None:
        self._model = ""
        self._packed = False
        """The client wants each vector as base64 of its 32-bit floats."""

    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        fields = request_fields(body)
        given = fields.get("input")
        texts = words(given)
        if not texts or (isinstance(given, list) and len(texts) < len(given)):
            refuse("texts given as numbers of tokens (`input`)")
        self._model, self._packed = model, fields.get("encoding_format") == "base64"
        more = {"outputDimensionality": size} if (size := whole(fields.get("dimensions"))) else {}
        asked = [
            {"model": f"models/{model}", "content": {"parts": [{"text": each}]}, **more}
            for each in texts
        ]
        lost = ("user",) if fields.get("user") else ()
        path = f"/models/{model}:batchEmbedContents"
        return TranslatedRequest(body=encoded({"requests": asked}), path=path, lost=lost)

    def answer(self, body: bytes) -> bytes:
        vectors = [_numbers(each.get("values")) for each in _list(body, "embeddings")]
        data = [
            {"object": "embedding", "index": place, "embedding": self._form(vector)}
            for place, vector in enumerate(vectors)
        ]
        # Google counts no tokens here.
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return encoded({"object": "list", "data": data, "model": self._model, "usage": usage})

    def _form(self, vector: list[float]) -> object:
        if not self._packed:
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class _ByOpenAI:
    def __init__(self) -> None:
        self._single = True

    def request(self, body: bytes, *, model: str) -> TranslatedRequest:
        fields = camel(request_fields(body))
        self._single = "requests" not in fields
        asked = [fields] if self._single else [camel(each) for each in objects(fields["requests"])]
        if not asked:
            wrong("requests: at least one is needed")
        told: Json = {"model": model, "input": [_text_of(each) for each in asked]}
        told["encoding_format"] = "float"
        sizes = {whole(each.get("outputDimensionality")) for each in asked}
        if len(sizes) > 1:
            refuse("vectors of several sizes at once")
        if size := sizes.pop():
            told["dimensions"] = size
        given = {name for each in asked for name in ("taskType", "title") if each.get(name)}
        return TranslatedRequest(body=encoded(told), path="/embeddings", lost=tuple(sorted(given)))

    def answer(self, body: bytes) -> bytes:
        vectors = [{"values": _numbers(each.get("embedding"))} for each in _list(body, "data")]
        if self._single:
            return encoded({"embedding": vectors[0]})
        return encoded({"embeddings": vectors})


def _text_of(asked: Json) -> str:
    parts = objects(mapping(asked.get("content")).get("parts"))
    if any("text" not in part for part in parts) or not parts:
        refuse("anything but text (`content`)")
    return "\n".join(text(part["text"]) for part in parts)


def _list(body: bytes, name: str) -> list[Json]:
    found = objects(answer_fields(body).get(name))
    if not found:
        message = f"the answer holds no {name}"
        raise ValueError(message)
    return found


def _numbers(value: object) -> list[float]:
    vector = [each for each in items(value) if isinstance(each, int | float)]
    if not vector:
        raise ValueError("the answer holds an empty vector")
    return vector
