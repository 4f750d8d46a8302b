"""Embeddings between OpenAI's dialect and Gemini's."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from gateway.wire.base import ClientError
from gateway.wire.translate.embedding import Embedding, embedding


def pair(client: str, target: str) -> Embedding:
    found = embedding(client, target)
    assert found is not None
    return found


@pytest.mark.parametrize("given", ["Hi", ["Hi"]])
def test_texts_for_gemini(given: Any) -> None:
    through = pair("openai", "gemini")
    made = through.request(json.dumps({"input": given, "dimensions": 8}).encode(), model="e")
    assert made.path == "/models/e:batchEmbedContents"
    content = {"parts": [{"text": "Hi"}]}
    asked = {"model": "models/e", "content": content, "outputDimensionality": 8}
    assert json.loads(made.body) == {"requests": [asked]}
    told = json.loads(through.answer(b'{"embeddings": [{"values": [0.5, 1]}]}'))
    assert told["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}]


def test_vectors_in_base64_as_the_openai_sdk_asks_for_them() -> None:
    through = pair("openai", "gemini")
    through.request(b'{"input": "Hi", "encoding_format": "base64"}', model="e")
    told = json.loads(through.answer(b'{"embeddings": [{"values": [0.5, -1]}]}'))
    packed = base64.b64decode(told["data"][0]["embedding"])
    assert struct.unpack("<2f", packed) == (0.5, -1)


@pytest.mark.parametrize("given", [[1, 2], [[1, 2]], None, ["a", 1]])
def test_numbers_of_tokens_are_refused(given: Any) -> None:
    with pytest.raises(ClientError, match="tokens"):
        pair("openai", "gemini").request(json.dumps({"input": given}).encode(), model="e")


def test_texts_for_openai_one_or_many() -> None:
    through = pair("gemini", "openai")
    content = {"parts": [{"text": "Hi"}]}
    made = through.request(json.dumps({"content": content, "taskType": "X"}).encode(), model="e")
    assert (made.path, made.lost) == ("/embeddings", ("taskType",))
    assert json.loads(made.body) == {"model": "e", "input": ["Hi"], "encoding_format": "float"}
    answer = b'{"data": [{"embedding": [1.5]}, {"embedding": [2.5]}]}'
    assert json.loads(through.answer(answer)) == {"embedding": {"values": [1.5]}}
    many = {"requests": [{"content": content, "output_dimensionality": 4}] * 2}
    made = through.request(json.dumps(many).encode(), model="e")
    assert json.loads(made.body)["dimensions"] == 4
    told = json.loads(through.answer(answer))
    assert told == {"embeddings": [{"values": [1.5]}, {"values": [2.5]}]}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings": [{}]}', b'{"data": [{}]}'])
@pytest.mark.parametrize("client", ["openai", "gemini"])
def test_what_holds_no_vectors_is_a_value_error(client: str, body: bytes) -> None:
    through = pair(client, "gemini" if client == "openai" else "openai")
    with pytest.raises(ValueError, match="answer"):
        through.answer(body)


def test_nobody_else_has_them() -> None:
    assert embedding("openai", "anthropic") is None
    assert embedding("anthropic", "gemini") is None
    assert embedding("openai", "openai") is None
